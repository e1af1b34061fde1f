"""How many of the programs that pass hold a table of answers, by type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from axiom_rl.core.text import percent
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.evaluation.answer_tables import holds_answers
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.report.blocks import Block, Table, Text
from axiom_rl.report.run_folder import Row, RunFolder


def table_blocks(run: RunFolder) -> list[Block]:
    """Shares before and after, for types where a table was found or could well stand."""
    phases = {"before": "before", "after": run.after_phase if run.after else ""}
    counts = {name: _counts(run, phase) for name, phase in phases.items() if phase}
    found = {kind for by_type in counts.values() for kind, (held, _of) in by_type.items() if held}
    kinds = sorted(found | _listed_types(run))
    seen = [kind for kind in kinds if any(kind in by_type for by_type in counts.values())]
    if not seen:
        return []
    text = (
        "Programs that pass and hold what the tests expect in a list, a dictionary or a chain of "
        "ifs. Where a task has few inputs, such programs pass without solving it."
    )
    cells = [[kind, *(_share(by_type.get(kind)) for by_type in counts.values())] for kind in seen]
    warning = any(held for by_type in counts.values() for held, _of in by_type.values())
    return [Text(text, warning=warning), Table(["type", *counts], cells)]


def _counts(run: RunFolder, phase: str) -> dict[str, tuple[int, int]]:
    """Return by type how many accepted programs hold a table, and how many there are."""
    found: dict[str, list[bool]] = defaultdict(list)
    known: dict[tuple[str, str], bool] = {}
    listed = {kind: _tests_of(run, kind) for kind in _listed_types(run)}
    for row in run.completions.get(phase, []):
        problem = run.problems.get(str(row.get("problem_id")))
        if problem is None or not row.get("code") or not _passed(row):
            continue
        key = (problem.id, str(row["code"]))
        if key not in known:
            tests = listed.get(problem.type, problem.hidden_tests)
            known[key] = holds_answers(key[1], tests)
        found[problem.type].append(known[key])
    return {kind: (sum(held), len(held)) for kind, held in found.items()}


def _listed_types(run: RunFolder) -> set[str]:
    """Types whose inputs are few; one problem's tests hold some of them, all problems' most."""
    types = {problem.type for problem in run.problems.values()}
    return {
        kind
        for kind in types
        if all(_can_be_listed(p) for p in run.problems.values() if p.type == kind)
    }


def _tests_of(run: RunFolder, kind: str) -> list[TestCase]:
    """Tests of a type's problems, fresh ones too: each split has other inputs of the few."""
    tests: list[TestCase] = []
    for problem in (p for p in run.problems.values() if p.type == kind):
        own = with_fresh_tests(problem, 0) if has_fresh_tests(problem) else problem
        tests += [*own.hidden_tests, *own.fresh_tests]
    return tests


def _passed(row: Row) -> bool:
    verdict: Mapping[str, object] = row.get("fresh") or row.get("hidden") or {}
    return bool(verdict.get("passed"))


def _can_be_listed(problem: Problem) -> bool:
    """Whether a problem's input is one whole number: there are few of them, as boards are."""
    tests = problem.hidden_tests
    return bool(tests) and all(
        len(test.args) == 1 and type(test.args[0]) is int and type(test.expected) is int
        for test in tests
    )


def _share(counted: tuple[int, int] | None) -> str:
    if counted is None:
        return "none passes"
    return f"{counted[0]} of {counted[1]} ({percent(counted[0] / counted[1])})"
