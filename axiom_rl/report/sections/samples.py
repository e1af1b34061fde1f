"""The sample browser: prompts, completions with their verdicts, and how the solutions changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import with_fresh_tests
from axiom_rl.problems.prompts import render, show_call
from axiom_rl.report.blocks import Block, Sample, Samples, Section, Text, anchor, harmless
from axiom_rl.report.run_folder import Row, RunFolder

MOST_SAMPLES = 400
"""On the page; a page with thousands of programs opens slowly on a phone."""
MOST_CHARACTERS = 6000
"""Of one completion."""
MOST_OF_A_TEST = 300
"""Characters of a test that a program failed."""


def sample_section(run: RunFolder) -> Section:
    """Completions by problem: each phase's failing ones first; all stay in completions/*.jsonl."""
    by_problem: dict[str, dict[str, list[Row]]] = {}
    for phase, rows in run.completions.items():
        for row in rows:
            phases = by_problem.setdefault(str(row.get("problem_id")), {})
            phases.setdefault(phase, []).append({**row, "phase": phase})
    if not by_problem:
        return Section("Samples", [])
    limit = max(2, MOST_SAMPLES // len(by_problem))
    picked = {key: _pick(phases, limit) for key, phases in by_problem.items()}
    total = sum(map(len, run.completions.values()))
    shown = sum(map(len, picked.values()))
    note = f"{shown} of {total} completions, failing ones first; all are in completions/*.jsonl."
    blocks: list[Block] = [Text(note)]
    blocks += [
        _problem(run, key, [row for rows in by_problem[key].values() for row in rows], rows)
        for key, rows in sorted(picked.items(), key=lambda item: _place(run, item[0]))
    ]
    return Section("Samples", blocks, screen_only=True, filtered=True)


def sample_links(run: RunFolder) -> dict[str, str]:
    """Return where on the page the samples of each problem stand, by the problem's id."""
    ids = {str(row.get("problem_id")) for rows in run.completions.values() for row in rows}
    return {problem_id: f"#{anchor('samples', problem_id)}" for problem_id in ids}


def _place(run: RunFolder, problem_id: str) -> tuple[bool, bool, str]:
    """Order problems: those of the headline, the others of the run, those of other families."""
    headline = run.after or run.before
    asked = headline is not None and problem_id in headline.per_problem
    return not asked, problem_id not in run.problems, problem_id


def _pick(phases: dict[str, list[Row]], limit: int) -> list[Row]:
    """Share the room alike among the phases; of each, failing ones first and one that passes."""
    picked: list[Row] = []
    for place, rows in enumerate(phases.values()):
        room = max(1, (limit - len(picked)) // (len(phases) - place))
        failing = [row for row in rows if not passed(row)]
        passing = [row for row in rows if passed(row)]
        most = room - 1 if passing and room > 1 else room
        picked += [*failing[:most], *passing[: room - min(len(failing), most)]]
    return picked


def _problem(run: RunFolder, problem_id: str, rows: list[Row], shown: list[Row]) -> Samples:
    good = sum(passed(row) for row in rows)
    problem = run.problems.get(problem_id)
    tests = FailedTests(run, problem)
    return Samples(
        title=f"{_title(run, problem_id)}: {good} of {len(rows)} pass",
        prompt=prompt_of(run, problem) if problem else "",
        samples=[shown_sample(row, tests, str(row["phase"]).replace("_", " ")) for row in shown],
        diff=[harmless(line) for line in _diff(run, problem_id)],
        anchor=anchor("samples", problem_id),
    )


class FailedTests:
    """The tests that the programs of one problem were judged by; fresh ones are made again."""

    def __init__(self, run: RunFolder, problem: Problem | None) -> None:
        self._seed = int(run.setting("problems.seed", 0))
        self._problem = problem
        self._fresh: tuple[TestCase, ...] | None = None

    def text(self, kind: str, verdict: dict[str, Any]) -> str:
        """Return the first test that a program failed, `f([1]) == 2`; '' where none is known."""
        index = verdict.get("failed_test")
        if index is None or self._problem is None:
            return ""
        try:
            tests = self._judged_by(kind, self._problem)
        except AxiomError as error:
            return f"first failing {kind} test: number {index + 1} ({error})"
        if index >= len(tests):
            return f"first failing {kind} test: number {index + 1}"
        call = show_call(self._problem.entry_point, tests[index])
        return f"first failing {kind} test: {_cut(call, MOST_OF_A_TEST)}"

    def _judged_by(self, kind: str, problem: Problem) -> tuple[TestCase, ...]:
        if kind != "fresh":
            return problem.hidden_tests
        if self._fresh is None:
            self._fresh = with_fresh_tests(problem, self._seed).fresh_tests
        return self._fresh


def prompt_of(run: RunFolder, problem: Problem) -> str:
    """Return the prompt of a problem, all its messages where there are several."""
    messages = render(problem, str(run.setting("problems.prompt", "direct")))
    if len(messages) == 1:
        return harmless(messages[0]["content"])
    parts = (f"[{message['role']}]\n{message['content']}" for message in messages)
    return harmless("\n\n".join(parts))


def _title(run: RunFolder, problem_id: str) -> str:
    problem = run.problems.get(problem_id)
    return f"{problem.title} ({problem_id})" if problem and problem.title else problem_id


def shown_sample(row: Row, tests: FailedTests, name: str) -> Sample:
    """Return a completion as the page shows it; its title begins with `name`."""
    kind = "fresh" if row.get("fresh") else "hidden"
    verdict = _verdict(row)
    parts = [name]
    parts += [f"step {row['step']}"] if row.get("step") is not None else []
    parts += [f"sample {row.get('sample')}"]
    parts += [f"{name} {_words(row[name])}" for name in ("fresh", "hidden") if row.get(name)]
    parts += [f"{row.get('completion_tokens')} tokens"]
    parts += ["cut off by the token limit"] if row.get("truncated") else []
    parts += ["stopped early"] if row.get("stopped") else []
    details = [tests.text(kind, verdict), str(verdict.get("detail") or "")]
    return Sample(
        title=" · ".join(parts),
        tone="good" if verdict.get("passed") else "bad",
        detail=harmless("\n".join(text for text in details if text)),
        text=_cut(harmless(str(row.get("text", ""))), MOST_CHARACTERS),
        status=str(verdict.get("status", "not judged")).replace("_", " "),
    )


def _cut(text: str, most: int) -> str:
    rest = len(text) - most
    return text if rest <= 0 else f"{text[:most]} [{rest} more characters]"


def _words(verdict: dict[str, Any]) -> str:
    status = str(verdict.get("status", "")).replace("_", " ")
    return f"{status} {verdict.get('passed_tests')}/{verdict.get('total_tests')}"


def _verdict(row: Row) -> dict[str, Any]:
    """The fresh verdict that scores count, else the hidden one."""
    return row.get("fresh") or row.get("hidden") or {}


def passed(row: Row) -> bool:
    """Whether a completion passes the tests that scores count."""
    return bool(_verdict(row).get("passed"))


def _diff(run: RunFolder, problem_id: str) -> Iterator[str]:
    """Unified diff of a program of model N and one of model N+1, passing ones where there are."""
    programs = [
        _program(run.completions.get(phase, ()), problem_id)
        for phase in ("before", run.after_phase)
    ]
    if all(programs) and programs[0] != programs[1]:
        old, new = (program.splitlines() for program in programs)
        yield from difflib.unified_diff(old, new, "before", "after", lineterm="")


def _program(rows: Sequence[Row], problem_id: str) -> str:
    ordered = sorted(rows, key=passed, reverse=True)
    found = (str(row.get("code") or "") for row in ordered if row.get("problem_id") == problem_id)
    return next(found, "")
