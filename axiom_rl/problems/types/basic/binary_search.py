"""binary_search: where a target stands in a sorted list, or -1."""

from __future__ import annotations

from random import Random
from typing import Any

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Given a list of integers in ascending order and a target, return an index at which the "
    "target stands, or -1 if it is not in the list. If it stands at several indices, any of "
    "them is right. The list may be empty."
)

LEVELS = levels(
    length=(10, 12, 16, 24, 32, 48, 64, 128, 256, 512),
    largest=(30, 40, 50, 80, 100, 200, 300, 600, 1000, 2000),
)


FIVE = [1, 2, 3, 4, 5]


def _present(rng: Random, task: Task) -> Args:
    nums = _ascending(rng, task)
    return nums, rng.choice(nums)


def _at_an_end(rng: Random, task: Task) -> Args:
    """The first or the last element: the two that loop bounds miss."""
    nums = _ascending(rng, task)
    return nums, nums[rng.choice([0, -1])]


def _absent(rng: Random, task: Task) -> Args:
    """Between two elements, or beyond an end."""
    nums = _ascending(rng, task)
    while True:
        target = rng.randint(nums[0] - 3, nums[-1] + 3)
        if target not in nums:
            return nums, target


def _repeated(rng: Random, task: Task) -> Args:
    nums = _ascending(rng, task)
    target = rng.choice(nums)
    return sorted([*nums, target, target]), target


def _ascending(rng: Random, task: Task) -> list[int]:
    largest = task.level["largest"]
    count = rng.randint(3, task.level["length"])
    return sorted({*integers(rng, count, -largest, largest), largest + rng.randint(1, 9)})


def oracle(nums: list[int], target: int) -> int:
    """Look at every element."""
    return nums.index(target) if target in nums else -1


def check(args: Args, value: Any, expected: Any) -> bool:
    """Accept any index that holds the target."""
    nums, target = args
    if not isinstance(value, int) or expected == -1:
        return bool(value == expected)
    return bool(0 <= value < len(nums) and nums[value] == target)


TYPE = ProblemType(
    name="binary_search",
    family="basic",
    title="Binary search",
    difficulty="Longer lists of larger numbers.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "binary_search", "(nums, target)"),
    oracle=oracle,
    examples=(([1, 3, 5, 7], 5), ([1, 3, 5, 7], 4)),
    edge_cases=(
        ([], 3),
        ([4], 4),
        ([4], 5),
        ([1, 2], 1),
        ([1, 2], 2),
        ([1, 3], 2),
        (FIVE, 1),
        (FIVE, 5),
    ),
    inputs=(_present, _at_an_end, _absent, _repeated),
    checker=check,
)
