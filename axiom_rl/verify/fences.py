"""Fenced code blocks in the text of a chat model: found in linear time, forgiving of bad markdown.

Differs from CommonMark where models do. A fence may be indented as deep as it likes, stand in a
list, open at the end of a line of prose and close at the end of a line of code; code may begin on
the line of the fence; text after a closing fence does not keep it from closing. A fence with a
language tag always opens a block, and so ends one that was never closed. A fence inside a comment
or a string in triple quotes is part of the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from axiom_rl.verify.statements import Block, Budget, literals

PYTHON_TAGS = frozenset({"python", "python3", "py", "py3", "python2", "pycon", "ipython"})
_OTHER_TAGS = frozenset({"bash", "sh", "shell", "console", "text", "txt", "plaintext", "output"})
_OTHER_TAGS |= frozenset(
    {"markdown", "md", "json", "html", "javascript", "java", "c", "cpp", "c++"}
)
_PREFIX = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?:</?\w+>|\*\*)*[ \t]*")
_TAG = re.compile(r"\{?[ \t]*\.?([A-Za-z_][\w+#.-]*)")
_GLUED = re.compile(
    r"(?:python3?|py3?)?[ \t:]*"
    r"((?:(?:async[ \t]+)?def|class|from|import)[ \t]|@\w|try:|(?:if|for|while|with)[ \t].*:$"
    r"|\w{1,80}(?::[^=]{0,80}| )?=[ \t]*lambda\b|\w{1,80}[ \t]+=[ \t])",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"(?:<[^<>]{1,40}>|[ \t*.])*")
LOOKAHEAD = 64
"""Fences looked at for the end of one block: a bound on what hostile text costs."""


@dataclass(frozen=True, slots=True)
class _Fence:
    line: int
    mark: int
    """Where in the text its first character is."""
    character: str
    length: int
    tag: str
    """What it says the block is; empty for a fence that may close one."""
    opens: bool
    glued: str = ""
    """Code that begins on the line of the fence."""
    before: str = ""
    """Text to the left on the same line, for a fence that ends a line; else empty."""
    inline: bool = False
    """It ends on its own line, and `glued` is all of it."""


def fenced_blocks(text: str, budget: Budget) -> list[Block]:
    """Return the fenced blocks of `text` in order; the last may be unclosed."""
    lines = text.split("\n")
    fences = list(_fences(lines))
    blocks: list[Block] = []
    at = 0
    while at < len(fences):
        fence = fences[at]
        if fence.inline:
            code, tree = budget.parse_dedented(fence.glued)
            blocks.append(Block(code, tree, closed=True, start=fence.line, end=fence.line + 1))
            at += 1
        elif fence.opens:
            block, at = _block_at(at, fences, lines, text, budget)
            blocks.append(block)
        else:
            at += 1
    return [block for block in blocks if block.code]


def without_fences(lines: Sequence[str]) -> list[str]:
    """Return the lines with fences, also those that are too short or of other quotes, blank."""
    kept = list(lines)
    for fence in _fences(lines):
        kept[fence.line] = fence.glued or fence.before
    return ["" if _BARE_MARK.fullmatch(line) else line for line in kept]


_BARE_MARK = re.compile(
    r"[ \t]*(?:(?:`+|\'\'\'|\"\"\")[ \t]*(?:python3?|py)|`+)[ \t]*", re.IGNORECASE
)


def _fences(lines: Sequence[str]) -> Iterator[_Fence]:
    offset = 0
    for number, line in enumerate(lines):
        if "```" in line or "~~~" in line:
            several = list(_several(line, number, offset)) if line.count("```") > 2 else []
            fence = _at_margin(line, number, offset) or _in_the_line(line, number, offset)
            if several or fence:
                yield from several or filter(None, [fence])
        offset += len(line) + 1


def _at_margin(line: str, number: int, offset: int) -> _Fence | None:
    prefix = _PREFIX.match(line)
    start = prefix.end() if prefix else 0
    character = line[start : start + 1]
    if character not in ("`", "~") or not line.startswith(character * 3, start):
        return None
    info = line[start:].lstrip(character)
    mark, length = offset + start, len(line) - start - len(info)
    info = info.strip()
    if character == "`" and "`" in info:
        return _inline(info, number, mark)
    tag, glued = _tag_of(info)
    return _Fence(number, mark, character, length, tag, opens=True, glued=glued)


def _in_the_line(line: str, number: int, offset: int) -> _Fence | None:
    before, found, after = line.rpartition("```")
    if not found or not before.strip(" \t`"):
        return None
    if line.count("```") % 2 == 0:
        head, _found, inner = before.rpartition("```")
        return _inline(inner + "```", number, offset + len(head))
    tag, glued = _tag_of(after.strip())
    before, length = before.rstrip("`"), 3
    if tag and tag not in PYTHON_TAGS | _OTHER_TAGS:
        return None
    opens = bool(tag) or before.rstrip().endswith(":")
    return _Fence(number, offset + len(before), "`", length, tag, opens, glued, before)


def _inline(info: str, number: int, mark: int) -> _Fence | None:
    code = info.rpartition("```")[0].strip().rstrip("`")
    tag, glued = _tag_of(code)
    if not glued or "```" in code:
        return None
    return _Fence(number, mark, "`", 3, tag, opens=True, glued=glued, inline=True)


def _several(line: str, number: int, offset: int) -> Iterator[_Fence]:
    """Yield the code of a line with more than one one-line block."""
    for place, piece in enumerate(line.split("```")[:-1]):
        if place % 2 and (fence := _inline(piece + "```", number, offset - 3)):
            yield fence
        offset += len(piece) + 3


def _tag_of(info: str) -> tuple[str, str]:
    """Return the tag in the text after a fence, and the code that begins there."""
    if _MARKUP.fullmatch(info):
        return "", ""
    if glued := _GLUED.match(info):
        return "python", info[glued.start(1) :]
    match = _TAG.match(info[:80])
    tag = match[1].lower() if match else ""
    words = info.split()
    if len(words) == 1 or tag in PYTHON_TAGS or tag in _OTHER_TAGS or "=" in info:
        return tag, ""
    return "", ""  # prose


def _block_at(
    at: int, fences: Sequence[_Fence], lines: Sequence[str], text: str, budget: Budget
) -> tuple[Block, int]:
    """Return the block that opens at fence `at`, and the fence to go on from."""
    opener = fences[at]
    likely, nearest = _ends(at, fences, text)
    block = _content(opener, fences[likely : likely + 1], lines, budget)
    end = likely
    if block.tree is None and nearest < likely:
        block, end = _content(opener, fences[nearest : nearest + 1], lines, budget), nearest
    return block, end + 1 if block.closed else end


def _content(
    opener: _Fence, closer: Sequence[_Fence], lines: Sequence[str], budget: Budget
) -> Block:
    """Return what stands between two fences, or up to the end of the text if there is no closer."""
    last = closer[0].line if closer else len(lines)
    closed = bool(closer) and not closer[0].tag
    inside = [opener.glued] if opener.glued else []
    inside += lines[opener.line + 1 : last]
    if closed and closer[0].before:
        inside.append(closer[0].before)
    if inside and inside[0].strip().lower() in PYTHON_TAGS:
        del inside[0]
    code, tree = budget.parse_dedented("\n".join(inside))
    return Block(code, tree, closed, opener.tag, start=opener.line, end=last + closed)


def _ends(at: int, fences: Sequence[_Fence], text: str) -> tuple[int, int]:
    """Return at which fences the block may end (the number of fences: at the end of the text).

    The first is the likely one; the second is what to fall back on, the next fence that could end
    it if strings, comments and the length of the fence did not count.
    """
    opener = fences[at]
    window = fences[at + 1 : at + 1 + LOOKAHEAD]
    stop = window[-1].mark if len(window) == LOOKAHEAD else len(text)
    spans = literals(text, opener.mark + opener.length, stop)
    start = end = -1
    nearest = len(fences)
    for number, fence in enumerate(window, start=at + 1):
        if fence.inline:
            continue
        nearest = min(nearest, number)
        while end <= fence.mark and (span := next(spans, None)):
            start, end = span
        fits = fence.character == opener.character and fence.length >= opener.length
        if (fence.tag or fits) and not start < fence.mark < end:
            return number, nearest
    return len(fences), nearest
