"""Tests in doubt: no program passes them, while many agree on another value.

Where a problem has no oracle, its expected values are somebody's word. That different programs
return one and the same other value for an input is the sign of a wrong one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from axiom_rl.core.types import Problem, Status
from axiom_rl.problems import has_fresh_tests
from axiom_rl.problems.prompts import show_call
from axiom_rl.report.blocks import Block, Table, Text, harmless
from axiom_rl.report.run_folder import Row, RunFolder

FEWEST = 3
"""Different programs that must agree."""
SHARE = 0.5
"""Of the programs that fail a test first, those that must agree."""
MOST_ROWS = 50
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Suspect:
    """A test that no program passes, and the value that many return."""

    problem_id: str
    test: int
    """Index among the hidden tests."""
    returned: str
    """As verdicts say it, `returned 6`."""
    agree: int
    """Different programs that return it."""
    programs: int
    """Different programs whose first failing test this is."""


def suspect_tests(rows: Iterable[Row], problems: Mapping[str, Problem]) -> list[Suspect]:
    """Return the tests in doubt of problems without an oracle, those with most agreement first.

    Args:
        rows: completions of any phases, as completions/*.jsonl has them.
        problems: the run's, by id.
    """
    verdicts: dict[str, dict[str, Mapping[str, object]]] = defaultdict(dict)
    for row in rows:
        problem = problems.get(str(row.get("problem_id")))
        if problem is not None and not has_fresh_tests(problem) and row.get("hidden"):
            verdicts[problem.id][str(row.get("code"))] = row["hidden"]
    found = [
        suspect
        for problem_id, by_program in verdicts.items()
        for suspect in _of_problem(problem_id, list(by_program.values()))
    ]
    return sorted(found, key=lambda item: (-item.agree, item.problem_id, item.test))


def _of_problem(problem_id: str, verdicts: list[Mapping[str, object]]) -> Iterable[Suspect]:
    if any(verdict.get("passed") for verdict in verdicts):
        return
    failed: dict[int, list[str]] = defaultdict(list)
    for verdict in verdicts:
        test = verdict.get("failed_test")
        if isinstance(test, int):
            wrong = verdict.get("status") == Status.WRONG_ANSWER
            failed[test].append(str(verdict.get("detail")) if wrong else "")
    # Whoever fails a later test first has passed the earlier ones: the last one alone is in doubt.
    if not failed:
        return
    test, returned = max(failed.items())
    value = max(set(returned) - {""}, key=returned.count, default="")
    agree = returned.count(value) if value.startswith("returned ") else 0
    if agree >= FEWEST and agree >= SHARE * len(returned):
        yield Suspect(problem_id, test, value, agree, len(returned))


def suspect_blocks(run: RunFolder) -> list[Block]:
    """The tests in doubt as a table; nothing where there are none."""
    rows = (row for phase in run.completions.values() for row in phase)
    found = suspect_tests(rows, run.problems)
    if not found:
        return []
    text = (
        f"{len(found)} tests are in doubt: no program passes them, and at least {FEWEST} different "
        "programs agree on another value. Look whether the expected value is right."
    )
    cells = [
        [
            item.problem_id,
            harmless(_shown(run.problems[item.problem_id], item.test)),
            harmless(item.returned[:MOST_CHARACTERS]),
            f"{item.agree} of {item.programs}",
        ]
        for item in found[:MOST_ROWS]
    ]
    return [Text(text, warning=True), Table(["problem", "test", "programs", "agree"], cells)]


def _shown(problem: Problem, test: int) -> str:
    if test >= len(problem.hidden_tests):
        return f"number {test + 1}"
    text = show_call(problem.entry_point, problem.hidden_tests[test])
    return f"number {test + 1}: {text[:MOST_CHARACTERS]}"
