"""knapsack: the most valuable choice of items that a bag can carry, each item at most once."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Item i weighs weights[i] and is worth values[i]. Return the largest total value of items "
    "whose total weight is at most capacity. Each item can be taken at most once and only as a "
    "whole. Weights are positive integers; there may be no items, and capacity may be 0."
)

LEVELS = levels(
    items=(4, 6, 8, 10, 12, 32, 34, 36, 38, 40),
    heaviest=(6, 6, 7, 8, 9, 8, 8, 9, 9, 10),
    dearest=(12, 15, 20, 25, 30, 40, 50, 60, 80, 100),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _any_items(rng: Random, task: Task) -> Args:
    """About half of the weight fits."""
    weights = _weights(rng, task)
    return weights, _values(rng, task, len(weights)), sum(weights) * rng.randint(3, 6) // 10


def _everything_fits(rng: Random, task: Task) -> Args:
    """Even so no item counts twice."""
    weights = _weights(rng, task)
    return weights, _values(rng, task, len(weights)), sum(weights) + rng.randint(0, 9)


def _light_item_in_the_way(rng: Random, task: Task) -> Args:
    """Two equal items fill the bag; a lighter one is worth more for its weight, but less."""
    half = rng.randint(3, task.level["heaviest"])
    value = rng.randint(3 * half, 3 * half + task.level["dearest"])
    light = rng.randint(1, half - 1)
    blocks = (light, value * light // half + 1)
    return _with_heavy_items(rng, task, [(half, value), (half, value), blocks], 2 * half)


def _dear_item_in_the_way(rng: Random, task: Task) -> Args:
    """Two items fill the bag; one that fills it alone is worth more than either."""
    first, second = integers(rng, 2, 1, task.level["heaviest"])
    values = integers(rng, 2, task.level["dearest"] // 2, task.level["dearest"])
    alone = (first + second, rng.randint(max(values), sum(values) - 1))
    items = [(first, values[0]), (second, values[1]), alone]
    return _with_heavy_items(rng, task, items, first + second)


def _with_heavy_items(rng: Random, task: Task, items: list[tuple[int, int]], capacity: int) -> Args:
    """Shuffle the items with up to three that are too heavy for the bag, and dear."""
    for _ in range(rng.randint(0, 3)):
        items.append((capacity + rng.randint(1, 5), rng.randint(1, 3 * task.level["dearest"])))
    rng.shuffle(items)
    return [weight for weight, _ in items], [value for _, value in items], capacity


def _weights(rng: Random, task: Task) -> list[int]:
    most = task.level["items"]
    return integers(rng, rng.randint(most - most // 8, most), 1, task.level["heaviest"])


def _values(rng: Random, task: Task, count: int) -> list[int]:
    return integers(rng, count, 1, task.level["dearest"])


def oracle(weights: list[int], values: list[int], capacity: int) -> int:
    """Keep the best value of every total weight that the items so far can make."""
    best = {0: 0}
    for weight, value in zip(weights, values, strict=True):
        for total, worth in [*best.items()]:
            heavier = total + weight
            if heavier <= capacity and best.get(heavier, -1) < worth + value:
                best[heavier] = worth + value
    return max(best.values())


TYPE = ProblemType(
    name="knapsack",
    family="hard",
    title="0/1 knapsack",
    difficulty="More items of more different weights and values; from level 6 there are too many "
    "choices to try them all.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "knapsack", "(weights, values, capacity)"),
    oracle=oracle,
    examples=(([2, 3, 4], [3, 4, 6], 6), ([5], [10], 4)),
    edge_cases=(
        ([], [], 0),
        ([], [], 10),
        ([1, 2], [5, 6], 0),
        ([5], [10], 5),
        ([2], [3], 8),
        ([1, 1, 1], [2, 2, 2], 2),
        ([3, 4, 5], [7, 7, 7], 2),
        ([6, 5, 5], [9, 7, 7], 10),
    ),
    inputs=(_any_items, _light_item_in_the_way, _dear_item_in_the_way, _everything_fits),
    tests=20,
)
