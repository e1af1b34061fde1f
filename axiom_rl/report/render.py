"""A page as HTML (one self-contained file) and as Markdown, from the same blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from axiom_rl.core.text import percent
from axiom_rl.report.blocks import (
    Bar,
    Bars,
    Block,
    Chart,
    Code,
    HeatMap,
    Page,
    Samples,
    Table,
    Text,
    harmless,
)

BAR_CELLS = 10


def to_html(page: Page) -> str:
    """Render a page; every text is escaped, since completions are hostile."""
    environment = Environment(
        loader=PackageLoader("axiom_rl.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["harmless"] = harmless
    environment.filters["whole"] = whole
    environment.filters["percent"] = percent
    return environment.get_template("page.html").render(page=page)


def whole(text: str) -> str:
    """Make text harmless, and keep numbers and their units on one line: no-break spaces."""
    return re.sub(r"(?<=\d) (?=(%|s|min|h|GB|points)\b|%)", "\N{NO-BREAK SPACE}", harmless(text))


def to_markdown(page: Page) -> str:
    """Render a page for pasting; sections for the screen alone are left out."""
    parts = [f"# {_inline(page.title)}", f"**{_inline(page.headline)}**", _inline(page.weights)]
    for section in page.sections:
        if not section.screen_only:
            parts.append(f"## {_inline(section.title)}")
            parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Text():
            return f"> **Note:** {_inline(block.text)}" if block.warning else _inline(block.text)
        case Table():
            return _table(block.headers, block.rows, block.left)
        case Bars():
            return _bars(block)
        case HeatMap():
            cells = [
                [name, *(percent(v) if v is not None else "" for v in values)]
                for name, values in block.rows
            ]
            table = _table([block.corner, *block.columns], cells)
            return f"{table}\n\n{_inline(block.caption)}"
        case Chart():
            return f"![{_inline(block.caption)}]({block.png})\n\n{_inline(block.caption)}"
        case Code():
            return f"{_inline(block.summary)}:\n\n{_fenced(block.text)}"
        case Samples():
            return ""


def _bars(block: Bars) -> str:
    if all(len(group.bars) == 1 for group in block.groups):
        return _table(["", ""], [[g.name, _bar(g.bars[0])] for g in block.groups], left=True)
    series = list(dict.fromkeys(bar.series for group in block.groups for bar in group.bars))
    rows = []
    for group in block.groups:
        bars = {bar.series: bar for bar in group.bars}
        cells = [_bar(bars[name]) if name in bars else "" for name in series]
        rows.append([group.name, *cells, group.change])
    return _table(["", *series, "change"], rows, left=True)


def _bar(bar: Bar) -> str:
    full = round(bar.share * BAR_CELLS)
    return "█" * full + "░" * (BAR_CELLS - full) + " " + bar.label


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: bool = False) -> str:
    rule = [":---", *([":---" if left else "---:"] * (len(headers) - 1))]
    lines = [[_cell(text) for text in headers], rule, *([_cell(text) for text in r] for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """Keep text from opening HTML, links, emphasis or a new line in Markdown."""
    flat = " ".join(harmless(text).split())
    for char in "\\`*[<":
        flat = flat.replace(char, "\\" + char)
    return flat


def _fenced(text: str) -> str:
    """Fence text with more backticks than it holds in a row."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}\n{harmless(text).rstrip()}\n{ticks}"
