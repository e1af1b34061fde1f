"""list_aggregate: one number from a list, as the statement says.

Problems differ in the aggregate, what each number is replaced by, the condition, the value for
no numbers, wording and name.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random
from typing import Any

from axiom_rl.problems.base import Args, Draw, Level, ProblemType, Task, levels
from axiom_rl.problems.types.easy import number_lists
from axiom_rl.problems.types.easy.list_filter import ALL, SIMPLE
from axiom_rl.problems.types.easy.predicates import (
    SAMPLE,
    Predicate,
    borders,
    describe,
    draw_predicate,
    meaning,
)

Number = int | float

AGGREGATES: dict[str, tuple[str, Callable[[list[int]], Number]]] = {
    "sum": ("the sum of {them}", sum),
    "min": ("the smallest of {them}", min),
    "max": ("the largest of {them}", max),
    "mean": ("the mean of {them} (a float)", lambda values: sum(values) / len(values)),
    "product": ("the product of {them}", prod),
    "range": ("the largest minus the smallest of {them}", lambda values: max(values) - min(values)),
    "count": ("the number of {them}", len),
}
"""Their wording, and their meaning for a non-empty list."""
TRANSFORMS: dict[str, tuple[str, Callable[[int], int]]] = {
    "square": ("x * x", lambda x: x * x),
    "absolute": ("its absolute value", abs),
    "double_plus_one": ("2 * x + 1", lambda x: 2 * x + 1),
    "negate": ("-x", lambda x: -x),
    "minus_seven": ("x - 7", lambda x: x - 7),
    "last_digit": ("its last decimal digit (sign aside)", lambda x: abs(x) % 10),
    "half": ("x // 2", lambda x: x // 2),
}
"""What each number x is replaced by: the wording, and the meaning."""

TELLING_DRAWS = 24

SELECTIONS = (
    "Take all numbers x of the list nums{condition}{change}.",
    "Consider the numbers x in the list nums{condition}{change}.",
    "Look at each number x of nums{condition}{change}.",
)
RESULTS = (
    "Return {result}, or {empty} if there are none.",
    "If there are none, return {empty}; otherwise {result}.",
)
NAMES = ("aggregate", "summarise", "reduce_list", "boil_down", "combine", "list_value", "digest")

PLAIN = ("sum", "min", "max", "product", "range", "mean")
EVERY = tuple(AGGREGATES)

LEVELS = levels(
    aggregates=(("sum", "min", "max"), PLAIN, *[EVERY] * 8),
    atoms=((), (), SIMPLE, SIMPLE, ALL, ALL, ALL, ALL, ALL, ALL),
    parts=(0, 0, 1, 1, 1, 1, 2, 2, 3, 3),
    transformed=(False, False, False, True, False, True, False, True, True, True),
    two_results=(False, False, False, False, False, False, False, False, False, True),
    length=(8, 8, 9, 9, 10, 10, 12, 12, 14, 16),
    largest=(30, 30, 30, 30, 40, 40, 50, 50, 60, 80),
)


def draw_task(rng: Random, level: Level) -> Task:
    """Choose aggregate, replacement, condition, value for no numbers, wording and name."""
    results = tuple(rng.sample(level["aggregates"], 2 if level["two_results"] else 1))
    predicate = draw_predicate(rng, level["atoms"], level["parts"]) if level["parts"] else None
    transforms = _useful_transforms(results, predicate) if level["transformed"] else ()
    transform = rng.choice(transforms) if transforms else None
    empty = _value_for_none(rng, results)
    name, opening, closing = rng.choice(NAMES), rng.choice(SELECTIONS), rng.choice(RESULTS)
    selection = opening.format(
        condition=f" for which {describe(predicate)}" if predicate else "",
        change=f", and replace each by {TRANSFORMS[transform][0]}" if transform else "",
    )
    words = [AGGREGATES[result][0] for result in results]
    # In brackets where there are two: one of them may have a minus of its own.
    result = (words[0] if len(words) == 1 else f"({words[0]}) minus ({words[1]})").format(
        them="them"
    )
    statement = f"{selection} {closing.format(result=result, empty=empty)}"
    parameters = {
        "results": results,
        "transform": transform,
        "predicate": predicate,
        "empty": empty,
    }
    return Task(
        statement=statement,
        entry_point=name,
        signature="(nums)",
        level=level,
        parameters=parameters,
        identity=repr(parameters) if predicate else f"{name} {statement}",
    )


def _useful_transforms(results: tuple[str, ...], predicate: Predicate | None) -> list[str]:
    """Return the replacements that can change the results."""
    if set(results) == {"count"}:
        return []
    differ_by_place = set(results) <= {"count", "range"} or (
        len(results) == 2 and set(results) <= {"mean", "min", "max"}
    )
    shifts = ("negate", "minus_seven", "absolute") if differ_by_place else ()
    numbers = SAMPLE if predicate is None else list(filter(meaning(predicate), SAMPLE))
    return [
        name
        for name, (_words, change) in TRANSFORMS.items()
        if name not in shifts and any(change(x) != x for x in numbers)
    ]


def _value_for_none(rng: Random, results: tuple[str, ...]) -> int | None:
    match results:
        case ("sum" | "count",):
            return 0
        case ("product",):
            return 1
        case _:
            return rng.choice((None, 0, -1))


def oracle(
    nums: list[int],
    *,
    results: tuple[str, ...],
    transform: str | None,
    predicate: Predicate | None,
    empty: int | None,
) -> Number | None:
    """Select, replace, then apply the definition of the aggregate."""
    values = nums if predicate is None else list(filter(meaning(predicate), nums))
    if transform is not None:
        values = [TRANSFORMS[transform][1](x) for x in values]
    if not values:
        return empty
    first, *rest = (AGGREGATES[result][1](values) for result in results)
    return first - rest[0] if rest else first


def _one_matching(task: Task) -> Args:
    """One number that counts, far from 0, and one that does not (where there is a condition)."""
    matching, others = number_lists.pools(task)
    return ([matching[0], *others[-1:]],)


def _border(which: int, step: int) -> Callable[[Task], Args]:
    """Return an edge case: the first (0) or last (-1) border of the condition, and a step."""
    return lambda task: _at_border(task, which, step)


def _at_border(task: Task, which: int, step: int) -> Args:
    """One number at the border; a range needs a second that counts."""
    number = borders(task.parameters["predicate"])[which] + step
    matching, _others = number_lists.pools(task)
    farthest = max(matching, key=lambda x: abs(x - number))
    return ([number, farthest] if "range" in task.parameters["results"] else [number],)


def _first_counts(rng: Random, task: Task) -> Args:
    return _telling(rng, task, _in_order, lambda nums: nums[1:], {})


def _last_counts(rng: Random, task: Task) -> Args:
    return _telling(rng, task, _in_order, lambda nums: nums[:-1], {})


def _in_order(rng: Random, task: Task) -> Args:
    """Numbers that count, from the smallest up or the largest down."""
    return (sorted(number_lists.all_match(rng, task)[0], reverse=rng.random() < 0.5),)


def _repetitions_count(rng: Random, task: Task) -> Args:
    if set(task.parameters["results"]) <= {"min", "max", "range"}:
        return number_lists.repeated(rng, task)
    return _telling(rng, task, number_lists.repeated, lambda nums: list(dict.fromkeys(nums)), {})


def _replacement_counts(rng: Random, task: Task) -> Args:
    if task.parameters["transform"] is None:
        return number_lists.all_match(rng, task)
    return _telling(rng, task, number_lists.all_match, list, {"transform": None})


def _left_decides(rng: Random, task: Task) -> Args:
    return _part_decides(rng, task, 1)


def _right_decides(rng: Random, task: Task) -> Args:
    return _part_decides(rng, task, 2)


def _part_decides(rng: Random, task: Task, part: int) -> Args:
    predicate = task.parameters["predicate"]
    if predicate is None or predicate[0] not in ("and", "or"):
        return number_lists.near_the_border(rng, task)

    def draw(rng: Random, task: Task) -> Args:
        return number_lists.part_decides(rng, task, part)

    return _telling(rng, task, draw, list, {"predicate": predicate[part]})


def _telling(
    rng: Random,
    task: Task,
    draw: Draw,
    change: Callable[[list[int]], list[int]],
    changed: dict[str, Any],
) -> Args:
    """Draw until the answer is another for changed numbers or parameters, if it ever is."""
    for _ in range(TELLING_DRAWS):
        args = draw(rng, task)
        answer = oracle(*args, **task.parameters)
        if answer != oracle(change(args[0]), **{**task.parameters, **changed}):
            return args
    return number_lists.ordinary(rng, task)


TYPE = ProblemType(
    name="list_aggregate",
    family="easy",
    title="Aggregate a list",
    difficulty=(
        "The aggregate alone (1, 2), then a condition on the numbers (from 3), what they are "
        "replaced by (4, 6, from 8), two conditions joined (7), three and two aggregates (10)."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(number_lists.mixed, number_lists.mixed),
    edge_cases=(
        ([],),
        _one_matching,
        *(_border(which, step) for which in (0, -1) for step in (-1, 0, 1)),
    ),
    inputs=(
        number_lists.ordinary,
        number_lists.near_the_border,
        _first_counts,
        _last_counts,
        _repetitions_count,
        _replacement_counts,
        _left_decides,
        _right_decides,
        number_lists.all_negative,
        number_lists.none_matches,
    ),
    tests=14,
)
