"""Asserts become arguments for the sandbox and values, or conditions, that stay in the parent."""

from __future__ import annotations

import random
from typing import Any

import pytest

from axiom_rl.core.types import TestCase
from axiom_rl.problems.registry import checker_for
from axiom_rl.problems.sources.assertions import Unconvertible, check, convert, is_condition


def converted(test_code: str, **names: Any) -> list[TestCase]:
    return list(convert(test_code, "f", namespace=names))


def test_plain_asserts_become_values() -> None:
    cases = converted("assert f([1, 2] * 2, 'a') == 3 + 4, 'message'\nassert f(-1) is None")
    assert cases == [
        TestCase(args=([1, 2, 1, 2], "a"), expected=7),
        TestCase(args=(-1,), expected=None),
    ]
    assert not any(is_condition(case.expected) for case in cases)


def test_loops_variables_and_the_reference_are_evaluated() -> None:
    cases = converted(
        "def check(candidate):\n"
        "    xs = [3, 4]\n"
        "    for x in xs:\n"
        "        assert f(x, xs) == reference(x)\n"
        "        xs[0] += 1\n",
        reference=lambda x: -x,
    )
    assert cases == [
        TestCase(args=(3, [3, 4]), expected=-3),
        TestCase(args=(4, [4, 4]), expected=-4),
    ]


def test_random_inputs_are_the_same_each_time_and_leave_the_stream_alone() -> None:
    code = "import random\nfor _ in range(5):\n    x = random.random()\n    assert f(x) == x"
    random.seed(7)
    before = random.getstate()
    assert converted(code) == converted(code)
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("assertion", "right", "wrong"),
    [
        ("abs(f(1.33) - 0.33) < 1e-6", [0.33, 0.3300001], [0.34, None, "0.33", [], float("nan")]),
        ("f(2)", [True, 1, "yes"], [False, 0, None, ""]),
        ("not f(2)", [False, 0, None], [True, "no"]),
        ("tuple(f(1)) == (1, 2)", [[1, 2], (1, 2)], [[2, 1], None, 12]),
        ("int(f(5, 3)) == 35", [35, 35.2, "35"], [34, "x", None]),
        ("f(0) in (1, 2)", [1, 2], [3, [1]]),
        ("math.fabs(double(f(0)) - 4) < 0.1", [2, 2.01], [3, "2"]),
    ],
)
def test_conditions_are_decided_over_the_value(
    assertion: str, right: list[Any], wrong: list[Any]
) -> None:
    setup = "import math\ndef double(x):\n    return 2 * x"
    (case,) = convert(f"assert {assertion}", "f", namespace=names_of(setup), setup=setup)
    assert is_condition(case.expected)
    for value in right:
        assert check(case.args, value, case.expected) is True, value
    for value in wrong:
        assert check(case.args, value, case.expected) is False, value


def names_of(setup: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(setup, names)
    return names


def test_values_and_conditions_of_one_task_are_decided_alike() -> None:
    cases = converted("assert f(1) == [2]\nassert f(3) < 4")
    assert [is_condition(case.expected) for case in cases] == [False, True]
    assert [
        check(case.args, value, case.expected) for case, value in zip(cases, ([2], 3), strict=True)
    ]
    assert not check(cases[0].args, (2,), cases[0].expected)


def test_a_result_that_is_stored_first() -> None:
    (case,) = converted("for x in [5]:\n    y = f(x)\n    assert abs(y - x) < 1")
    assert case.args == (5,)
    assert check(case.args, 5.5, case.expected)
    assert not check(case.args, 6.5, case.expected)


@pytest.mark.parametrize(
    "code",
    [
        "assert f(f(1)) == 1",
        "assert f(x=1) == 1",
        "assert f(object()) == 1",
        "assert f(1) == object()",
        "assert f(int) == 1",
    ],
)
def test_what_cannot_be_converted_is_refused(code: str) -> None:
    with pytest.raises(Unconvertible):
        converted(code)


def test_the_verifier_finds_the_checker_by_the_problems_type() -> None:
    assert checker_for("humaneval") is checker_for("mbpp") is check
