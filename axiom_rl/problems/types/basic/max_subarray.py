"""max_subarray: the largest sum of a non-empty contiguous part of a list."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Return the largest sum of a contiguous, non-empty part of a non-empty list of integers. "
    "The numbers may all be negative."
)

LEVELS = levels(
    length=(8, 10, 12, 16, 24, 32, 48, 64, 80, 96),
    largest=(20, 20, 30, 30, 40, 60, 80, 100, 200, 500),
)


def _mixed(rng: Random, task: Task) -> Args:
    largest = task.level["largest"]
    return (_numbers(rng, task, -largest, largest),)


def _all_negative(rng: Random, task: Task) -> Args:
    """The answer is the largest element, not 0."""
    return (_numbers(rng, task, -task.level["largest"], -1),)


def _all_positive(rng: Random, task: Task) -> Args:
    return (_numbers(rng, task, 1, task.level["largest"]),)


def _best_spans_a_dip(rng: Random, task: Task) -> Args:
    """Two high parts around a small negative one: stopping at the first dip is wrong."""
    largest = task.level["largest"]
    high = integers(rng, 4, largest // 2, largest)
    dip = -rng.randint(1, largest // 2)
    before, after = -rng.randint(1, largest), -rng.randint(1, largest)
    return ([before, high[0], high[1], dip, high[2], high[3], after],)


def _numbers(rng: Random, task: Task, low: int, high: int) -> list[int]:
    return integers(rng, rng.randint(3, task.level["length"]), low, high)


def oracle(nums: list[int]) -> int:
    """Add up every part."""
    best = nums[0]
    for start in range(len(nums)):
        total = 0
        for number in nums[start:]:
            total += number
            best = max(best, total)
    return best


TYPE = ProblemType(
    name="max_subarray",
    family="basic",
    title="Maximum subarray",
    difficulty="Longer lists of larger numbers.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "max_subarray", "(nums)"),
    oracle=oracle,
    examples=(([1, -2, 3, 4],), ([-3, -1, -2],)),
    edge_cases=(([5],), ([-7],), ([0],), ([-1, 0],), ([4, -1, 5],), ([3, -5, 4],)),
    inputs=(_mixed, _all_negative, _best_spans_a_dip, _all_positive, _mixed),
)
