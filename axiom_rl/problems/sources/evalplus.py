"""Tests of EvalPlus's own files (Liu et al. 2023, arXiv 2305.01210): inputs without answers.

The answers are those of the row's reference. JSON has neither tuples, sets nor complex numbers;
which tasks of MBPP+ take some is EvalPlus's table (`evalplus.data.mbpp`, Apache-2.0), and what its
harness asks of tasks without one right answer is `evalplus.eval`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from axiom_rl.core.types import TOLERANCE_RULE, TestCase, is_tolerance
from axiom_rl.problems.sources.assertions import TestCode, Unconvertible

TOLERANCE = 1e-6
"""Absolute, of floats, where a row names none."""

_AS_SETS = "set({value}) == set(expected)"
OPEN_ANSWERS = {
    "HumanEval/32": "abs(poly(*args, {value})) <= 1e-4",
    **dict.fromkeys(
        ["MBPP/111", "MBPP/140", "MBPP/232", "MBPP/249", "MBPP/579", "MBPP/769"], _AS_SETS
    ),
    "MBPP/164": "[{value}]",  # any answer
    "MBPP/295": "{value} in (expected, 0)",
    "MBPP/558": "{value} in (expected, _digits_apart(*args))",
    "MBPP/581": "_close(value := {value}, expected, tolerance)"
    " or abs(value - _surface(*args)) <= tolerance",
}
"""Tasks without one right answer, with what the harness asks instead."""

_Read = Callable[[Any], Any]


def tests_of_inputs(
    row: Mapping[str, Any], code: TestCode, program: str, function: str
) -> tuple[TestCase, ...]:
    """Return the test cases of a row with `base_input`, answered by its reference.

    Raises:
        Unconvertible: naming what is wrong with the inputs, or what the answers cannot be.
    """
    inputs = [*row["base_input"], *(row.get("plus_input") or [])]
    if not inputs or not all(isinstance(args, list) for args in inputs):
        raise Unconvertible("base_input must be a list of lists of arguments")
    inputs = [_arguments(row["task_id"], args) for args in inputs]
    answers = code.answers(program, function, inputs)
    if not is_tolerance(tolerance := row.get("atol") or 0):
        raise Unconvertible(f"atol {tolerance!r:.40}: {TOLERANCE_RULE}")
    exact = not tolerance and not any(map(_has_float, answers))
    if exact and row["task_id"] not in OPEN_ANSWERS:
        return tuple(
            TestCase(tuple(args), value) for args, value in zip(inputs, answers, strict=True)
        )
    condition = OPEN_ANSWERS.get(row["task_id"], "_close({value}, expected, tolerance)")
    source = _TESTS.format(
        inputs=list(zip(inputs, answers, strict=True)),
        tolerance=tolerance or TOLERANCE,
        condition=condition.format(value="candidate(*args)"),
    )
    return code.record(program, source, function)


_TESTS = """
from math import inf, nan

def _close(value, expected, tolerance):
    if value == expected:
        return True
    if isinstance(expected, (list, tuple)):
        return (type(value) is type(expected) and len(value) == len(expected)
                and all(_close(*pair, tolerance) for pair in zip(value, expected)))
    return abs(value - expected) <= tolerance + 1e-7 * abs(expected)

def _digits_apart(one, other):
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width))
    return sum(abs(int(a) - int(b)) for a, b in pairs)

def _surface(edge, height):
    return round(edge ** 2 + 2 * edge * ((edge / 2) ** 2 + height ** 2) ** 0.5)

def check(candidate):
    tolerance = {tolerance!r}
    for args, expected in {inputs!r}:
        assert {condition}
"""


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_has_float, value))
    if isinstance(value, dict):
        return any(map(_has_float, (*value, *value.values())))
    return isinstance(value, float)


def _arguments(task_id: str, args: list[Any]) -> list[Any]:
    """Return arguments as the task takes them; the last of its readers is for all that follow."""
    readers = _READERS.get(task_id, (_same,))
    more = [readers[-1]] * (len(args) - len(readers))
    try:
        return [read(value) for read, value in zip([*readers, *more], args, strict=False)]
    except (TypeError, ValueError) as error:
        raise Unconvertible(f"its inputs are not those of EvalPlus's {task_id}: {error}") from None


def _same(value: Any) -> Any:
    return value


def _tuple_of(each: _Read) -> _Read:
    return lambda value: tuple(map(each, value)) if isinstance(value, list) else value


def _list_of(each: _Read) -> _Read:
    return lambda value: list(map(each, value)) if isinstance(value, list) else value


def _deep_tuple(value: Any) -> Any:
    return _tuple_of(_deep_tuple)(value)


def _set(value: Any) -> Any:
    return set(value) if value else {}  # as EvalPlus does: an empty one is a dict


def _dict_of_tuples(value: Any) -> Any:
    return {key: _tuple(item) for key, item in value.items()} if isinstance(value, dict) else value


_tuple = _tuple_of(_same)
_tuples = _list_of(_tuple)


def _readers() -> Iterator[tuple[str, tuple[_Read, ...]]]:
    for numbers, readers in (
        (
            "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
            (_tuple,),
        ),
        ("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780", (_tuples,)),
        ("75 413 444 753", (_tuples, _same)),
        ("106 750", (_same, _tuple)),
        ("115", (_list_of(_set),)),
        ("124", (float, complex)),
        ("252", (complex,)),
        ("250 307 405 446 617 720 763 808", (_tuple, _same)),
        ("259 278 401 445", (_tuple_of(_tuple),)),
        ("722", (_dict_of_tuples, _same)),
        ("580 615 791", (_deep_tuple,)),
    ):
        yield from ((f"MBPP/{number}", readers) for number in numbers.split())


_READERS = dict(_readers())
"""How the arguments of MBPP+'s tasks are read, where JSON cannot say it."""
