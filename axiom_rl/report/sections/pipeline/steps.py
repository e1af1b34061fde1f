"""The model through the steps of a pipeline: score, tokens and time of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from axiom_rl.core.text import count, duration, percent, points
from axiom_rl.core.types import Status
from axiom_rl.evaluation.score import Evaluation
from axiom_rl.report.blocks import Bar, BarGroup, Bars, Block, Table, Text, with_interval
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.report.sections.grpo import steps as grpo_steps
from axiom_rl.report.sections.timing import known, within_training

COLD_START = "sft"
"""The step after which a student can think as its teacher does."""
HEADERS = ("step", "pass rate", "change", "solved", "tokens", "time", "what it did")


def step_blocks(run: RunFolder) -> list[Block]:
    """A row a step, and the signal that GRPO began with; nothing for other trainers."""
    if not run.steps or run.before is None:
        return []
    rows = [_row("student, before", run.before, None, _spent(run, [0]), "")]
    bars = [_bar("student, before", "before", run.before)]
    last = run.before
    for step in run.steps:
        evaluation = run.evaluations.get(f"after_{step}")
        if evaluation is None:
            break
        rows.append(_row(step, evaluation, last, _spent(run, run.numbers[step]), _did(run, step)))
        if step != "teach":
            bars.append(_bar(f"after {step}", "after", evaluation))
        last = evaluation
    teacher = run.evaluations.get("teacher")
    if teacher is not None:
        rows.append(_row("the teacher itself", teacher, None, None, ""))
        bars.append(_bar("the teacher itself", "before", teacher))
    text = (
        f"The same {run.before.problems} problems after each step, by the same tests. Tokens and "
        "time are of the step and of the evaluation after it; teaching trains nothing."
    )
    return [Text(text), Bars(bars), Table(HEADERS, rows), *_signal_blocks(run)]


def signal(run: RunFolder, phase: str) -> tuple[int, int]:
    """Return how many problems have samples that pass beside samples that fail, and of how many.

    Of the problems that GRPO chooses by: val, or train where there is no val.
    """
    groups: dict[str, set[bool]] = {}
    rows = run.completions.get(phase, [])
    split = "val" if any(_split(run, row) == "val" for row in rows) else "train"
    for row in rows:
        verdict = row.get("hidden") or row.get("fresh")
        if _split(run, row) == split and verdict and verdict["status"] != Status.SANDBOX_FAULT:
            groups.setdefault(str(row["problem_id"]), set()).add(bool(verdict["passed"]))
    return sum(len(found) > 1 for found in groups.values()), len(groups)


def first_signal(run: RunFolder) -> float | None:
    """Return the share of groups with signal in the first tenth of GRPO's steps, or None."""
    rows = grpo_steps(run)
    shares = [float(r["zero_variance_share"]) for r in rows if known(r.get("zero_variance_share"))]
    first = shares[: max(1, len(rows) // 10)]
    return 1 - math.fsum(first) / len(first) if first else None


def _signal_blocks(run: RunFolder) -> list[Block]:
    if "grpo" not in run.steps:
        return []
    start = run.phase_before("grpo")
    (before, of), (now, among) = signal(run, "before"), signal(run, start)
    if not of or not among or start == "before":
        return []
    text = (
        "Groups with signal (samples of one problem that pass beside others that fail, from which "
        f"GRPO learns): {before} of {of} problems before, {now} of {among} when GRPO began"
    )
    first = first_signal(run)
    drawn = f"; in its first steps {percent(first)} of the groups drawn." if known(first) else "."
    return [Text(text + drawn)]


def _split(run: RunFolder, row: Row) -> str:
    problem = run.problems.get(str(row.get("problem_id")))
    return problem.split if problem else ""


def _row(
    name: str,
    evaluation: Evaluation,
    last: Evaluation | None,
    spent: tuple[float, float] | None,
    did: str,
) -> list[str]:
    gain = "" if last is None else points(evaluation.pass_at_1.value - last.pass_at_1.value)
    tokens, seconds = (f"{spent[0]:,.0f}", duration(spent[1])) if spent else ("", "")
    return [
        name,
        with_interval(evaluation.pass_at_1),
        gain.removesuffix(" points"),
        f"{evaluation.solved} of {evaluation.problems}",
        tokens,
        seconds,
        did,
    ]


def _bar(name: str, series: str, evaluation: Evaluation) -> BarGroup:
    rate = evaluation.pass_at_1
    return BarGroup(name, [Bar(series, rate.value, with_interval(rate), rate)])


def _spent(run: RunFolder, iterations: Iterable[int]) -> tuple[float, float]:
    """Return tokens and seconds of a step; evaluations during a training are in its own row."""
    rows = run.rows("timing")
    within = within_training(rows)
    own = [row for row in rows if row["iteration"] in iterations and row not in within]
    tokens, seconds = (
        math.fsum(row[key] for row in own if known(row.get(key))) for key in ("tokens", "seconds")
    )
    return tokens, seconds


def _did(run: RunFolder, step: str) -> str:
    """Say in a few words what a step did."""
    numbers = run.numbers[step]
    trained: Mapping[str, float] = {}
    for row in run.rows("timing"):
        if row.get("name") == "train" and row["iteration"] == numbers[-1]:
            trained = row
    match step:
        case "teach":
            taught = next((r for r in run.rows("teach") if r["iteration"] in numbers), None)
            if taught is None:
                return ""
            cost = f", {taught['cost']:.4f} of money" if taught.get("cost") else ""
            found = count(taught["traces"], "trace")
            return f"{found} of {count(taught['answers'], 'answer')}{cost}"
        case "sft" | "expert_iter":
            return f"{trained.get('steps', '?')} steps on {trained.get('solutions', '?')} programs"
        case _:
            return f"{trained.get('steps', '?')} steps"
