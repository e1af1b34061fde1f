"""Test code becomes arguments for the sandbox and decisions, which stay out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, Status, TestCase
from axiom_rl.problems.registry import checker_for
from axiom_rl.problems.sources.assertions import (
    ASSERTIONS,
    EXACT,
    TestCode,
    Unconvertible,
    check,
    is_condition,
    needs_code,
)
from axiom_rl.verify import Verifier


@pytest.fixture(scope="module")
def code() -> Iterator[TestCode]:
    with TestCode(seconds=0.5) as code:
        yield code


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_config().sandbox) as verifier:
        yield verifier


def function(body: str) -> str:
    return f"def f(x, y=1):\n    {body}\n"


def problem_of(tests: tuple[TestCase, ...]) -> Problem:
    scripted = any(is_condition(test.expected) for test in tests)
    return Problem(
        id="x", type="humaneval", difficulty=1, split="test", title="", statement="",
        entry_point="f", public_tests=(), hidden_tests=tests,
        checker=ASSERTIONS if scripted else EXACT,
    )  # fmt: skip


def test_plain_asserts_become_values(code: TestCode) -> None:
    tests = "assert f([1, 2] * 2, 'a') == 3 + 4, 'message'\nassert f(-1) is None\nassert True"
    program = function("return 7 if x == [1, 2, 1, 2] else None")
    assert code.record(program, tests, "f") == (
        TestCase(args=([1, 2, 1, 2], "a"), expected=7),
        TestCase(args=(-1,), expected=None),
    )


def test_loops_variables_setup_and_keywords_are_evaluated(code: TestCode) -> None:
    tests = (
        "def check(candidate):\n"
        "    xs = [3, 4]\n"
        "    for x in xs:\n"
        "        assert candidate(y=xs, x=x) == twice(x)\n"
        "        xs[0] += 1\n"
    )
    program = function("return 2 * x") + "def twice(n):\n    return f(n)\n"
    assert code.record(program, tests, "f") == (
        TestCase(args=(3, [3, 4]), expected=6),
        TestCase(args=(4, [4, 4]), expected=8),
    )


def test_random_inputs_are_the_same_each_time(code: TestCode) -> None:
    tests = "import random\nfor _ in range(5):\n    v = random.random()\n    assert f(v) == v"
    assert code.record(function("return x"), tests, "f") == code.record(
        function("return x"), tests, "f"
    )


JUDGED: dict[str, tuple[str, str, str]] = {
    "math.isclose": (
        "import math\nassert math.isclose(f(1.0), 0.1 + 0.2)",
        "return .3",
        "return 1",
    ),
    "a helper": (
        "def near(a): return abs(a - 4) < 1e-6\nassert near(f(2))",
        "return 4",
        "return 5",
    ),
    "a helper's assert": (
        "def same(a, b):\n    assert a == b\nfor n in (1, 2): same(f(n), n)",
        "return x",
        "return 1",
    ),
    "a lambda": (
        "ok = lambda v: v in (1, 2)\nassert ok(f(2))",
        "return 1",
        "return 5",
    ),
    "a type": (
        "assert type(f(1)) is int\nassert f(3) == 3",
        "return x",
        "return float(x)",
    ),
    "a generator": (
        "assert list(f(3)) == [0, 1]",
        "yield from range(2)",
        "yield 0",
    ),
    "its next item": (
        "g = f(3)\nassert next(g) == 0",
        "yield from range(2)",
        "yield 1",
    ),
    "keys": (
        "assert sorted(f({1: 2})) == [1]",
        "return x.keys()",
        "return x.values()",
    ),
    "values": (
        "assert sorted(f({1: 2})) == [2]",
        "return x.values()",
        "return x.keys()",
    ),
    "items": (
        "assert set(f({1: 2})) == {(1, 2)}",
        "return x.items()",
        "return x.keys()",
    ),
    "a range": (
        "assert f(3) == range(3) and len(f(9)) == 9",
        "return range(x)",
        "return range(x + 1)",
    ),
    "a deque": (
        "assert list(f([1, 2])) == [2, 1]",
        "import collections as c; return c.deque(reversed(x))",
        "import collections as c; return c.deque(x)",
    ),
    "a match": (
        "assert f('abc')",
        "import re; return re.match('a', x)",
        "import re; return re.match('b', x)",
    ),
    "a match's group": (
        "assert f('abc').group(0) == 'a'",
        "import re; return re.match('.', x)",
        "return x",
    ),
    "all": (
        "assert all(f(v) for v in (1, 2, 3))\nassert not f(-1)",
        "return x > 0",
        "return x != 2",
    ),
    "two calls": (
        "assert f(1) + f(2) == 3\nassert f(5) == 5",
        "return x",
        "return 3 - x",
    ),
    "equal calls": (
        "assert f(1) == f(-1)",
        "return abs(x)",
        "return x",
    ),
    "in place": (
        "v = [3, 1]\nf(v)\nassert v == [1, 3]",
        "x.sort()",
        "return sorted(x)",
    ),
    "in place, where the reference changes nothing": (
        "v = [1]\nassert f(v) == [1, 2] and v == [1]",
        "return x + [2]",
        "x.append(2); return x",
    ),
    "a fraction": (
        "assert f(1) in (0.5, 2)",
        "import fractions; return fractions.Fraction(1, 2)",
        "import fractions; return [fractions.Fraction(1, 3)]",
    ),
    "a decimal": (
        "from decimal import Decimal\nassert f(1) == Decimal('0.5')",
        "import decimal; return decimal.Decimal('0.5')",
        "import decimal; return decimal.Decimal('0.6')",
    ),
    "another type": (
        "assert tuple(f(1)) == (1, 2)",
        "return [1, 2]",
        "return [2, 1]",
    ),
    "a raise": (
        "if f(1) != 1:\n    raise AssertionError",
        "return 1",
        "return 2",
    ),
    "gathered": (
        "out = [f(v) for v in (1, 2)]\nassert out == [1, 4]",
        "return x * x",
        "return x",
    ),
    "NaN": (
        "import math\nassert math.isnan(f(float('nan')))",
        "return x",
        "return 0.0",
    ),
    "sets in any order": (
        "for w in {'a', 'b', 'c'}:\n    assert f(w) in {w}",
        "return x",
        "return 'a'",
    ),
    "drawn inputs": (
        "import random\nv = random.random()\nassert abs(f(v) - v) < 1e-9",
        "return x",
        "return 0.5",
    ),
    "a large integer": (
        "assert f(10 ** 5000) == 10 ** 5000 + 1",
        "return x + 1",
        "return x",
    ),
    "half a pair": (
        "assert f('\\ud800') == '\\ud800'",
        "return x",
        "return '?'",
    ),
    "a conversion": ("assert int(f(5)) == 35", "return 35.5", "return 36"),
    "exactly": (
        "assert f(1) == 0.3",
        "return 0.3",
        "return 0.1 + 0.2",
    ),
    "unpacked": (
        "a, b = f(1)\nassert a < b",
        "return 1, 2",
        "return 2, 1",
    ),
    "a value outside an assert": (
        "v = f(1)[0]\nassert v == 1",
        "return [x]",
        "return []",
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_test_code_decides(name: str, code: TestCode, verifier: Verifier) -> None:
    tests, right, wrong = JUDGED[name]
    problem = problem_of(code.record(function(right), tests, "f"))
    programs = [function(right), function(wrong), function("1 / 0"), "def g(): pass"]
    verdicts = verifier.verify([(problem, program) for program in programs])
    assert [verdict.status for verdict in verdicts] == [
        Status.ACCEPTED, Status.WRONG_ANSWER, Status.RUNTIME_ERROR, Status.NO_CODE
    ]  # fmt: skip
    assert verdicts[3].detail == "the code defines no function f"


def test_a_program_may_use_any_name_and_end_anyhow(code: TestCode, verifier: Verifier) -> None:
    problem = problem_of(code.record(function("return x"), "assert f(2) in (2, 3)", "f"))
    names = "callable = globals = builtins = itertools = re = list = type = isinstance = args = 1\n"
    endings = ["", "# the end", "x = 1 \\", "if True:\n    pass", "\x0c", "f.done = True"]
    programs = [names + function("return x") + ending for ending in endings]
    verdicts = verifier.verify([(problem, program) for program in programs])
    assert [verdict.status for verdict in verdicts] == [Status.ACCEPTED] * len(endings)


def test_an_assert_fails_its_own_calls_alone(code: TestCode, verifier: Verifier) -> None:
    tests = "assert abs(f(1) - 1) < .1\nassert f(2) + f(3) > 4\nassert all(map(f, [4, 5]))"
    problem = problem_of(code.record(function("return x"), tests, "f"))
    programs = ["return 0 if x == 2 else x", "return 1 / (x - 2)", "return 0 if x == 4 else x"]
    verdicts = verifier.verify([(problem, function(program)) for program in programs])
    passed = [[case.passed for case in verdict.cases] for verdict in verdicts]
    assert passed == [
        [True, False, False, True, True],
        [False, False, False, True, True],
        [True, True, True, False, False],
    ]


REFUSED = {
    "import sys\nsys.exit(0)": "exits",
    "import os\nos._exit(0)": "ends its process with status 0",
    "while True: pass": "takes more than 0.5 s",
    "input()\nassert f(1) == 1": "raises EOFError",
    "import no_such_module\nassert f(1) == 1": "needs the module no_such_module",
    "assert f(1 ==": "raises SyntaxError",
    "x = 1\nassert f(1) == 2": "reference fails the assert in line 2",
    "raise ValueError('m' * 10 ** 7)": "raises ValueError: mmm",
    "def g(): return g()\ng()": "raises RecursionError",
    "v = 'a' * (1 << 35)": "raises MemoryError",
    "print(f(1))": "its tests assert nothing",
    "assert True": "its tests never call f",
    "assert f(f(1)) == 1": "calls f with, or because of, what it returned",
    "v = f(1)\nw = v + 1\nassert f(w) == 2": "calls f with, or because of, what it returned",
    "assert f(object())": "needs a value of type object",
    "assert f(lambda v: v)": "needs a value of type function",
    "v = []\nfor _ in range(300): v = [v]\nassert f(v) == v": "nested deeper than 150",
    "try:\n    f('a')\n    assert False\nexcept TypeError:\n    pass": "reference raises TypeError",
}


@pytest.mark.parametrize("tests", REFUSED)
def test_what_cannot_be_judged_is_refused_by_name(tests: str, code: TestCode) -> None:
    program = "def f(x):\n    return x if isinstance(x, (list, bool)) else abs(x)\n"
    with pytest.raises(Unconvertible, match=REFUSED[tests]) as error:
        code.record(program, tests, "f")
    assert len(str(error.value)) < 300
    assert code.record(program, "assert f(-1) == 1", "f"), "the next row has its turn"


@pytest.mark.slow
def test_a_value_that_keeps_test_code_busy_is_wrong_and_holds_up_nobody(
    code: TestCode, verifier: Verifier
) -> None:
    slow = "v = f(1)\nwhile v == 99: pass\nassert abs(v) == 0"
    tests = code.record(function("return 0"), slow, "f")
    assert code.replay(tests, {0: 99}) == [False]
    assert code.replay(tests, {0: 0}) == [True]
    waits = verifier.submit((problem_of(tests), function("return 99")))
    started = time.monotonic()
    other = problem_of((TestCase(args=(1,), expected=1),))
    assert verifier.verify([(other, function("return x"))])[0].passed
    assert time.monotonic() - started < 5
    assert not waits.done()


@pytest.mark.slow
def test_a_process_killed_from_outside_costs_a_try_and_no_verdict() -> None:
    with TestCode() as code:
        tests = code.record(function("return 0"), "assert abs(f(1)) < 1", "f")
        process: Any = code._process
        process.kill()
        assert code.replay(tests, {0: 0}) == [True]
        waits = "import time\nv = f(1)\nif v == 99: time.sleep(60)\nassert abs(v) < 1"
        tests = code.record(function("return 0"), waits, "f")
        killed: Any = code._process
        Timer(0.5, killed.kill).start()
        Timer(1.5, lambda: code._process and code._process.kill()).start()
        assert code.replay(tests, {0: 99}) == [False], "twice"


@pytest.mark.slow
def test_closing_waits_for_no_test_code(code: TestCode) -> None:
    waits = "import time\nv = f(1)\nif v == 99: time.sleep(60)\nassert abs(v) < 1"
    problem = problem_of(code.record(function("return 0"), waits, "f"))
    with Verifier(load_config("sandbox.servers=1").sandbox) as verifier:
        futures = [verifier.submit((problem, function("return 99"))) for _ in range(3)]
        time.sleep(1.0)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    for future in futures:
        assert future.exception(timeout=1) is not None, "no verdict is made up"


def test_checkers_of_benchmarks_are_registered() -> None:
    assert checker_for(EXACT) is checker_for(ASSERTIONS) is check
    assert check((), [1], [1])
    assert not check((), [1], {"condition": None})
    assert not needs_code(problem_of((TestCase(args=(), expected=1),)), ())


def test_values_of_any_kind_are_compared_as_python_does() -> None:
    for value, expected, right in (
        (True, 1, True), (1.0, 1, True), ((1,), [1], False), (0.1 + 0.2, 0.3, False)
    ):  # fmt: skip
        assert check((), value, expected) is right


def test_one_process_is_used_and_none_is_left() -> None:
    with TestCode() as code:
        for _ in range(3):
            code.record("def f(): return 1", "assert f() == 1", "f")
        process: Any = code._process
    assert process.returncode is not None


def test_a_stored_or_converted_value_is_no_plain_equality(code: TestCode) -> None:
    for tests in (
        "assert int(f(1)) == 0",
        "v = f(1)\nassert abs(v) == 0",
        "assert (0,) == (f(1),)",
    ):
        (test,) = code.record(function("return 0"), tests, "f")
        assert is_condition(test.expected), tests
        assert code.replay([test], {0: 0.0}) == [True]
    (test,) = code.record(function("return 0"), "assert 0 == f(1)", "f")
    assert test == TestCase(args=(1,), expected=0)
