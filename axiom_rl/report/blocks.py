"""The parts a page is made of; one content, shown alike in report.html and report.md."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from axiom_rl.core.text import percent, tenths
from axiom_rl.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads to another place of the page, or to a file beside it."""

    text: str
    href: str
    """As `link_to` and `anchor` make it: a relative path or `#place`, never a scheme."""


Cell = str | Link
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `warning` sets it apart."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the row, the others are aligned to the right."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folded: str = ""
    """Summary line of a table that opens on a click; '' shows it at once."""
    left: bool = False
    """Align every column to the left (words, not numbers)."""
    key: int = 0
    """Number of the column that stays in sight where the table is wider than the screen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a share of passing samples, with its interval where it has one."""

    series: str
    """before or after; chooses the colour, and the name in the legend."""
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
    href: str = ""
    """Where the name leads, see `Link`."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of horizontal bars on one scale from 0 to 100 %."""

    groups: Sequence[BarGroup]
    names: tuple[str, str] = ("before", "after")
    """What the two colours stand for."""


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
    title: str = ""
    """Above the chart on the page; '' leaves the place to the caption below."""
    save: Callable[[], None] = lambda: None
    """Writes the PNG; a page that is not final has none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion in the sample browser."""

    title: str
    tone: str
    detail: str
    text: str
    status: str = ""
    """Its verdict in a word or two, which samples are filtered by."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The completions of one problem, folded."""

    title: str
    prompt: str
    samples: Sequence[Sample]
    diff: Sequence[str] = ()
    """Lines of a unified diff between a program before and one after."""
    anchor: str = ""
    """Its place on the page, see `anchor`."""
    side_by_side: bool = False
    """Whether the samples are one pair, shown beside each other."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text shown as it is, folded under a summary line."""

    summary: str
    text: str
    python: bool = False
    """Whether the text is a program, and is coloured as one."""


Block = Text | Table | Bars | HeatMap | Chart | Samples | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
    screen_only: bool = False
    """Left out of print and of report.md."""
    filtered: bool = False
    """Whether its samples can be filtered by verdict and text."""


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
    live: str = ""
    """Says that the page is not final and is written again; '' on a final page."""
    reload_s: int = 60
    """Seconds after which a browser asks for a live page again."""


def table_of(
    rows: Iterable[_Row],
    columns: Mapping[str, Callable[[_Row], Cell]],
    *,
    left: bool = False,
    key: int = 0,
) -> Table:
    """Return a table with a line for each row; `columns` says what stands under each heading."""
    lines = [[show(row) for show in columns.values()] for row in rows]
    return Table([*columns], lines, left=left, key=key)


def link_to(path: Path, text: str, page: Path) -> Link:
    """Link to a file from the folder of a page; the text may be what a folder is named."""
    relative = os.path.relpath(path.resolve(), page.resolve())
    # "./" first: a folder named "javascript:x" must not be read as a scheme.
    return Link(text, f"./{quote(relative, errors='surrogateescape')}")


def anchor(kind: str, name: str) -> str:
    """Return the place on a page of something that is named by a problem's id or the like."""
    return f"{kind}-{quote(name, safe='', errors='backslashreplace')}"


def text_of(cell: Cell) -> str:
    """Return what a cell says."""
    return cell.text if isinstance(cell, Link) else cell


def linked(name: str, hrefs: Mapping[str, str], key: str) -> Cell:
    """Return `name` as a link where `hrefs` knows where `key` leads."""
    return Link(name, hrefs[key]) if key in hrefs else name


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
