"""The sample browser: completions with their verdicts, and how the solutions changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from axiom_rl.evaluation.blocks import Block, Sample, Samples, Section, Text, harmless
from axiom_rl.evaluation.run_folder import Row, RunFolder

MOST_SAMPLES = 400
"""On the page; a page with thousands of programs opens slowly on a phone."""
MOST_CHARACTERS = 6000
"""Of one completion."""


def sample_section(run: RunFolder) -> Section:
    """Completions by problem, failing ones first; the rest stays in completions/*.jsonl."""
    by_problem: dict[str, list[Row]] = {}
    for phase, rows in run.completions.items():
        for row in rows:
            by_problem.setdefault(str(row.get("problem_id")), []).append({**row, "phase": phase})
    if not by_problem:
        return Section("Samples", [])
    limit = max(2, MOST_SAMPLES // len(by_problem))
    total = sum(len(rows) for rows in by_problem.values())
    shown = sum(min(limit, len(rows)) for rows in by_problem.values())
    note = f"{shown} of {total} completions, failing ones first; all are in completions/*.jsonl."
    blocks: list[Block] = [Text(note)]
    blocks += [
        _problem(run, problem_id, rows, limit) for problem_id, rows in sorted(by_problem.items())
    ]
    return Section("Samples", blocks, screen_only=True)


def _problem(run: RunFolder, problem_id: str, rows: list[Row], limit: int) -> Samples:
    ordered = sorted(rows, key=lambda row: _passed(row))[:limit]
    passed = sum(_passed(row) for row in rows)
    return Samples(
        title=f"{_title(run, problem_id)}: {passed} of {len(rows)} pass",
        statement=harmless(run.statements.get(problem_id, "")),
        samples=[_sample(row) for row in ordered],
        diff="\n".join(_diff(run, problem_id)),
    )


def _title(run: RunFolder, problem_id: str) -> str:
    for evaluation in run.evaluations.values():
        if problem_id in evaluation.per_problem:
            return f"{evaluation.per_problem[problem_id].title} ({problem_id})"
    return problem_id


def _sample(row: Row) -> Sample:
    verdict = _verdict(row)
    parts = [str(row["phase"]).replace("_", " "), f"sample {row.get('sample')}"]
    parts += [f"{name} {_words(row[name])}" for name in ("fresh", "hidden") if row.get(name)]
    parts += [f"{row.get('completion_tokens')} tokens"]
    parts += ["cut off by the token limit"] if row.get("truncated") else []
    text = harmless(str(row.get("text", "")))
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}\n[{len(text) - MOST_CHARACTERS} more characters]"
    return Sample(
        title=" · ".join(parts),
        tone="good" if verdict.get("passed") else "bad",
        detail=harmless(str(verdict.get("detail") or "")),
        text=text,
    )


def _words(verdict: dict[str, Any]) -> str:
    status = str(verdict.get("status", "")).replace("_", " ")
    return f"{status} {verdict.get('passed_tests')}/{verdict.get('total_tests')}"


def _verdict(row: Row) -> dict[str, Any]:
    """The fresh verdict that scores count, else the hidden one."""
    return row.get("fresh") or row.get("hidden") or {}


def _passed(row: Row) -> bool:
    return bool(_verdict(row).get("passed"))


def _diff(run: RunFolder, problem_id: str) -> Iterator[str]:
    """Unified diff of the first passing programs of model N and model N+1."""
    programs = [
        next(
            (
                str(row.get("code") or "")
                for row in sorted(run.completions.get(phase, []), key=_passed, reverse=True)
                if row.get("problem_id") == problem_id
            ),
            "",
        )
        for phase in ("before", run.after_phase)
    ]
    if all(programs) and programs[0] != programs[1]:
        old, new = (harmless(program).splitlines() for program in programs)
        yield from difflib.unified_diff(old, new, "before", "after", lineterm="")
