"""A page as HTML (one self-contained file) and as Markdown, from the same blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from axiom_rl.core.text import percent
from axiom_rl.report import highlight
from axiom_rl.report.blocks import (
    Bar,
    Bars,
    Block,
    Cell,
    Chart,
    Code,
    HeatMap,
    Link,
    Page,
    Samples,
    Section,
    Table,
    Text,
    harmless,
    text_of,
)
from axiom_rl.report.policy import SCRIPT, Styles

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
    environment.filters["completion"] = highlight.completion
    environment.filters["python"] = highlight.python
    environment.filters["gathered"] = gathered
    environment.filters["statuses"] = statuses
    page_styles = Styles()
    return environment.get_template("page.html").render(
        page=page, styles=page_styles, script=SCRIPT
    )


def gathered(blocks: Iterable[Block]) -> list[Block | tuple[Chart, ...]]:
    """Gather charts that follow each other: they stand in columns where there is room."""
    parts: list[Block | tuple[Chart, ...]] = []
    for block in blocks:
        if not isinstance(block, Chart):
            parts.append(block)
        elif parts and isinstance(parts[-1], tuple):
            parts[-1] = (*parts[-1], block)
        else:
            parts.append((block,))
    return parts


def statuses(section: Section) -> list[str]:
    """Return the verdicts among a section's samples, by name."""
    blocks = (block for block in section.blocks if isinstance(block, Samples))
    return sorted({sample.status for block in blocks for sample in block.samples} - {""})


def save_charts(page: Page) -> None:
    """Write the charts of a page as PNGs, which report.md shows."""
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Chart):
                block.save()


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
            cells: list[list[Cell]] = [
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
    named = dict(zip(("before", "after"), block.names, strict=True))
    rows = []
    for group in block.groups:
        bars = {bar.series: bar for bar in group.bars}
        cells = [_bar(bars[name]) if name in bars else "" for name in series]
        rows.append([group.name, *cells, group.change])
    headers = ["", *(named.get(name, name) for name in series), "change"]
    return _table(headers, rows, left=True)


def _bar(bar: Bar) -> str:
    full = round(bar.share * BAR_CELLS)
    return "█" * full + "░" * (BAR_CELLS - full) + " " + bar.label


def _table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], left: bool = False) -> str:
    rule = [":---", *([":---" if left else "---:"] * (len(headers) - 1))]
    lines = [[_cell(text) for text in headers], rule, *([_cell(text) for text in r] for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(cell: Cell) -> str:
    text = _inline(text_of(cell)).replace("|", "\\|")
    if isinstance(cell, Link) and not cell.href.startswith("#"):  # those are places of the page
        return f"[{text.replace(']', chr(92) + ']')}]({cell.href})"
    return text


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
