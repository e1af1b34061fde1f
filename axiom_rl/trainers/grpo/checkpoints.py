"""What a checkpoint of GRPO holds beside TRL's own folder, and how a run goes on from one.

axiom_state.json, written last: how many rows metrics.jsonl had, which phases were finished, what
the curriculum had learnt. A stopped run goes on from the newest whole checkpoint whose rows are all
on disk; everything later is cut off first. A finished run keeps its last checkpoint, and to go on
further is to be a run that was stopped there: what was measured at its end stays, as of that step.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.run.tracking import read_metrics

log = logging.getLogger(__name__)

STATE = "axiom_state.json"
ITERATION = 1
"""GRPO goes round once: alone in a run, its adapter is that of iteration 1."""


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


def steps_done(run_folder: Path, iteration: int = ITERATION) -> int:
    """Return the step at which training last ended; 0 if it has not."""
    rows = [
        row
        for row in read_metrics(run_folder, "timing")
        if row["name"] == "train" and row["iteration"] == iteration
    ]
    return int(rows[-1]["steps"]) if rows else 0


def reopen(context: RunContext, folder: Path) -> None:
    """Make a finished training one that was stopped after its last step.

    The order matters: until the last line the run is finished, and all of it can be done again.

    Raises:
        AxiomError: if the checkpoint of the last step is not there.
    """
    run, step = context.run, steps_done(context.run.folder)
    last = {int(item.state["step"]): item for item in _whole(folder, run.tracker.rows)}.get(step)
    if last is None:
        raise AxiomError(f"{folder / f'checkpoint-{step}'} is not whole: start the run anew")
    ends = {f"iter_{ITERATION}": f"step_{step}"}
    completions = run.folder / "completions"
    for path in completions.glob("forgetting_*_after.jsonl"):
        ends[path.stem] = f"{path.stem.removesuffix('after')}step_{step}"
    for old, new in ends.items():
        drawn, evaluation = completions / f"{old}.jsonl", run.folder / "evaluation" / f"{old}.json"
        if drawn.exists() and run.is_finished(f"evaluate/{old}"):
            rows = [row | {"phase": new} for row in read_jsonl(drawn)]
            write_jsonl(completions / f"{new}.jsonl", rows)
        drawn.unlink(missing_ok=True)
        if evaluation.exists():
            evaluation.rename(evaluation.with_stem(new))
    redone = {f"train/{ITERATION}", f"publish/{ITERATION}"}
    renamed = {f"evaluate/{old}": f"evaluate/{new}" for old, new in ends.items()}
    run.finished[:] = [renamed.get(p, p) for p in run.finished if p not in redone]
    state = {"metrics_rows": run.tracker.rows, "finished": list(run.finished)}
    write_json(last.folder / STATE, last.state | state)
    run.save_state()
    log.info("this run ended after step %d and goes on from there", step)


def keep_last(folder: Path) -> None:
    """Remove the checkpoints of a finished training but the last, from which it can go further."""
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    for old in found[:-1]:
        shutil.rmtree(old)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


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
        if _step(newer) > step:
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
    """Remove completions and evaluations of steps after `step`, where these are not finished."""
    folder = context.run.folder
    completions = folder / "completions" / "grpo.jsonl"
    if completions.exists():
        kept = [row for row in read_jsonl(completions) if int(row["step"]) <= step]
        write_jsonl(completions, kept)
    for kind, suffix in (("completions", "jsonl"), ("evaluation", "json")):
        for path in (folder / kind).glob(f"step_*.{suffix}"):
            if f"evaluate/{path.stem}" not in context.run.finished:
                path.unlink()
