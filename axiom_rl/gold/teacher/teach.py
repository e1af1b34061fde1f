"""Asking a teacher: rounds of answers, judged as they come, until there are enough right ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axiom_rl.config import TeacherConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.types import Problem
from axiom_rl.gold.teacher.traces import TeachResult


def teach(
    context: RunContext,
    teacher: TeacherConfig,
    problems: Sequence[Problem],
    *,
    output: Path | None = None,
    phase: str = "teach",
    iteration: int = 0,
) -> TeachResult:
    """Ask the teacher for traces of problems, verify them, and write traces.jsonl.

    A finished phase is read back without asking; an interrupted one goes on where it stopped.

    Args:
        context: of the run; its student must have been released, for a local teacher is loaded.
        teacher: who is asked, and how.
        problems: to ask for; see `failed`.
        output: the traces file; None means traces.jsonl in the run folder.
        phase: completions/<phase>.jsonl keeps the answers; `<phase>/<iteration>` is finished.
        iteration: of the rows written.

    Raises:
        AxiomError: if the yield is below teacher.min_yield, no trace came of it, the endpoint
            cannot be reached any more, or the money is spent before a trace is there.
    """
    raise NotImplementedError
