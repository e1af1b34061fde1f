"""What a checkpoint of GRPO holds beside TRL's own folder, and how a stopped run goes back to one.

axiom_state.json, written last: how many rows metrics.jsonl had, which phases were finished, what
the curriculum had learnt. A run goes on from the newest whole checkpoint whose rows are all on
disk; everything later is cut off first.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.context.run_context import RunContext
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.problems.curriculum import Curriculum

log = logging.getLogger(__name__)

STATE = "axiom_state.json"


def write_state(context: RunContext, folder: Path, step: int, curriculum: Curriculum) -> None:
    """Complete the checkpoint in `folder`, which TRL wrote after `step` steps."""
    state = {
        "schema": 1,
        "step": step,
        "metrics_rows": context.run.tracker.rows,
        "finished": list(context.run.finished),
        "curriculum": curriculum.state(),
    }
    write_json(folder / STATE, state)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    folder: Path
    state: dict[str, Any]


def cut_back(context: RunContext, folder: Path, curriculum: Curriculum) -> str | None:
    """Go back to the newest usable checkpoint; return TRL's folder of it, None for the start."""
    start = folder / "checkpoint-0"  # where the phases before training ended; TRL never writes it
    whole = list(_whole(folder, context.run.tracker.rows))
    if not whole:
        write_state(context, start, 0, curriculum)
        context.run.save_state()
        _remove_later(context, 0)
        return None
    last = max(whole, key=lambda item: int(item.state["step"]))
    step = int(last.state["step"])
    curriculum.restore(last.state["curriculum"])
    context.run.tracker.cut_back(int(last.state["metrics_rows"]))
    context.run.finished[:] = last.state["finished"]
    _remove_later(context, step)
    context.run.save_state()
    for newer in folder.glob("checkpoint-*"):
        if int(newer.name.rpartition("-")[2]) > step:
            shutil.rmtree(newer)
    log.info("training goes on after step %d", step)
    return str(last.folder) if step else None


def _whole(folder: Path, rows: int) -> Iterator[_Checkpoint]:
    """Yield the checkpoints written to their end whose rows of metrics are all there."""
    for path in folder.glob("checkpoint-*"):
        if (path / STATE).exists():
            state = read_json(path / STATE)
            if int(state["metrics_rows"]) <= rows:
                yield _Checkpoint(path, state)


def _remove_later(context: RunContext, step: int) -> None:
    """Remove completions and evaluations of steps after `step`."""
    folder = context.run.folder
    completions = folder / "completions" / "grpo.jsonl"
    if completions.exists():
        kept = [row for row in read_jsonl(completions) if int(row["step"]) <= step]
        write_jsonl(completions, kept)
    for kind, suffix in (("completions", "jsonl"), ("evaluation", "json")):
        for path in (folder / kind).glob(f"step_*.{suffix}"):
            if int(path.stem.removeprefix("step_")) > step:
                path.unlink()
