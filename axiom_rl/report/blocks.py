"""The parts a page is made of; one content, shown alike in report.html and report.md."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from axiom_rl.core.text import percent, tenths
from axiom_rl.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `warning` sets it apart."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the row, the others are aligned to the right."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: str = ""
    """Summary line of a table that opens on a click; '' shows it at once."""
    left: bool = False
    """Align every column to the left (words, not numbers)."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a share of passing samples, with its interval where it has one."""

    series: str
    """before or after; chooses the colour."""
    share: float
    label: str
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class BarGroup:
    """The bars of one problem, and what changed, in words."""

    name: str
    bars: Sequence[Bar]
    change: str = ""
    tone: str = ""
    """good, bad or ''; never the only sign, `change` says it too."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of horizontal bars on one scale from 0 to 100 %."""

    groups: Sequence[BarGroup]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares by row and column; None where there is no problem."""

    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]
    caption: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: inline SVG for the page, a PNG beside report.md for pasting."""

    svg: str
    png: str
    """Path relative to the run folder."""
    caption: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion in the sample browser."""

    title: str
    tone: str
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Samples:
    """The completions of one problem, folded."""

    title: str
    prompt: str
    samples: Sequence[Sample]
    diff: Sequence[str] = ()
    """Lines of a unified diff between a program before and one after."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text shown as it is, folded under a summary line."""

    summary: str
    text: str


Block = Text | Table | Bars | HeatMap | Chart | Samples | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
    screen_only: bool = False
    """Left out of print and of report.md."""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page: its title, the one-sentence answer, the sections."""

    title: str
    headline: str
    tone: str
    """good, bad or '' (cannot tell, or nothing to compare)."""
    weights: str
    """Which weights the figures belong to."""
    sections: Sequence[Section] = field(default_factory=tuple)


def with_interval(interval: Interval) -> str:
    """Write a rate with its interval, `62.5 % (51.5 to 72.3 %)`."""
    if math.isnan(interval.value):
        return "not known"
    return f"{percent(interval.value)} ({tenths(interval.low)} to {tenths(interval.high)} %)"


def harmless(text: str) -> str:
    """Make hostile text safe to show: control, surrogate and direction characters as escapes.

    A completion may hold characters that break the file's encoding or reorder what is read.
    """
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else f"\\u{ord(char):04x}"
        for char in text
    )
