"""two_sum: the indices of two elements with a given sum, where at least one such pair exists."""

from __future__ import annotations

from random import Random
from typing import Any

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Given a list of integers and a target, return a list with the indices of two different "
    "elements whose sum is the target. There is always at least one such pair; any of them, in "
    "either order, is right."
)

LEVELS = levels(
    length=(8, 10, 12, 16, 24, 32, 48, 64, 96, 128),
    largest=(30, 40, 60, 80, 100, 200, 400, 800, 1000, 2000),
)


def _any_pair(rng: Random, task: Task) -> Args:
    nums = _numbers(rng, task, rng.randint(3, task.level["length"]))
    first, second = rng.sample(range(len(nums)), 2)
    return nums, nums[first] + nums[second]


def _equal_pair(rng: Random, task: Task) -> Args:
    """Two equal elements are the pair: a dictionary of last positions must not lose the first."""
    nums = _numbers(rng, task, rng.randint(3, task.level["length"]))
    first, second = rng.sample(range(len(nums)), 2)
    nums[second] = nums[first]
    return nums, 2 * nums[first]


def _half_of_target(rng: Random, task: Task) -> Args:
    """Half of the target stands once, in front of the pair: it must not be used twice."""
    largest = task.level["largest"]
    half, offset = rng.randint(-largest, largest), rng.randint(1, largest)
    rest = [half - offset, half + offset]
    rest += [n for n in _numbers(rng, task, task.level["length"] - 3) if n != half]
    rng.shuffle(rest)
    return [half, *rest], 2 * half


def _numbers(rng: Random, task: Task, count: int) -> list[int]:
    largest = task.level["largest"]
    return integers(rng, count, -largest, largest)


def oracle(nums: list[int], target: int) -> list[int]:
    """Try every pair."""
    for first in range(len(nums)):
        for second in range(first + 1, len(nums)):
            if nums[first] + nums[second] == target:
                return [first, second]
    raise ValueError("no pair has this sum")


def check(args: Args, value: Any, _expected: Any) -> bool:
    """Accept any two different indices, in either order, whose elements have the right sum."""
    nums, target = args
    if not isinstance(value, list) or len(value) != 2:
        return False
    if not all(isinstance(index, int) and 0 <= index < len(nums) for index in value):
        return False
    first, second = value
    return bool(first != second and nums[first] + nums[second] == target)


TYPE = ProblemType(
    name="two_sum",
    family="basic",
    title="Two sum",
    difficulty="Longer lists of larger numbers.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "two_sum", "(nums, target)"),
    oracle=oracle,
    examples=(([2, 7, 11, 15], 9), ([3, 2, 4], 6)),
    edge_cases=(([1, 2], 3), ([3, 3], 6), ([0, 4, 3, 0], 0), ([-1, -2, -3, -4], -7)),
    inputs=(_any_pair, _equal_pair, _half_of_target, _any_pair),
    checker=check,
)
