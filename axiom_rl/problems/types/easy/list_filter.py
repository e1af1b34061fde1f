"""list_filter: the numbers of a list that meet the condition of the statement, in order.

Problems differ in the condition (atoms, borders, and / or / but not, places), wording and name.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from axiom_rl.problems.base import Args, Level, ProblemType, Task, levels
from axiom_rl.problems.types.easy import number_lists
from axiom_rl.problems.types.easy.predicates import (
    Predicate,
    borders,
    describe,
    draw_predicate,
    meaning,
)

WORDINGS = (
    "Return a new list of all numbers x in nums such that {condition}, in their original order.",
    "Keep the numbers x of the list nums for which {condition}. Return them as a new list, order "
    "unchanged.",
    "From the list nums, pick every x where {condition}; return the picked numbers as a list, in "
    "the order of nums.",
    "Go through the list nums and return a list of each number x that meets this condition: "
    "{condition}. The order stays the same.",
)
NAMES = ("select", "keep_numbers", "pick", "filter_list", "choose", "matching", "sift", "only_some")

COMPARISONS = ("above", "below", "at_least", "at_most", "between", "outside")
SIMPLE = (*COMPARISONS, "even", "odd", "positive", "negative")
DIVISIONS = ("even", "odd", "multiple", "not_multiple", "remainder")
ALL = (*SIMPLE, *DIVISIONS, "far", "near", "last_digit", "digit_sum")

LEVELS = levels(
    atoms=(SIMPLE, (*COMPARISONS, *DIVISIONS), ALL, SIMPLE, ALL, ALL, ALL, ALL, ALL, ALL),
    parts=(1, 1, 1, 2, 2, 2, 2, 3, 3, 3),
    with_place=(False, False, False, False, False, True, True, False, True, True),
    length=(10, 10, 12, 12, 14, 16, 20, 24, 28, 32),
    largest=(30, 30, 40, 40, 50, 50, 60, 80, 100, 100),
)

PLACES: dict[str, tuple[str, Callable[[list[int], int], bool]]] = {
    "even_index": ("its index in nums is even", lambda nums, place: place % 2 == 0),
    "odd_index": ("its index in nums is odd", lambda nums, place: place % 2 == 1),
    "once": ("x occurs exactly once in nums", lambda nums, place: nums.count(nums[place]) == 1),
    "rises": (
        "x is greater than the number just before it in nums (the first number never counts)",
        lambda nums, place: place > 0 and nums[place] > nums[place - 1],
    ),
    "falls": (
        "x is less than the number just before it in nums (the first number never counts)",
        lambda nums, place: place > 0 and nums[place] < nums[place - 1],
    ),
    "seen": ("x also occurs earlier in nums", lambda nums, place: nums[place] in nums[:place]),
}
"""Conditions on where a number stands: their wording, and `holds(nums, place)`."""


def draw_task(rng: Random, level: Level) -> Task:
    """Choose a condition, wording and name."""
    predicate = draw_predicate(rng, level["atoms"], level["parts"])
    place = rng.choice(tuple(PLACES)) if level["with_place"] else None
    condition = describe(predicate)
    if place is not None:
        words = f"({condition})" if level["parts"] > 1 else condition
        condition = f"{words} and {PLACES[place][0]}"
    return Task(
        statement=rng.choice(WORDINGS).format(condition=condition),
        entry_point=rng.choice(NAMES),
        signature="(nums)",
        level=level,
        parameters={"predicate": predicate, "place": place},
        identity=repr((predicate, place)),
    )


def oracle(nums: list[int], *, predicate: Predicate, place: str | None) -> list[int]:
    """Ask the condition about each number."""
    counts = meaning(predicate)
    if place is None:
        return [x for x in nums if counts(x)]
    stands_right = PLACES[place][1]
    return [x for index, x in enumerate(nums) if counts(x) and stands_right(nums, index)]


def _last_counts(rng: Random, task: Task) -> Args:
    """The last number is kept."""
    while True:
        kind = rng.choice((number_lists.all_match, number_lists.repeated, number_lists.ordinary))
        args = kind(rng, task)
        if len(oracle(*args, **task.parameters)) > len(oracle(args[0][:-1], **task.parameters)):
            return args


def _left_decides(rng: Random, task: Task) -> Args:
    return _part_decides(rng, task, 1)


def _right_decides(rng: Random, task: Task) -> Args:
    return _part_decides(rng, task, 2)


def _part_decides(rng: Random, task: Task, part: int) -> Args:
    """The answer is another if one part of a joined condition stands for the whole."""
    predicate = task.parameters["predicate"]
    if predicate[0] not in ("and", "or"):
        return number_lists.near_the_border(rng, task)
    part_alone = {**task.parameters, "predicate": predicate[part]}
    while True:
        args = number_lists.part_decides(rng, task, part)
        if oracle(*args, **task.parameters) != oracle(*args, **part_alone):
            return args


def _around_the_border(task: Task) -> Args:
    """Every number within 1 of the condition's borders."""
    return ([k + step for k in borders(task.parameters["predicate"]) for step in (1, 0, -1)],)


TYPE = ProblemType(
    name="list_filter",
    family="easy",
    title="Filter a list",
    difficulty=(
        "The condition: comparisons, then remainders (2), digits (3), two conditions joined (4), "
        "where a number stands (6, 7, 9, 10), three conditions (from 8); longer lists."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(number_lists.mixed, number_lists.mixed),
    edge_cases=(([],), _around_the_border),
    inputs=(
        number_lists.ordinary,
        number_lists.near_the_border,
        number_lists.repeated,
        _left_decides,
        _right_decides,
        number_lists.all_match,
        number_lists.none_matches,
        _last_counts,
        number_lists.ordinary,
    ),
    tests=14,
)
