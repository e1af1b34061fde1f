"""What a teacher bought: runs with one beside runs without, on the page of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from axiom_rl.core.text import percent
from axiom_rl.report.blocks import Block, Table, Text, with_interval
from axiom_rl.report.run_folder import RunFolder
from axiom_rl.report.sections.pipeline.steps import COLD_START, first_signal, signal

NONE = "none"


def bought_blocks(runs: Sequence[tuple[str, RunFolder]]) -> list[Block]:
    """A column for each run, where one of them was taught; else nothing.

    Args:
        runs: name and folder of each run of the comparison.
    """
    if not any("teach" in run.steps for _name, run in runs):
        return []
    lines: tuple[tuple[str, Callable[[RunFolder], str]], ...] = (
        ("steps", lambda run: ", ".join(run.steps) or str(run.setting("trainer.kind", ""))),
        ("student, before", lambda run: _rate(run, "before")),
        ("after cold start", lambda run: _rate(run, f"after_{COLD_START}")),
        ("at the end", _end),
        ("problems with signal, before", lambda run: _signal(run, "before")),
        ("problems with signal, as GRPO began", lambda run: _signal(run, _start(run))),
        ("groups with signal, first steps of GRPO", _first),
        ("the teacher itself", lambda run: _rate(run, "teacher")),
        ("tokens of the teacher", lambda run: _taught(run, "tokens")),
        ("money for the teacher", lambda run: _taught(run, "cost")),
        ("traces", lambda run: _taught(run, "traces")),
    )
    rows = [[title, *(value(run) for _name, run in runs)] for title, value in lines]
    text = (
        "What the teacher bought. The arm without a teacher is trainer.steps=[grpo] with the same "
        "options; the difference of both ends stands above with its interval."
    )
    return [Text(text), Table(["", *(name for name, _run in runs)], rows)]


def _rate(run: RunFolder, name: str) -> str:
    evaluation = run.evaluations.get(name)
    return NONE if evaluation is None else with_interval(evaluation.pass_at_1)


def _end(run: RunFolder) -> str:
    return NONE if run.after is None else with_interval(run.after.pass_at_1)


def _start(run: RunFolder) -> str:
    return run.phase_before("grpo") if "grpo" in run.steps else "before"


def _signal(run: RunFolder, phase: str) -> str:
    found, of = signal(run, phase)
    return f"{found} of {of} ({percent(found / of)})" if of else NONE


def _first(run: RunFolder) -> str:
    share = first_signal(run)
    return NONE if share is None else percent(share)


def _taught(run: RunFolder, key: str) -> str:
    result = run.document("teacher/result.json")
    if result is None:
        return NONE
    value = result[key]
    return f"{value:.4f}" if key == "cost" else f"{value:,}"
