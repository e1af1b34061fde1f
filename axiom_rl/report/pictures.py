"""PNGs of what the page shows in HTML and CSS (bars, heat maps), for report.md and for pasting.

The page itself keeps HTML, which reflows on a phone and is read by screen readers; these pictures
show the same blocks, so the two cannot say different things.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from axiom_rl.core.text import percent
from axiom_rl.report.blocks import BarGroup, Bars, HeatMap
from axiom_rl.report.charts import PRINT, legend_above, save_png, style

COLORS = {"before": "#98a2b3", "after": "#2563eb"}
"""As --before and --after in page.html."""
LABEL_LETTERS = 34


def pictured(folder: Path, name: str, block: Bars, caption: str) -> Bars:
    """Return the bars with a picture of them, `folder`/charts/`name`.png."""
    return replace(block, png=bars_png(folder, name, block), caption=caption)


def bars_png(folder: Path, name: str, block: Bars) -> str:
    """Draw groups of bars as on the page, first group on top; return the PNG's relative path."""
    figure, axes = _canvas(len(block.groups) * 0.42 + 0.9)
    for place, group in enumerate(block.groups):
        _group(axes, place, group)
    style(axes, "", "", False, PRINT)
    axes.set_ylim(len(block.groups) - 0.5, -0.5)
    axes.set_yticks(range(len(block.groups)), [_label(group.name) for group in block.groups])
    axes.set_xlim(0, 1.5 if any(b.interval for g in block.groups for b in g.bars) else 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="y", visible=False)
    if any(len(group.bars) > 1 for group in block.groups):
        legend_above(axes, PRINT)
    return save_png(folder, name, figure)


def heat_png(folder: Path, name: str, block: HeatMap) -> str:
    """Draw a heat map with its figures; empty where there is no problem."""
    shares = np.array(
        [[math.nan if v is None else v for v in values] for _name, values in block.rows]
    )
    figure, axes = _canvas(len(block.rows) * 0.36 + 0.8)
    axes.imshow(shares, cmap=mpl.colormaps["Blues"], vmin=0, vmax=1.5, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if not math.isnan(share):
            axes.text(column, row, percent(share), ha="center", va="center")
    axes.set_xticks(range(len(block.columns)), block.columns)
    axes.set_yticks(range(len(block.rows)), [_label(row) for row, _values in block.rows])
    axes.tick_params(colors=PRINT.ink, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return save_png(folder, name, figure)


def _canvas(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, max(1.6, height)), layout="constrained")
    return figure, figure.add_subplot()


def _group(axes: Axes, place: int, group: BarGroup) -> None:
    height = 0.76 / len(group.bars)
    for number, bar in enumerate(group.bars):
        y = place - 0.38 + height * (number + 0.5)
        known = axes.get_legend_handles_labels()[1]
        name = "" if bar.series in known else bar.series
        axes.barh(y, bar.share, height=height * 0.9, color=COLORS[bar.series], label=name)
        end = bar.share
        if bar.interval is not None:
            axes.hlines(y, bar.interval.low, bar.interval.high, color=PRINT.ink, linewidth=1.2)
            end = max(end, bar.interval.high)
        axes.text(end + 0.01, y, bar.label, va="center", fontsize=7, color=PRINT.ink)


def _label(name: str) -> str:
    return name if len(name) <= LABEL_LETTERS else name[: LABEL_LETTERS - 1] + "…"
