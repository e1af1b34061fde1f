"""trapping_rain_water: how much water stays between bars after rain."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "heights[i] is the height of a bar of width 1, all bars standing side by side. Return how "
    "many units of rain water stay above the bars: over each bar the water rises to the lower "
    "of the highest bars to its left and to its right, and at both ends it runs off. Heights are "
    "0 or more; the list may be empty."
)

LEVELS = levels(
    length=(7, 8, 9, 10, 12, 20, 28, 36, 48, 60),
    highest=(6, 8, 9, 10, 12, 15, 20, 10**6, 10**7, 10**8),
)


def _any_bars(rng: Random, task: Task) -> Args:
    return (integers(rng, _count(rng, task), 0, task.level["highest"]),)


def _basin(rng: Random, task: Task) -> Args:
    """Walls at both ends, of different heights, and low bars between them."""
    highest = task.level["highest"]
    inside = integers(rng, _count(rng, task) - 2, 0, highest // 2)
    walls = rng.sample(range(highest // 2 + 1, highest + 1), 2)
    return ([walls[0], *inside, walls[1]],)


def _summit(rng: Random, task: Task) -> Args:
    """The highest bar stands inside: water on both sides, and the ends do not bound it."""
    highest, count = task.level["highest"], _count(rng, task)
    bars = integers(rng, count, 0, highest)
    bars[rng.randint(2, count - 3)] = highest + 3
    bars[0], bars[-1] = integers(rng, 2, 0, 1)
    return (bars,)


def _wide_pool(rng: Random, task: Task) -> Args:
    """Empty ground between two bars: looking at the neighbours alone is wrong."""
    highest, count = task.level["highest"], _count(rng, task)
    first, *bars = integers(rng, count, 1, highest)
    width = rng.randint(2, count - 2)
    return ([first, *([0] * width), *bars[width:]],)


def _slope_with_dips(rng: Random, task: Task) -> Args:
    """Rising or falling but for some dips: most bars hold no water."""
    count = _count(rng, task)
    bars = sorted(integers(rng, count, 0, task.level["highest"]), reverse=rng.random() < 0.5)
    for place in rng.sample(range(1, count - 1), 1 + count // 6):
        bars[place] = 0
    return (bars,)


def _count(rng: Random, task: Task) -> int:
    return rng.randint(task.level["length"] * 3 // 4, task.level["length"])


def oracle(heights: list[int]) -> int:
    """Add up horizontal layers: a layer holds water wherever it has a bar on either side."""
    water = 0
    for low, high in pairwise([0, *sorted(set(heights))]):
        bars = [place for place, height in enumerate(heights) if height >= high]
        water += (high - low) * (bars[-1] - bars[0] + 1 - len(bars))
    return water


TYPE = ProblemType(
    name="trapping_rain_water",
    family="hard",
    title="Trapping rain water",
    difficulty="More and higher bars; from level 8 they are too high to fill unit by unit.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "trapping_rain_water", "(heights)"),
    oracle=oracle,
    examples=(([3, 0, 1, 2],), ([2, 1, 0],)),
    edge_cases=(
        ([],),
        ([4],),
        ([1, 2],),
        ([2, 0, 2],),
        ([0, 0, 0],),
        ([1, 2, 3],),
        ([3, 3, 3],),
        ([0, 5, 0],),
        ([3, 0, 0, 2],),
        ([2, 0, 0, 3],),
        ([2, 0, 2, 1, 2],),
    ),
    inputs=(_any_bars, _basin, _summit, _wide_pool, _slope_with_dips),
    tests=22,
)
