"""remove_duplicates: each number once, in the order of first occurrence."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return a new list with each number of the list once, in the order in which the numbers "
    "first occur. The list need not be sorted and may be empty."
)

LEVELS = levels(
    length=(10, 12, 16, 20, 24, 32, 48, 64, 96, 128),
    largest=(30, 30, 40, 40, 50, 60, 80, 100, 200, 300),
)


def _some_repeated(rng: Random, task: Task) -> Args:
    """Repetitions side by side and far apart, in no order."""
    nums = _different(rng, task)
    nums += [rng.choice(nums) for _ in range(rng.randint(1, len(nums)))]
    rng.shuffle(nums)
    return (nums,)


def _all_different(rng: Random, task: Task) -> Args:
    return (_different(rng, task),)


def _few_values(rng: Random, task: Task) -> Args:
    values = rng.sample(range(-9, 10), 3)
    return ([rng.choice(values) for _ in range(rng.randint(4, task.level["length"]))],)


def _last_comes_back(rng: Random, task: Task) -> Args:
    """The first number comes again at the end: comparing with the neighbour is not enough."""
    nums = _different(rng, task)
    return ([*nums, nums[0]],)


def _different(rng: Random, task: Task) -> list[int]:
    largest = task.level["largest"]
    count = rng.randint(3, task.level["length"] // 2 + 2)
    return rng.sample(range(-largest, largest + 1), count)


def oracle(nums: list[int]) -> list[int]:
    """Keep a number if it is not in front of itself."""
    return [number for place, number in enumerate(nums) if number not in nums[:place]]


TYPE = ProblemType(
    name="remove_duplicates",
    family="basic",
    title="Remove duplicates",
    difficulty="Longer lists with more repetitions.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "remove_duplicates", "(nums)"),
    oracle=oracle,
    examples=(([3, 1, 3, 2, 1],), ([5, 5],)),
    edge_cases=(([],), ([7],), ([1, 1, 1],), ([2, 1],), ([1, 2, 1],), ([0, -1, 0, -1],)),
    inputs=(_some_repeated, _last_comes_back, _few_values, _all_different, _some_repeated),
)
