"""lis: the length of the longest strictly increasing subsequence of a list."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Return the length of the longest strictly increasing subsequence of a list of integers. A "
    "subsequence keeps the order but may leave elements out. The list may be empty."
)

LEVELS = levels(
    length=(6, 8, 9, 10, 11, 32, 40, 50, 64, 80),
    largest=(20, 20, 30, 40, 50, 100, 200, 400, 1000, 5000),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _any_list(rng: Random, task: Task) -> Args:
    largest = task.level["largest"]
    return (integers(rng, _count(rng, task), -largest, largest),)


def _many_ties(rng: Random, task: Task) -> Args:
    """Few different numbers: equal ones must not count."""
    low = rng.randint(-task.level["largest"], task.level["largest"])
    return (integers(rng, _count(rng, task), low, low + 2),)


def _high_start(rng: Random, task: Task) -> Args:
    """The first number is larger than the rest: building on it is wrong."""
    largest = task.level["largest"]
    return ([largest + 1, *integers(rng, _count(rng, task) - 1, -largest, largest)],)


def _out_of_place(rng: Random, task: Task) -> Args:
    """Ascending but for a few numbers: many long subsequences, broken runs."""
    count = task.level["length"]
    nums = sorted(integers(rng, count, -task.level["largest"], task.level["largest"]))
    for place in rng.sample(range(1, count - 1), max(1, count // 10)):
        nums[place] = nums[0] - rng.randint(1, 9)
    return (nums,)


def _low_end(rng: Random, task: Task) -> Args:
    """Two ascending parts, the second below the first: the longest may end before the list."""
    largest, count = task.level["largest"], _count(rng, task)
    split = rng.randint(count // 2 + 1, count - 1)
    high = sorted(integers(rng, split, 0, largest))
    return (high + sorted(integers(rng, count - split, -largest, -1)),)


def _count(rng: Random, task: Task) -> int:
    return rng.randint(task.level["length"] * 3 // 4, task.level["length"])


def oracle(nums: list[int]) -> int:
    """Place the numbers from the smallest up, equal ones from the right.

    What stands left of a number when it is placed is then smaller than it, and nothing else is.
    """
    longest = [0] * len(nums)
    for place in sorted(range(len(nums)), key=lambda place: (nums[place], -place)):
        longest[place] = 1 + max(longest[:place], default=0)
    return max(longest, default=0)


TYPE = ProblemType(
    name="lis",
    family="hard",
    title="Longest increasing subsequence",
    difficulty="Longer lists of larger numbers; from level 6 there are too many subsequences to "
    "try them all.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "lis", "(nums)"),
    oracle=oracle,
    examples=(([4, 10, 4, 3, 8, 9],), ([7, 7, 7],)),
    edge_cases=(
        ([],),
        ([5],),
        ([1, 2],),
        ([2, 1],),
        ([2, 2],),
        ([1, 2, 3, 4, 5],),
        ([5, 4, 3, 2, 1],),
        ([1, 3, 2, 3],),
        ([-2, -1, 0],),
        ([3, 4, 1],),
        ([3, 4, 1, 2],),
    ),
    inputs=(_any_list, _many_ties, _high_start, _out_of_place, _low_end),
    tests=23,
)
