"""The curves of several runs in one chart each: pass rates by split, and GRPO's steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from axiom_rl.report.blocks import Block, harmless
from axiom_rl.report.charts import Series, line_chart
from axiom_rl.report.run_folder import RunFolder
from axiom_rl.report.sections.curves import measured_lines
from axiom_rl.report.sections.timing import known

MOST_LINES = 4
STEPS = (
    ("reward", "Mean reward of the rollouts", False),
    ("pass_rate", "Rollouts that pass", True),
)
"""Columns of training steps, the title of their chart, whether they are shares."""


def shared_curves(runs: Sequence[tuple[str, RunFolder]], folder: Path) -> list[Block]:
    """Draw each measurement that two runs or more share over time, a line for each run.

    Args:
        runs: with the name of each.
        folder: of the page.
    """
    named = {run.path.resolve(): (name, run) for name, run in reversed(runs)}  # a run counts once
    runs = list(reversed(named.values()))
    blocks: list[Block] = []
    for (unit, split), lines in _pass_rates(runs).items():
        if len(lines) > 1 and any(len(line.x) > 1 for line in lines):
            caption = f"Pass rate on {split} by {unit}, with 95 % intervals; 0 is before training."
            chart = line_chart(
                folder, f"compared_{unit}_{len(blocks)}", lines[:MOST_LINES], x_label=unit,
                y_label="samples that pass", share=True, caption=_first(caption, len(lines)),
                title=harmless(f"Pass rate on {split}"),
            )  # fmt: skip
            blocks.append(chart)
    for column, title, share in STEPS:
        lines = [line for name, run in runs for line in _steps(name, run, column)]
        if len(lines) > 1:
            chart = line_chart(
                folder, f"compared_{column}", lines[:MOST_LINES], x_label="step", y_label=column,
                share=share, caption=_first(f"{title} by step of training.", len(lines)),
                title=title,
            )  # fmt: skip
            blocks.append(chart)
    return blocks


def _pass_rates(runs: Sequence[tuple[str, RunFolder]]) -> dict[tuple[str, str], list[Series]]:
    """Return the lines of all runs by what they are counted by and what they measured."""
    found: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for name, run in runs:
        unit, lines = measured_lines(run)
        for line in lines:
            found[unit, line.name].append(replace(line, name=name))
    return found


def _steps(name: str, run: RunFolder, column: str) -> list[Series]:
    rows = [r for r in run.rows("train") if known(r.get(column)) and known(r.get("step"))]
    if not rows:
        return []
    return [Series(name, [float(r["step"]) for r in rows], [float(r[column]) for r in rows])]


def _first(caption: str, lines: int) -> str:
    return caption if lines <= MOST_LINES else f"{caption} The first {MOST_LINES} runs of {lines}."
