"""list_sort: a list in the order that the statement asks for.

Problems differ in what the numbers are sorted by, direction, ties, repetitions, how many are
returned, wording and name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from axiom_rl.problems.base import Args, Level, ProblemType, Task, integers, levels

KEYS: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "value": ("value", lambda x, k: x),
    "absolute": ("absolute value", lambda x, k: abs(x)),
    "distance": ("distance from {k} (the absolute difference)", lambda x, k: abs(x - k)),
    "last_digit": ("last decimal digit (sign aside)", lambda x, k: abs(x) % 10),
    "remainder": ("the remainder x % {k}", lambda x, k: x % k),
    "digit_sum": ("sum of decimal digits (sign aside)", lambda x, k: sum(map(int, str(abs(x))))),
}
"""What to sort by: the wording, and the key of x where k is the task's number."""
GROUPS: dict[str, tuple[str, Callable[[int], bool]]] = {
    "even": ("even numbers", lambda x: x % 2 == 0),
    "odd": ("odd numbers", lambda x: x % 2 == 1),
    "negative": ("negative numbers", lambda x: x < 0),
}
"""Numbers that come before all others."""
GROUPS_FOR = {"absolute": ("even", "odd")}
"""Groups that leave ties: numbers of one sign have different absolute values."""

ORDERS = (
    "Return a new list with the numbers of nums sorted by {key}, {direction}.",
    "Sort the integers of the list nums by {key}, {direction}, and return them as a new list.",
    "Given a list nums of integers, return them in order of {key}, {direction}.",
    "Arrange the numbers of the list nums by {key}, {direction}; return the new list.",
)
DIRECTIONS = {
    False: ("smallest first", "in ascending order", "from low to high"),
    True: ("largest first", "in descending order", "from high to low"),
}
NAMES = ("sort_list", "arrange", "order_numbers", "sorted_numbers", "rank", "line_up", "sort_by")
TIES = {
    "stable": "Numbers that tie keep their order in nums.",
    "smaller": "Of numbers that tie, the smaller comes first.",
}

LEVELS = levels(
    keys=(
        ("value",),
        ("value",),
        ("absolute",),
        ("absolute", "distance"),
        ("distance", "last_digit"),
        ("distance", "remainder"),
        ("distance", "remainder", "digit_sum"),
        ("distance", "remainder", "digit_sum"),
        ("distance", "remainder", "last_digit", "absolute", "digit_sum"),
        ("distance", "remainder", "last_digit", "absolute", "digit_sum"),
    ),
    ties=(("stable",), ("stable",), ("stable",), *[("stable", "smaller")] * 7),
    unique=((False,), (False, True), (False,), *[(False, True)] * 7),
    limited=(False, False, False, False, False, False, True, True, True, True),
    grouped=(False, False, False, False, False, False, False, False, True, True),
    length=(10, 10, 10, 12, 12, 14, 16, 20, 24, 32),
    largest=(30, 30, 30, 40, 50, 60, 80, 100, 100, 200),
    by_parameters=(False, False, False, False, False, True, True, True, True, True),
)


def draw_task(rng: Random, level: Level) -> Task:
    """Choose key, direction, ties, repetitions, limit, group, wording and name."""
    key = rng.choice(level["keys"])
    parameters = {
        "key": key,
        "k": rng.randint(3, 9) if key == "remainder" else rng.choice((-1, 1)) * rng.randint(3, 20),
        "descending": rng.random() < 0.5,
        "ties": rng.choice(level["ties"]) if key != "value" else "stable",
        "unique": rng.choice(level["unique"]),
        "limit": rng.randint(2, 8) if level["limited"] else None,
        "group": rng.choice(GROUPS_FOR.get(key, tuple(GROUPS))) if level["grouped"] else None,
    }
    statement, name = _statement(rng, **parameters), rng.choice(NAMES)
    return Task(
        statement=statement,
        entry_point=name,
        signature="(nums)",
        level=level,
        parameters=parameters,
        identity=repr(parameters) if level["by_parameters"] else f"{name} {statement}",
    )


def _statement(
    rng: Random,
    *,
    key: str,
    k: int,
    descending: bool,
    ties: str,
    unique: bool,
    limit: int | None,
    group: str | None,
) -> str:
    sentences = [
        rng.choice(ORDERS).format(
            key=KEYS[key][0].format(k=k), direction=rng.choice(DIRECTIONS[descending])
        )
    ]
    if group is not None:
        sentences.append(f"But all {GROUPS[group][0]} come before the others.")
    if key != "value":
        sentences.append(TIES[ties])
    if unique:
        sentences.append("A number that occurs several times is returned once (its first place).")
    if limit is not None:
        sentences.append(f"Return only the first {limit} of the result (all if it is shorter).")
    return " ".join(sentences)


def _ordinary(rng: Random, task: Task) -> Args:
    largest = task.level["largest"]
    return (integers(rng, rng.randint(4, task.level["length"]), -largest, largest),)


def _ties(rng: Random, task: Task) -> Args:
    """Numbers with equal keys in both orders: the order of ties shows."""
    largest = task.level["largest"]
    group = rng.choice(_groups_of_ties(task))
    tied = rng.sample(group, min(5, len(group)))
    rest = integers(rng, rng.randint(2, 5), -largest, largest)
    nums = [*tied, *rest]
    rng.shuffle(nums)
    return (nums,)


def _close(rng: Random, task: Task) -> Args:
    """Numbers around 0 and the task's own number, where distances are easily confused."""
    nums = [*integers(rng, 5, -9, 9), *integers(rng, 5, -9, 9)]
    nums[5:] = [task.parameters["k"] + x for x in nums[5:]]
    rng.shuffle(nums)
    return (nums[: rng.randint(4, 10)],)


def _groups_of_ties(task: Task) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of the level's range in groups that tie."""
    names = ("key", "k", "group")
    return _groups(*(task.parameters[name] for name in names), task.level["largest"])


@lru_cache(maxsize=1024)
def _groups(key: str, k: int, group: str | None, largest: int) -> tuple[tuple[int, ...], ...]:
    groups: dict[tuple[bool, int], list[int]] = {}
    for x in range(-largest, largest + 1):
        after_group = group is not None and not GROUPS[group][1](x)
        groups.setdefault((after_group, KEYS[key][1](x, k)), []).append(x)
    return tuple(map(tuple, groups.values()))


def _two_that_tie(task: Task) -> Args:
    """The smallest of the largest group of ties, in ascending order."""
    return (list(max(_groups_of_ties(task), key=len)[:2]),)


def _two_that_tie_reversed(task: Task) -> Args:
    return (_two_that_tie(task)[0][::-1],)


def _repeated(rng: Random, task: Task) -> Args:
    """Values that occur several times."""
    largest = task.level["largest"]
    values = integers(rng, 4, -largest, largest)
    nums = [*values, *(rng.choice(values) for _ in range(rng.randint(2, 6)))]
    rng.shuffle(nums)
    return (nums,)


def _already_sorted(rng: Random, task: Task) -> Args:
    """In the order asked for, or its reverse."""
    (nums,) = _ordinary(rng, task)
    return (sorted(nums, reverse=rng.random() < 0.5),)


def oracle(
    nums: list[int],
    *,
    key: str,
    k: int,
    descending: bool,
    ties: str,
    unique: bool,
    limit: int | None,
    group: str | None,
) -> list[int]:
    """Sort by a tuple that spells the order out: group, key, tie, place in the list."""
    sign = -1 if descending else 1

    def rank(entry: tuple[int, int]) -> tuple[Any, ...]:
        place, x = entry
        after_group = group is not None and not GROUPS[group][1](x)
        return after_group, sign * KEYS[key][1](x, k), x if ties == "smaller" else place, place

    ordered = [x for _place, x in sorted(enumerate(nums), key=rank)]
    if unique:
        ordered = list(dict.fromkeys(ordered))
    return ordered if limit is None else ordered[:limit]


def _example(rng: Random, task: Task) -> Args:
    return (_ties(rng, task)[0][:6],)


TYPE = ProblemType(
    name="list_sort",
    family="easy",
    title="Sort a list",
    difficulty=(
        "What is sorted by: the value, then absolute value (3), distance (4), digits (5), "
        "remainders (6); repetitions removed (2, from 4), the order of ties (from 4), a limit "
        "(from 7), a group that goes first (from 9); longer lists. Below level 6 the orders are "
        "few, and splits differ in wording and names."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(_example, _example),
    edge_cases=(([],), _two_that_tie, _two_that_tie_reversed, ([6, 6, 6],), ([-12, 12, 2],)),
    inputs=(_ordinary, _ties, _repeated, _close, _already_sorted),
    tests=14,
)
