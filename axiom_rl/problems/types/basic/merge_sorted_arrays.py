"""merge_sorted_arrays: two ascending lists as one."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Given two lists of integers, each in ascending order, return one list with all their "
    "elements in ascending order. Repeated numbers are all kept. Either list may be empty."
)

LEVELS = levels(
    length=(8, 10, 12, 16, 24, 32, 48, 64, 96, 128),
    largest=(30, 40, 50, 80, 100, 200, 300, 400, 800, 1000),
)


def _any_lists(rng: Random, task: Task) -> Args:
    return _ascending(rng, task), _ascending(rng, task)


def _common_elements(rng: Random, task: Task) -> Args:
    """Numbers that stand in both lists, and twice in one."""
    first = _ascending(rng, task)
    second = sorted([*_ascending(rng, task), first[0], first[0], first[-1]])
    return (first, second) if rng.random() < 0.5 else (second, first)


def _one_after_the_other(rng: Random, task: Task) -> Args:
    """All of one list comes before the other, so that a tail is left over."""
    low = _ascending(rng, task)
    high = [number + 2 * task.level["largest"] + 1 for number in _ascending(rng, task)]
    return (low, high) if rng.random() < 0.5 else (high, low)


def _one_empty(rng: Random, task: Task) -> Args:
    nums = _ascending(rng, task)
    return (nums, []) if rng.random() < 0.5 else ([], nums)


def _ascending(rng: Random, task: Task) -> list[int]:
    largest = task.level["largest"]
    return sorted(integers(rng, rng.randint(2, task.level["length"]), -largest, largest))


def oracle(a: list[int], b: list[int]) -> list[int]:
    """Sort them together."""
    return sorted(a + b)


TYPE = ProblemType(
    name="merge_sorted_arrays",
    family="basic",
    title="Merge sorted arrays",
    difficulty="Longer lists of larger numbers.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "merge_sorted_arrays", "(a, b)"),
    oracle=oracle,
    examples=(([1, 3], [2, 3, 4]), ([], [5])),
    edge_cases=(([], []), ([1], []), ([2], [1]), ([1], [1]), ([0, 0], [0]), ([1, 2, 3], [4])),
    inputs=(_any_lists, _common_elements, _one_after_the_other, _any_lists, _one_empty),
)
