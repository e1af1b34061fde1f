"""A problem's public side: all that a search may know, in a type that has no place for more."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.examples import examples_in
from axiom_rl.problems.sources.assertions import is_condition
from axiom_rl.verify.compare import values_match


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicProblem:
    """What a user has who wants a program: a statement, its examples, and limits.

    Hidden and fresh tests have no field here, so no search can meet one.
    """

    id: str
    type: str
    """Name of the generator or source; nothing is generated from it."""
    title: str
    statement: str
    entry_point: str
    signature: str
    public_tests: tuple[TestCase, ...]
    time_limit_s: float | None = None
    memory_limit_mb: int | None = None
    from_json: bool = False
    tolerance: float | None = None
    checker: str | None = None
    """Rule by which a returned value passes an example, where several are right."""
    unread_examples: int = 0
    """Examples in the statement that no value could be read from; they take no part."""

    def match(self, value: Any, other: Any) -> bool:
        """Whether two returned values are the same by the problem's own rules."""
        return values_match(value, other, from_json=self.from_json, tolerance=self.tolerance)


SHARED = {field.name for field in fields(PublicProblem)} & {field.name for field in fields(Problem)}


def public_side(problem: Problem) -> PublicProblem:
    """Return the public side of a problem.

    Where a problem has no public tests of its own, those examples of its statement are public tests
    that `examples_in` can read (most of HumanEval's).
    """
    values: dict[str, Any] = {name: getattr(problem, name) for name in SHARED}
    tests = tuple(test for test in problem.public_tests if not is_condition(test.expected))
    unread = len(problem.public_tests) - len(tests)
    if not problem.public_tests:
        tests, unread = examples_in(problem.statement, problem.entry_point)
    return PublicProblem(**values | {"public_tests": tests, "unread_examples": unread})


def as_problem(public: PublicProblem) -> Problem:
    """Return a problem whose hidden tests are the public ones, for the verifier to judge by."""
    values: dict[str, Any] = {name: getattr(public, name) for name in SHARED}
    return Problem(**values, difficulty=1, split="", hidden_tests=public.public_tests)
