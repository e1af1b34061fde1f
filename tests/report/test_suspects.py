"""Tests in doubt are found where programs agree, and nowhere else."""

from __future__ import annotations

from typing import Any

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import make_problem
from axiom_rl.report.sections.suspects import Suspect, suspect_tests

OWN = Problem(
    id="own", type="jsonl", difficulty=1, split="train", title="", statement="", entry_point="f",
    public_tests=(), hidden_tests=tuple(TestCase(args=(n,), expected=n) for n in range(3)),
)  # fmt: skip
DRAWN = make_problem("fizzbuzz", difficulty=1)


def rows(problem: Problem, *failures: tuple[int, str] | None) -> list[dict[str, Any]]:
    """One row per program: the first failing test and what was returned, or None for a pass."""
    return [
        {
            "problem_id": problem.id,
            "code": f"program {number}",
            "hidden": {
                "passed": failure is None,
                "status": "wrong_answer" if failure and failure[1] else "runtime_error",
                "failed_test": failure and failure[0],
                "detail": failure[1] if failure and failure[1] else "ValueError",
            },
        }
        for number, failure in enumerate(failures)
    ]


def found(*failures: tuple[int, str] | None, problem: Problem = OWN) -> list[Suspect]:
    return suspect_tests(rows(problem, *failures), {problem.id: problem})


def test_a_test_that_many_programs_contradict_alike_is_in_doubt() -> None:
    agreeing = [(1, "returned 6")] * 3
    assert found(*agreeing, (0, "returned 9"), (1, ""), (1, "returned 5")) == [
        Suspect("own", 1, "returned 6", 3, 5)
    ]
    assert found(*agreeing, None) == [], "a program passes it"
    assert found(*agreeing, (2, "returned 1")) == [], "a program passes it and fails a later one"
    assert found(*agreeing[:2]) == [], "two programs are few"
    assert found(*agreeing, *[(1, f"returned {n}") for n in range(10, 14)]) == [], "no agreement"
    assert found(*[(1, "")] * 5) == [], "programs that raise return nothing"
    assert found() == []
    assert found(*agreeing, problem=DRAWN) == [], "an oracle made the expected value"


def test_one_program_sampled_often_is_one_voice() -> None:
    same = [row | {"code": "same"} for row in rows(OWN, *[(1, "returned 6")] * 9)]
    assert suspect_tests(same, {"own": OWN}) == []
