"""median_sorted_arrays: the median of all elements of two ascending lists."""

from __future__ import annotations

from random import Random
from statistics import median

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Return the median of all elements of two lists of integers together, as a float. Each list "
    "is in ascending order. With an even number of elements the median is the mean of the two "
    "in the middle. One of the lists may be empty, but not both."
)

LEVELS = levels(
    length=(4, 5, 6, 8, 10, 16, 32, 48, 64, 100),
    largest=(20, 30, 50, 80, 100, 200, 1_000, 10_000, 100_000, 10_000_000),
)


def _any_lists(rng: Random, task: Task) -> Args:
    return _ascending(rng, task), _ascending(rng, task)


def _half(rng: Random, task: Task) -> Args:
    """The median is no integer: the two elements in the middle are even and odd."""
    largest, half = task.level["largest"], rng.randint(2, task.level["length"])
    nums = [2 * number for number in sorted(integers(rng, 2 * half, -largest, largest))]
    nums[half:] = [number + 1 for number in nums[half:]]
    return _split(rng, nums)


def _one_after_the_other(rng: Random, task: Task) -> Args:
    """All of one list comes before the other, which is longer."""
    low = _ascending(rng, task)
    gap = 2 * task.level["largest"] + 1
    high = [number + gap for number in _ascending(rng, task) + _ascending(rng, task)]
    high.sort()
    return (low, high) if rng.random() < 0.5 else (high, low)


def _many_ties(rng: Random, task: Task) -> Args:
    """Few different numbers, which stand in both lists."""
    low = rng.randint(-task.level["largest"], task.level["largest"])
    count = rng.randint(5, 2 * task.level["length"])
    nums = sorted(integers(rng, count, low, low + 1) + [low + 4] * rng.randint(1, count))
    return _split(rng, nums)


def _one_empty(rng: Random, task: Task) -> Args:
    nums = _ascending(rng, task)
    return (nums, []) if rng.random() < 0.5 else ([], nums)


def _ascending(rng: Random, task: Task) -> list[int]:
    largest = task.level["largest"]
    return sorted(integers(rng, rng.randint(2, task.level["length"]), -largest, largest))


def _split(rng: Random, nums: list[int]) -> Args:
    """Deal the numbers out to two lists, keeping their order."""
    hands: tuple[list[int], list[int]] = ([], [])
    for number in nums:
        hands[rng.random() < 0.5].append(number)
    return hands


def oracle(a: list[int], b: list[int]) -> float:
    """Ask the standard library."""
    return float(median(a + b))


TYPE = ProblemType(
    name="median_sorted_arrays",
    family="hard",
    title="Median of two sorted arrays",
    difficulty="Longer lists of larger numbers.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "median_sorted_arrays", "(a, b)"),
    oracle=oracle,
    examples=(([1, 3], [2]), ([1, 2], [3, 4])),
    edge_cases=(
        ([], [1]),
        ([2], []),
        ([1, 2], []),
        ([1], [2]),
        ([2], [1]),
        ([-1], [-2]),
        ([3, 3], [3]),
        ([1, 1], [1, 1]),
        ([1, 1, 1], [2, 3]),
        ([5], [1, 2, 3, 4]),
    ),
    inputs=(_any_lists, _half, _one_after_the_other, _many_ties, _one_empty),
    tests=21,
)
