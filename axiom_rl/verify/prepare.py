"""A problem made ready for judging: its tests as bytes, its limits, and the rule that decides."""

from __future__ import annotations

import marshal
import unicodedata
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from axiom_rl.config import SandboxConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Status, TestCase
from axiom_rl.problems.registry import checker_for, unknown_name
from axiom_rl.problems.sources.assertions import TestCode, adapted, needs_code
from axiom_rl.sandbox.base import Limits, Outcome, RunRequest
from axiom_rl.sandbox.pool import Canary
from axiom_rl.verify.judge import Checker, Standard, judge, standard_of

Tests = Literal["hidden", "fresh", "public"]
"""Which tests of a problem judge; none stands in for another."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem's tests as requests need them; holds the problem, so that its id stays its own."""

    problem: Problem
    standard: Standard
    tests: tuple[bytes, ...]
    limits: Limits

    def request(self, code: str) -> RunRequest:
        """Return what the sandbox runs for a program."""
        problem = self.standard.problem
        program, entry_point = adapted(problem, problem.hidden_tests, code)
        name = unicodedata.normalize("NFKC", entry_point)  # as Python reads names
        return RunRequest(program, name, self.tests, self.limits)


def prepare(problem: Problem, config: SandboxConfig, which: Tests, test_code: TestCode) -> Prepared:
    """Marshal the tests of a problem and find the rule that judges it.

    Raises:
        AxiomError: if it has no such tests, arguments that are not plain values, or a checker
            that is not registered.
    """
    cases = _tests_of(problem, which)
    asked = replace(problem, hidden_tests=cases)
    decide = partial(test_code.replay, cases) if needs_code(problem, cases) else None
    checker = _checker_of(problem)
    try:
        tests = tuple(marshal.dumps(test.args) for test in cases)
        standard = standard_of(asked, checker, decide)
    except (ValueError, TypeError) as error:
        raise AxiomError(
            f"problem {problem.id}: arguments and expected values must be plain values "
            f"(None, bool, int, float, str, bytes, list, tuple, dict, set): {error}"
        ) from None
    cpu = config.time_limit_s if problem.time_limit_s is None else problem.time_limit_s
    memory = config.memory_mb if problem.memory_limit_mb is None else problem.memory_limit_mb
    limits = Limits(cpu, memory << 20, config.output_kb << 10, config.result_kb << 10)
    return Prepared(problem, standard, tests, limits)


def _tests_of(problem: Problem, which: Tests) -> tuple[TestCase, ...]:
    """Return the tests asked for; none stands in for another."""
    if which not in get_args(Tests):
        raise unknown_name("tests", which, get_args(Tests))
    cases: tuple[TestCase, ...] = getattr(problem, f"{which}_tests")
    if cases:
        return cases
    hint = "; axiom_rl.problems.with_fresh_tests draws them" if which == "fresh" else ""
    raise AxiomError(f"problem {problem.id} has no {which} tests, so nothing could be judged{hint}")


def _checker_of(problem: Problem) -> Checker | None:
    try:
        return checker_for(problem.checker)
    except AxiomError as error:
        raise AxiomError(f"problem {problem.id}: {error}") from None


def canaries(config: SandboxConfig, test_code: TestCode) -> tuple[Canary, ...]:
    """One right and one wrong program, judged by the same judge as every other."""
    test = TestCase(args=(20_000, [1, 2]), expected=(20_001, {"sum": 3}))
    problem = Problem(
        id="canary",
        type="canary",
        difficulty=1,
        split="train",
        title="canary",
        statement="",
        entry_point="f",
        public_tests=(),
        hidden_tests=(test, test),
    )
    prepared = prepare(problem, config, "hidden", test_code)
    limits = Limits(5.0, 256 << 20, 1 << 20, 1 << 20)

    def canary(code: str, status: Status) -> Canary:
        request = RunRequest(code, "f", prepared.tests, limits)
        return request, lambda outcome: _status(prepared, limits, outcome) is status

    right = 'def f(n, items):\n    return n + 1, {"sum": sum(items)}\n'
    wrong = 'def f(n, items):\n    return n, {"sum": sum(items)}\n'
    return canary(right, Status.ACCEPTED), canary(wrong, Status.WRONG_ANSWER)


def _status(prepared: Prepared, limits: Limits, outcome: Outcome) -> Status:
    return judge(prepared.standard, limits, outcome).status
