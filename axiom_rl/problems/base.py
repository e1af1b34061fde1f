"""What a problem type is: a statement, ten levels, a generator beside its oracle, edge cases.

A type is data and plain functions; `axiom_rl.problems.generate` turns it into problems. Types
hold no state and draw only from the random stream they are given, so a problem depends on
nothing but its type, level, split, seed and index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

LEVEL_COUNT = 10

Args = tuple[Any, ...]
"""Positional arguments of one call of the entry point."""
Level = Mapping[str, Any]
"""What one difficulty means: sizes and choices, by name."""
Checker = Callable[[Args, Any, Any], bool]
"""`checker(args, value, expected)`: is the returned value right? Must not raise on any value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one problem asks, without its tests."""

    statement: str
    """In our own words, with every convention that a test relies on; examples are added later."""
    entry_point: str
    signature: str
    """Parameter list, e.g. `(nums, target)`."""
    level: Level
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the oracle as keyword arguments, e.g. {"divisor": 7}."""
    identity: str = ""
    """What tells this task from the type's others; its hash decides the split it belongs to.
    Empty where a level has one task, which all splits then share (with different tests)."""


Draw = Callable[[Random, Task], Args]
"""Draws the arguments of one test; all values plain, none shared with an earlier draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """A family of tasks that the registry makes problems from."""

    name: str
    """Unique in the registry; a Python identifier."""
    family: str = "own"
    """What problems.family chooses it by; types of your own need none."""
    title: str
    """Two to four words for tables and reports."""
    difficulty: str
    """One or two sentences for the docs: what a higher level changes."""
    levels: tuple[Level, ...]
    """Ten rows, for difficulty 1 to 10 (see `levels`). The keys `time_limit_s` and
    `memory_limit_mb`, where a row has them, are the limits of its problems."""
    draw_task: Callable[[Random, Level], Task]
    """Chooses parameters, names and wording; `fixed_task` for a type with one task."""
    oracle: Callable[..., Any]
    """`oracle(*args, **task.parameters)`: the right answer, by an obviously right method."""
    examples: tuple[Args | Draw, ...]
    """Public tests: arguments, or functions that draw them. Never hidden or fresh tests."""
    edge_cases: tuple[Args | Callable[[Task], Args], ...]
    """Inputs in every test set of every split (there is one empty list): arguments, or functions
    of the task. Inputs of which there are many belong in `inputs`."""
    inputs: tuple[Draw, ...]
    """Kinds of random inputs, used in turn, so that each test set has every kind."""
    tests: int = 20
    """Hidden tests of a problem, edge cases included; more where there are more kinds of inputs,
    and edge cases alone where they are enough."""
    checker: Checker | None = None
    """For types with several right answers; None means plain equality."""
    small_input_space: str = ""
    """Why splits and fresh tests must share inputs, where there are too few of them (for the
    docs); such a type may have fewer tests than `tests`."""


def levels(**columns: tuple[Any, ...]) -> tuple[Level, ...]:
    """Turn named columns of ten values into the ten rows of `ProblemType.levels`.

    Raises:
        ValueError: if a column does not have ten values.
    """
    for name, values in columns.items():
        if len(values) != LEVEL_COUNT:
            raise ValueError(f"column {name!r} has {len(values)} values, not {LEVEL_COUNT}")
    return tuple(
        {name: values[row] for name, values in columns.items()} for row in range(LEVEL_COUNT)
    )


def fixed_task(statement: str, entry_point: str, signature: str) -> Callable[[Random, Level], Task]:
    """Return a `draw_task` for a type whose task is the same in every problem."""

    def draw_task(_rng: Random, level: Level) -> Task:
        return Task(statement=statement, entry_point=entry_point, signature=signature, level=level)

    return draw_task


def integers(rng: Random, count: int, low: int, high: int) -> list[int]:
    """Return `count` numbers of low..high, both included; several times faster than randint."""
    span = high - low + 1
    return [low + int(rng.random() * span) for _ in range(count)]
