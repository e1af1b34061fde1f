"""What the phases of a run did and cost: gold solutions, training loss, time, tokens, memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axiom_rl.core.text import duration, percent
from axiom_rl.report.blocks import Block, Chart, Section, Table, Text, table_of
from axiom_rl.report.charts import Series, line_chart
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.run.folder import read_unfinished

GOLD = {
    "iteration": "iteration",
    "samples": "samples",
    "passed": "passed",
    "solutions": "new unique solutions",
    "duplicates": "duplicates filtered",
    "total_solutions": "unique solutions so far",
    "unsolved": "problems unsolved",
}
"""Columns of the rows of collection, and their headings."""


def training_section(run: RunFolder) -> Section:
    """Gold solutions by iteration, where the trainer gathers them, and the training loss."""
    gold = _gold_blocks(run)
    title = "Gold solutions and training" if gold else "Training loss"
    steps = [row for row in run.rows("train") if known(row.get("loss"))]
    if not steps:
        return Section(title, gold)
    return Section(title, [*gold, _loss_table(steps), _loss_chart(run.path, steps)])


def _gold_blocks(run: RunFolder) -> list[Block]:
    collected = run.rows("collect")
    if collected:
        cells = [[str(row.get(column, "?")) for column in GOLD] for row in collected]
        return [Table([*GOLD.values()], cells), *_round_blocks(collected)]
    cells = [[str(key), str(count)] for key, count in run.solutions.items()]
    return [Table(["iteration", "unique solutions"], cells)] if cells else []


def _round_blocks(collected: list[Row]) -> list[Block]:
    """What each round of search for unsolved problems gave, and for how many tokens."""
    found = [(row["iteration"], *item) for row in collected for item in _rounds(row).items()]
    if not any(name not in ("first", "more") for _iteration, name, _row in found):
        return []
    text = (
        "Search for problems without a solution, round by round: first is the sampling of all, "
        "more is further samples of the same prompt; each later round is asked of what is "
        "unsolved by then. Solved counts problems that had no solution before the round."
    )
    columns = ("problems", "samples", "passed", "solved", "tokens")
    cells = [[str(i), name, *(f"{row[c]:,}" for c in columns)] for i, name, row in found]
    return [Text(text), Table(["iteration", "round", *columns], cells)]


def _rounds(row: Row) -> dict[str, Any]:
    rounds: dict[str, Any] = row.get("rounds") or {}  # rows of older versions have none
    return rounds


def _loss_table(steps: list[Row]) -> Table:
    rows = []
    for iteration in sorted({row["iteration"] for row in steps}):
        losses = [row["loss"] for row in steps if row["iteration"] == iteration]
        shown = (f"{loss:.4f}" for loss in (losses[0], losses[-1], min(losses)))
        rows.append([str(iteration), str(len(losses)), *shown])
    return Table(["iteration", "logged steps", "first loss", "last loss", "lowest loss"], rows)


def _loss_chart(folder: Path, steps: list[Row]) -> Chart:
    losses = [float(row["loss"]) for row in steps]
    caption = "Training loss over the run."
    if any("reward" in row for row in steps):
        caption += " That of a policy gradient is no measure of progress: see reward and pass rate."
    return line_chart(
        folder,
        "loss",
        [Series("training loss", list(range(1, len(losses) + 1)), losses)],
        x_label="logged step, all iterations in a row",
        y_label="loss",
        share=False,
        caption=caption,
        title="Training loss",
    )


def timing_blocks(run: RunFolder) -> list[Block]:
    """Time, tokens, time lost to the verifier and memory of each phase, and in all."""
    rows = run.rows("timing") + [row | {"unfinished": True} for row in read_unfinished(run.path)]
    if not rows:
        return []
    within = within_training(rows)
    whole = math.fsum(
        row["seconds"] for row in rows if known(row.get("seconds")) and row not in within
    )

    def share(row: Row) -> str:
        counts = row not in within and known(row.get("seconds"))
        return percent(row["seconds"] / whole) if counts else ""

    columns: dict[str, Callable[[Row], str]] = {
        "phase": lambda row: _phase(row, row in within),
        "iteration": lambda row: str(row["iteration"]),
        "time": lambda row: duration(row.get("seconds")),
        "share": share,
        "tokens": lambda row: _shown(row.get("tokens"), ",.0f"),
        "tokens/s": lambda row: _shown(row.get("tokens_per_second"), ",.0f"),
        "waiting for verdicts": lambda row: _shown(row.get("verify_share"), "%"),
        "peak GB": lambda row: _shown(row.get("peak_memory_gb"), ".2f"),
    }
    return [Text(_totals(rows, whole)), table_of(rows, columns, key=2)]


def within_training(rows: list[Row]) -> list[Row]:
    """Return the evaluations during training, whose time is in the training's own row too.

    They are written before it; the evaluation of an iteration's model comes after it, also where
    the training went further later on.
    """
    within, later = [], set[int]()
    ends = {(row["iteration"], row.get("steps")) for row in rows if row.get("name") == "train"}
    for row in reversed(rows):
        if row.get("name") == "train":
            later.add(row["iteration"])
        elif row.get("name") == "evaluate" and row["iteration"] in later:
            within += [row] * ((row["iteration"], row.get("step")) not in ends)
    return within


def _phase(row: Row, within: bool) -> str:
    name = str(row.get("name", ""))
    if row.get("of"):
        name += f" {row['of']}"
    if row.get("unfinished"):
        name += ", unfinished"
    return f"{name} at step {row['step']:.0f}" if within and known(row.get("step")) else name


def _totals(rows: list[Row], seconds: float) -> str:
    tokens, waited, judged, discarded = (
        math.fsum(row[key] for row in rows if known(row.get(key)))
        for key in ("tokens", "verify_seconds", "verify_cpu_seconds", "discarded_tokens")
    )
    peaks = [row["peak_memory_gb"] for row in rows if known(row.get("peak_memory_gb"))]
    text = f"In all {duration(seconds)} and {tokens:,.0f} tokens"
    if discarded:
        text += f", and {discarded:,.0f} more that were drawn ahead and not needed"
    within = within_training(rows)
    measured = math.fsum(_measured(row) for row in rows if row not in within)
    if judged and measured:
        text += (
            f"; the programs judged took {duration(judged)} of CPU time beside the sampling, which "
            f"waited {duration(waited)} for verdicts, {percent(waited / measured)} of the time"
        )
    return f"{text}; peak memory {max(peaks):.2f} GB." if peaks else f"{text}."


def _measured(row: Row) -> float:
    """Seconds that verify_seconds is part of: of the one start that finished the phase."""
    share, waited = row.get("verify_share"), row.get("verify_seconds")
    if known(share) and known(waited) and share:
        return float(waited / share)
    return float(row["seconds"]) if known(row.get("seconds")) else 0.0


def _shown(value: Any, form: str) -> str:
    return written(value, form) if known(value) else ""


def written(value: float, form: str) -> str:
    """Write a number by a format, of which `%` is our percentage."""
    return percent(value) if form == "%" else format(value, form)


def known(value: Any) -> bool:
    """Whether a column of metrics.jsonl holds a number."""
    return isinstance(value, int | float) and math.isfinite(value)
