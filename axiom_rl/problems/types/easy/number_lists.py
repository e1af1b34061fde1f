"""Lists of integers that put a predicate to the test; shared by the list types.

They read `predicate` from the task's parameters (None for a task without a condition), and
`length` and `largest` from its level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import filterfalse
from random import Random

from axiom_rl.problems.base import Args, Task, integers
from axiom_rl.problems.types.easy.predicates import Predicate, borders, meaning


def ordinary(rng: Random, task: Task) -> Args:
    """Any numbers."""
    largest = task.level["largest"]
    return (integers(rng, rng.randint(4, task.level["length"]), -largest, largest),)


def near_the_border(rng: Random, task: Task) -> Args:
    """Numbers within 1 of those that the condition mentions, or of 0, and some others."""
    largest = task.level["largest"]
    near = _near(task.parameters["predicate"])
    nums = _choices(rng, near, rng.randint(4, task.level["length"]))
    nums += integers(rng, 3, -largest, largest)
    rng.shuffle(nums)
    return (nums,)


def repeated(rng: Random, task: Task) -> Args:
    """A few values several times, at least one of them kept by the condition, none in a row."""
    matching, others = pools(task)
    values = [*_choices(rng, matching, 2), *_choices(rng, others or matching, 1)]
    nums = _choices(rng, values, rng.randint(3, task.level["length"]))
    return ([*values, *nums, *values],)


def mixed(rng: Random, task: Task) -> Args:
    """A short list, half of which meets the condition: good to show in a prompt."""
    matching, others = pools(task)
    nums = [*_choices(rng, matching, 3), *_choices(rng, others or matching, 3)]
    rng.shuffle(nums)
    return (nums,)


def all_match(rng: Random, task: Task) -> Args:
    """Every number meets the condition."""
    matching, _others = pools(task)
    return (_choices(rng, matching, rng.randint(3, task.level["length"])),)


def none_matches(rng: Random, task: Task) -> Args:
    """No number meets the condition; any numbers where there is none."""
    _matching, others = pools(task)
    if not others:
        return ordinary(rng, task)
    return (_choices(rng, others, rng.randint(3, task.level["length"])),)


def part_decides(rng: Random, task: Task, part: int) -> Args:
    """Numbers for which part 1 or 2 of a joined condition says otherwise than the whole."""
    predicate = task.parameters["predicate"]
    if predicate is None or predicate[0] not in ("and", "or"):
        return near_the_border(rng, task)
    telling = _telling(predicate, predicate[part], task.level["largest"])
    return (_choices(rng, telling, rng.randint(3, 6)),)


def all_negative(rng: Random, task: Task) -> Args:
    """Numbers below 0 alone, for those who start a maximum at 0."""
    largest = task.level["largest"]
    return (integers(rng, rng.randint(3, task.level["length"]), -largest, -1),)


def _choices(rng: Random, values: Sequence[int], count: int) -> list[int]:
    return [values[int(rng.random() * len(values))] for _ in range(count)]


def pools(task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of the level's range that meet the condition, and those that do not."""
    return _divide(task.parameters["predicate"], task.level["largest"])


@lru_cache(maxsize=1024)
def _divide(predicate: Predicate | None, largest: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    everything = tuple(range(-largest, largest + 1))
    if predicate is None:
        return everything, ()
    counts = meaning(predicate)
    return tuple(filter(counts, everything)), tuple(filterfalse(counts, everything))


@lru_cache(maxsize=1024)
def _telling(whole: Predicate, part: Predicate, largest: int) -> tuple[int, ...]:
    everything = range(-largest, largest + 1)
    first, second = meaning(whole), meaning(part)
    return tuple(x for x in everything if first(x) != second(x))


@lru_cache(maxsize=1024)
def _near(predicate: Predicate | None) -> tuple[int, ...]:
    found = borders(predicate)
    if found == [0]:
        return tuple(range(-4, 5))
    return tuple(sign * k + step for k in found for sign in (1, -1) for step in (-1, 0, 1))
