"""Learning curves: pass rates by split over iterations, or over steps where there are any.

Train, validation and test in one picture show what training alone does not: a train curve that
rises while the others stay is memorising, others that follow late are grokking.
"""

from __future__ import annotations

import math
from typing import Any

from axiom_rl.core.text import percent
from axiom_rl.evaluation.score import FRESH_TESTS
from axiom_rl.report.blocks import Block, Table
from axiom_rl.report.charts import Series, line_chart
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.report.sections.timing import known

SPLITS = ("train", "val", "test")
MOST_ROWS = 12
"""Longer tables of what a chart shows are folded."""
LEAST_POINTS = 3
"""Two points are a before and an after, which the bars show."""
MOST_LINES = 4


def curve_blocks(run: RunFolder) -> list[Block]:
    """Pass rate by split, as a chart where three points or more were measured, and as a table."""
    unit, placed = _placed(run)
    measurements = measured_lines(run)[1]
    names = [line.name for line in measurements]
    lines = [*measurements, *(_rollouts(run) if unit == "step" else [])]
    if len({x for line in lines for x in line.x}) < LEAST_POINTS:
        return [_table(placed, unit)] if len(names) > 1 else []
    chart = line_chart(
        run.path,
        "accuracy",
        lines[:MOST_LINES],
        x_label=unit,
        y_label="samples that pass",
        share=True,
        caption=_caption(unit, rollouts=len(lines) > len(names)),
        title=f"Pass rate by {unit}",
    )
    return [chart, _table(placed, unit)]


def measured_lines(run: RunFolder) -> tuple[str, list[Series]]:
    """Return what evaluations are counted by (step, iteration) and the pass rate of each split."""
    unit, placed = _placed(run)
    names = sorted({measured(row) for _x, row in placed}, key=_split_order)
    lines = [_line(name, [(x, r) for x, r in placed if measured(r) == name]) for name in names]
    return unit, lines


def _placed(run: RunFolder) -> tuple[str, list[tuple[float, Row]]]:
    rows = [row for row in run.rows("evaluate") if "of" not in row]
    by_step = not run.steps and any(known(row.get("step")) for row in rows)
    if run.steps:  # GRPO's own steps are of one step of the pipeline; its charts show them
        rows = [row for row in rows if not known(row.get("step"))]
    last = last_step(run)
    placed = [(_place(row, last) if by_step else float(row["iteration"]), row) for row in rows]
    return ("step" if by_step else "iteration"), placed


def _rollouts(run: RunFolder) -> list[Series]:
    """Pass rate of the training's own samples: the train curve of a trainer that draws them."""
    steps = [r for r in run.rows("train") if known(r.get("pass_rate")) and known(r.get("step"))]
    if not steps:
        return []
    rates = [float(row["pass_rate"]) for row in steps]
    return [Series("train rollouts", [float(row["step"]) for row in steps], rates)]


def last_step(run: RunFolder) -> float:
    """Return the last training step that was logged; 0 where none was."""
    return max([0.0, *(float(r["step"]) for r in run.rows("train") if known(r.get("step")))])


def measured(row: Row) -> str:
    """Name what a row measured: its split, and its tests where they are not the fresh ones."""
    tests = row.get("tests", FRESH_TESTS)
    return str(row.get("split", "")) + ("" if tests == FRESH_TESTS else f", {tests}")


def bounds(low: float | None, high: float | None) -> str:
    """Write the ends of an interval, `45.7 to 61.6 %`."""
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def _caption(unit: str, *, rollouts: bool) -> str:
    text = f"Pass rate by {unit} and split; bands are 95 % intervals. 0 is before training."
    if rollouts:
        text += (
            " Train rollouts are judged by the hidden tests, on the problems drawn at each step."
        )
    return text


def _place(row: Row, last: float) -> float:
    """Evaluations before and after training have no step of their own."""
    if known(row.get("step")):
        return float(row["step"])
    return last if row["iteration"] else 0.0


def _line(name: str, points: list[tuple[float, Row]]) -> Series:
    ordered = sorted(points, key=lambda point: point[0])
    rate, low, high = (
        [_plain(row.get(key)) for _x, row in ordered] for key in ("accuracy", "low", "high")
    )
    return Series(name, [x for x, _row in ordered], rate, low, high)


def _split_order(name: str) -> tuple[int, str]:
    split = name.partition(",")[0]
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), name)


def _table(placed: list[tuple[float, Row]], unit: str) -> Table:
    cells = [
        [
            f"{x:.0f}",
            measured(row),
            percent(row.get("accuracy")),
            bounds(row.get("low"), row.get("high")),
            f"{row.get('solved', '?')} of {row.get('problems', '?')}",
            percent(row["overfit_gap"]) if known(row.get("overfit_gap")) else "",
        ]
        for x, row in sorted(placed, key=lambda point: point[0])
    ]
    headers = [unit, "split", "pass rate", "95 % interval", "solved", "overfit gap"]
    if not any(row[-1] for row in cells):
        headers, cells = headers[:-1], [row[:-1] for row in cells]
    folded = f"All {len(cells)} measurements" if len(cells) > MOST_ROWS else ""
    return Table(headers, cells, folded, key=2)


def _plain(value: Any) -> float:
    return float(value) if known(value) else math.nan
