"""Fenced code blocks in the text of a chat model: found in linear time, forgiving of bad markdown.

Differs from CommonMark where models do: a fence may be indented as deep as it likes, may open at
the end of a line of prose and may close at the end of a line of code; a fence with a language tag
always opens a block; and a block whose docstring shows a fence of its own goes on to the fence at
which it parses as Python.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

LOOKAHEAD = 32
"""Fence lines looked at for the end of one block; a bound, so that hostile text costs no more."""
MAX_CLOSERS = 4
"""Closing fences tried for one block before it is taken to end at the first."""
PARSED_PER_CHARACTER = 8
"""Characters handed to the parser at most, over all blocks, per character of the text."""

_PREFIX = re.compile(r"[ \t]*(?:[-*+] |\d{1,9}[.)] )?[ \t]*")
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)+")
_TAG = re.compile(r"[ \t]*\{?[ \t]*\.?(\w[\w+#.-]*)")
_PYTHON_TAGS = frozenset({"", "python", "python3", "py", "py3", "python2", "pycon", "ipython"})


@dataclass(frozen=True, slots=True)
class Block:
    """The content of one fenced block."""

    code: str
    tree: ast.Module | None
    """None where the code does not parse."""
    python: bool
    """The language tag is a name of Python, or there is none."""
    closed: bool


@dataclass(frozen=True, slots=True)
class _Fence:
    line: int
    character: str
    length: int
    tag: str
    before: str
    """Text to the left on the same line, for a fence that ends a line; else empty."""


class Budget:
    """How many characters may still be parsed."""

    def __init__(self, text: str) -> None:
        self.left = PARSED_PER_CHARACTER * len(text) + 10_000

    def parse(self, code: str) -> ast.Module | None:
        """Return the syntax tree, or None if `code` is not Python or the budget is spent."""
        self.left -= len(code)
        if self.left < 0:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes are the candidate's business
                return ast.parse(code)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


def fenced_blocks(text: str, budget: Budget) -> list[Block]:
    """Return the fenced blocks of `text` in order; the last may be unclosed."""
    lines = text.split("\n")
    fences = [fence for number, line in enumerate(lines) if (fence := _fence(number, line))]
    blocks: list[Block] = []
    at = 0
    while at < len(fences):
        if not _opens(fences[at]):
            at += 1
            continue
        block, at = _block_at(at, fences, lines, budget)
        if block is not None:
            blocks.append(block)
    return blocks


def without_fences(text: str) -> str:
    """Return `text` with its fence lines made blank."""
    return "\n".join("" if _fence(0, line) else line for line in text.split("\n"))


def dedent(code: str) -> str:
    """Take the first line's indentation off every line that has it; drop blank ends."""
    blank = _BLANK_LINES.match(code)
    lines = code[blank.end() if blank else 0 :].rstrip().split("\n")
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t"))]
    return "\n".join(line.removeprefix(margin) for line in lines)


def _fence(number: int, line: str) -> _Fence | None:
    start = _prefix_end(line)
    character = line[start : start + 1]
    if character in ("`", "~") and line.startswith(character * 3, start):
        rest = line[start:].lstrip(character)
        length = len(line) - start - len(rest)
        if character == "~" or "`" not in rest:
            return _Fence(number, character, length, _tag(rest), "")
    before, mark, rest = line.rpartition("```")
    if not mark or not before.strip(" \t`") or line.count("```") % 2 == 0:
        return None
    tag = rest.strip()
    if tag.lower() not in _PYTHON_TAGS:
        return None
    return _Fence(number, "`", 3, tag.lower(), before.rstrip("`"))


def _prefix_end(line: str) -> int:
    match = _PREFIX.match(line)
    return match.end() if match else 0


def _tag(info: str) -> str:
    match = _TAG.match(info[:80])
    return match.group(1).lower() if match else ""


def _opens(fence: _Fence) -> bool:
    """A fence that ends a line of prose opens; `return x```` outside a block only looks like it."""
    return not fence.before or bool(fence.tag) or fence.before.rstrip().endswith(":")


def _block_at(
    at: int, fences: list[_Fence], lines: list[str], budget: Budget
) -> tuple[Block | None, int]:
    """Return the block that opens at fence `at`, or None, and the fence to go on from."""
    opener = fences[at]
    window = range(at + 1, min(at + 1 + LOOKAHEAD, len(fences)))
    closers = [other for other in window if _closes(fences[other], opener)][:MAX_CLOSERS]
    python = opener.tag in _PYTHON_TAGS
    if not closers:
        last = at + 1 == len(fences)
        code = dedent("\n".join(lines[opener.line + 1 :])) if last else ""
        block = Block(code, budget.parse(code), python, closed=False)
        return (block if last else None), at + 1
    first: Block | None = None
    for closer in closers:
        code = _content(opener, fences[closer], lines)
        block = Block(code, budget.parse(code), python, closed=True)
        if block.tree is not None:
            return block, closer + 1
        first = first or block
        if '"""' not in first.code and "'''" not in first.code:
            break  # only a string can hold a fence and still be Python
    if closers[0] > at + 1:  # a wrapper, or a block that was never closed: look inside
        return None, at + 1
    return first, closers[0] + 1


def _closes(fence: _Fence, opener: _Fence) -> bool:
    return not fence.tag and fence.character == opener.character and fence.length >= opener.length


def _content(opener: _Fence, closer: _Fence, lines: list[str]) -> str:
    inside = lines[opener.line + 1 : closer.line]
    if closer.before:
        inside.append(closer.before)
    return dedent("\n".join(inside))
