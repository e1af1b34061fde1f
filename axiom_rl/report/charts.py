"""Line charts drawn with matplotlib: no browser, no JavaScript, no network, and a PNG for pasting.

Plotly and Altair pages need megabytes of JavaScript and show nothing where scripts do not run;
every number here is also in a table, so nothing is lost without hovering. The inline SVG keeps its
text as text and takes its colours from the page's CSS variables, so that it follows light and dark.
Bars and heat maps are plain HTML and CSS, which reflow on a phone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from axiom_rl.report.blocks import Chart


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of the text, the grid and the lines."""

    ink: str
    grid: str
    lines: tuple[str, ...]


PRINT = Palette("#1f2430", "#d5dae3", ("#2563eb", "#c2570c", "#0f8a6d", "#8a3ffc"))
PAGE = Palette("#010101", "#020202", ("#030101", "#030202", "#030303", "#030404"))
"""Stand-ins: `to_svg` replaces them by the page's CSS variables."""
MARKERS = "os^D"
DASHES = ("-", "--", "-.", ":")
MOST_MARKERS = 25
SIZE = (4.7, 2.6)
"""Inches; small, so that the text can be read where the chart is as wide as a phone."""
MOST_LETTERS = 36
"""Names of series that fit into one line above a chart."""


@dataclass(frozen=True, slots=True)
class Series:
    """One named line; `low` and `high` draw its 95 % interval where given."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def line_chart(
    folder: Path,
    name: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    share: bool,
    caption: str,
    title: str,
) -> Chart:
    """Draw lines that differ in colour, dash and marker; the PNG is `folder`/charts/`name`.png.

    Args:
        folder: the run folder.
        name: file name without ending.
        series: one to four lines.
        x_label: what the x axis counts; its ticks are whole numbers.
        y_label: what the y axis measures.
        share: the y axis runs from 0 to 100 %.
        caption: the sentence under the chart, and its text for screen readers.
        title: above the chart.
    """
    return _both(
        folder, name, title, caption, lambda own: _draw(series, x_label, y_label, share, own)
    )


def stack_chart(
    folder: Path,
    name: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    caption: str,
    title: str,
) -> Chart:
    """Draw what adds up to a whole, one layer on the other; the PNG is as of `line_chart`.

    Args:
        folder: the run folder.
        name: file name without ending.
        series: one to four layers over the same x, from the bottom up.
        x_label: what the x axis counts.
        y_label: the unit of the layers.
        caption: the sentence under the chart, and its text for screen readers.
        title: above the chart.
    """
    return _both(folder, name, title, caption, lambda own: _stack(series, x_label, y_label, own))


def _both(
    folder: Path, name: str, title: str, caption: str, draw: Callable[[Palette], Figure]
) -> Chart:
    """Draw in the page's colours now, and for print when the chart is saved."""

    def save() -> None:
        path = folder / "charts" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(PRINT).savefig(path, dpi=160, facecolor="white")

    return Chart(to_svg(draw(PAGE), name), f"charts/{name}.png", caption, title, save)


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an `<svg>` element; `name` keeps its ids apart from other charts'."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Ids stand once in a page: those stay that clips and markers refer to. Fonts are the page's.
    text = re.sub(r' id="(?![pm][0-9a-f]{10}")[^"]*"', "", text)
    text = re.sub(r"<style\b.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r" font-family: [^;]*;", "", text)
    variables = {PAGE.ink: "var(--ink)", PAGE.grid: "var(--line)"}
    variables |= {color: f"var(--series-{i})" for i, color in enumerate(PAGE.lines, start=1)}
    for color, variable in variables.items():
        text = text.replace(color, variable)
    return text


def _draw(
    series: Sequence[Series], x_label: str, y_label: str, share: bool, palette: Palette
) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    for number, line in enumerate(series):
        color = palette.lines[number % len(palette.lines)]
        axes.plot(
            line.x,
            line.y,
            label=_plain(line.name),
            color=color,
            linestyle=DASHES[number % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)] if len(line.x) <= MOST_MARKERS else "",
            markersize=4,
            linewidth=1.6,
        )
        if line.low and line.high:
            axes.fill_between(line.x, line.low, line.high, color=color, alpha=0.13, linewidth=0)
    _style(axes, x_label, y_label, share, palette)
    if len(series) > 1:
        _legend_above(axes, palette)
    return figure


def _stack(series: Sequence[Series], x_label: str, y_label: str, palette: Palette) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    x, layers, colors = series[0].x, [line.y for line in series], palette.lines[: len(series)]
    names = [_plain(line.name) for line in series]
    axes.stackplot(x, layers, labels=names, colors=colors, alpha=0.75)
    if len(x) == 1:  # an area over one step has no width
        axes.clear()
        bottom = 0.0
        for name, layer, color in zip(names, layers, colors, strict=True):
            axes.bar(x, layer, bottom=bottom, label=name, color=color, width=0.4, alpha=0.75)
            bottom += layer[0]
    _style(axes, x_label, y_label, False, palette)
    _legend_above(axes, palette)
    return figure


def _plain(name: str) -> str:
    """Keep a folder's name from being read as mathematics, or as one to be left out."""
    return (f" {name}" if name.startswith("_") else name).replace("$", r"\$")


def _legend_above(axes: Axes, palette: Palette) -> None:
    """Put the names above the chart, where they hide nothing."""
    names = axes.get_legend_handles_labels()[1]
    fits = len(names) <= 3 and sum(map(len, names)) <= MOST_LETTERS
    pairs = 2 * max(map(len, names)) <= MOST_LETTERS
    axes.legend(
        frameon=False,
        labelcolor=palette.ink,
        ncols=len(names) if fits else 2 if pairs else 1,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
    )


def _style(axes: Axes, x_label: str, y_label: str, share: bool, palette: Palette) -> None:
    """Label axes and leave out whatever holds no data."""
    axes.set_xlabel(x_label, color=palette.ink)
    axes.set_ylabel(y_label, color=palette.ink)
    axes.tick_params(colors=palette.ink, length=0)
    axes.grid(color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if share:
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif axes.dataLim.y0 >= 0:  # losses and rewards may be negative
        axes.set_ylim(bottom=0)
