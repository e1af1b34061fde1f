"""From the text of a completion to the program in it.

In order of preference, the last of each kind:

1. a complete fenced block that parses and defines the entry point (or, without one, any function),
   unless a later one begins to and does not parse: a broken last answer is a syntax error;
2. the same in a fence that was never closed (a truncated completion);
3. statements between the lines of prose, without a fence;
4. the same three, where the text is read without what only surrounds code: `> ` of quotes, HTML,
   a sentence before the code on its first line, invisible characters outside of strings;
5. a lesser binding of the name in the same order: a function without a body, an assignment, an
   import;
6. a complete fenced block with a definition that does not parse, to be judged so.

What cannot be part of a program is left out of it: prose after the code, an interactive session,
the torn last statement of a truncated completion. Statements are taken whole or not at all; code
that does not parse is never mended.

Text between `<think>` and `</think>` is never an answer, closed or not. A program spread over
several blocks is put together: top-level imports, functions, classes and assignments of other
blocks are placed before the chosen one if it, or what was so added, uses their names and does not
define them, with what fills a table that is so taken. Everything else in other blocks (example
calls, prints, output) is left out; the chosen block itself is kept as it stands, prints, asserts
and main guard included. Fenced blocks of the prompt count as such other blocks: a program to
complete gives imports and functions that the completion need not repeat.

The time taken is linear in the length of the text, whatever the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from axiom_rl.core.text import THINKING_MARK
from axiom_rl.verify.assemble import Binding, Program, assembled, definition
from axiom_rl.verify.fences import PYTHON_TAGS, fenced_blocks, without_fences
from axiom_rl.verify.statements import (
    Block,
    Budget,
    literals,
    looks_like_code,
    pythons,
    remark_in,
    typed_lines,
)

_ANSWER_FOLLOWS = re.compile(
    r"[ \t]*(?:$|```|~~~|<|\n|(?:(?:async )?def|class|import|from)\b|@)", re.IGNORECASE
)
_QUOTE = re.compile(r"^(?: {0,3}>(?!>>) ?)+", re.MULTILINE)
_HTML = re.compile(
    r"</?(?:answer|final_answer|solution|code|pre|python|output|response|p|div|br)\b[^<>\n]{0,80}>"
    r"|<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|</?s>|<end_of_turn>|\[/?(?:PYTHON|ANSWER|CODE)\]",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#39|#x27);")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BEFORE_CODE = re.compile(
    r"^[ \t]*(?=[^\s#])(?![^\n]{0,200}?(?:\"\"\"|'''))(?:[^\n#]{0,200}?[^\w\n]|python3?|py)"
    r"(?=(?:async[ \t]+)?(?:def|class)[ \t]+\w+[ \t]*[(:\[]"
    r"|(?<=[ `:>*])\w{1,80}[ \t]*=[ \t]*lambda\b"
    r"|(?<=[:.!?`>*] )(?:import|from)[ \t]+\w|(?<=[:`>*])(?:import|from)[ \t]+\w)",
    re.MULTILINE,
)
_AFTER_CODE = re.compile(r"(?<=[^\s`])[ \t]?(?:`{1,2}|\*\*)[ \t.]{0,3}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Thinking:
    """A completion in two parts: what was thought, and what was answered."""

    reasoning: str
    """What stood inside the tags; '' where there are none."""
    answer: str
    tagged: bool
    """Whether there are tags."""
    open: bool
    """Whether the text ends inside them."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one reading of a text holds, each in the order of the text."""

    closed: list[Block]
    unclosed: list[Block]
    bare: list[Block]
    broken: list[Block]
    """Complete fenced blocks that do not parse."""

    @property
    def parsed(self) -> list[Block]:
        """All blocks that parse."""
        return sorted([*self.closed, *self.unclosed, *self.bare], key=lambda block: block.start)


def extract_code(
    completion_text: str, entry_point: str | None = None, *, shown: str = ""
) -> str | None:
    """Return the program in a completion, or None if there is none.

    Args:
        completion_text: what the model wrote, prose and all.
        entry_point: name of the function that the program must define; None accepts any function.
        shown: what the prompt showed; the completion may use names from fenced blocks in it.
    """
    name = None if entry_point is None else unicodedata.normalize("NFKC", entry_point)
    text = _without_thinking(whole_lines(completion_text))
    given = [block for block in fenced_blocks(shown, Budget(shown)) if block.tree]
    readings: list[_Found] = []
    programs: list[Program] = []
    for reading in _readings(text):
        readings.append(_find(reading))
        programs += _programs(readings[-1], name, Binding.DEFINED, given)
        if programs and not programs[-1].lacks:
            return programs[-1].code
    for least in (Binding.STUB, Binding.ASSIGNED, Binding.IMPORTED):
        for found in readings if not programs else ():
            programs += _programs(found, name, least, given)
    return programs[0].code if programs else _broken(readings[0], name)


def _programs(
    found: _Found, name: str | None, least: Binding, given: Sequence[Block]
) -> list[Program]:
    """Return the last of the most complete blocks that bind `name` so well, with what it needs.

    None if a complete block after it begins to define the function and does not parse: that is the
    answer then, and a wrong one.
    """
    wrong = max((block.start for block in _broken_blocks(found, name, begun=True)), default=-1)
    for blocks in (found.closed, found.unclosed, found.bare):
        for block in reversed(blocks):
            if block.tree is not None and definition(block.tree, name) >= least:
                return [assembled(block, [*given, *found.parsed])] if block.start >= wrong else []
    return []


def _broken(found: _Found, name: str | None) -> str | None:
    return next((block.code for block in _broken_blocks(found, name, begun=False)), None)


def _broken_blocks(found: _Found, name: str | None, *, begun: bool) -> Iterator[Block]:
    """Yield, last first, complete Python blocks that define `name` and do not parse.

    Args:
        found: what a reading of the text holds.
        name: of the function.
        begun: leave out blocks whose `def` is no beginning of a function in Python.
    """
    pattern = r"\w+" if name is None else re.escape(name)
    rest = r"(?:.*:|.*[(,][ \t]*$)" if begun else ""
    defines = re.compile(rf"^(?:async )?def[ \t]+{pattern}[ \t]*(?=[(\[]){rest}", re.MULTILINE)
    for block in reversed(found.broken):
        is_python = block.tag in ("", *PYTHON_TAGS)
        if is_python and defines.search(unicodedata.normalize("NFKC", block.code)):
            yield block


def _find(text: str) -> _Found:
    budget = Budget(text)
    lines = text.split("\n")
    found = _Found([], [], [], [])
    _code, tree = budget.parse_dedented(text)
    if tree is not None and definition(tree, None) > Binding.NONE:
        found.bare.extend(pythons(lines, budget)[0])  # fences in it are in its strings
        return found
    rest = without_fences(lines)
    for block in fenced_blocks(text, budget):
        kind = found.closed if block.closed else found.unclosed
        if block.closed:
            rest[block.start : block.end] = ["."] * (block.end - block.start)
        if block.tree is not None and not any(map(remark_in(block.tree), block.tree.body)):
            kind.append(block)
            continue
        parts, is_broken = _parts(block.code.split("\n"), budget)
        if not (block.closed and is_broken):
            kind.extend(replace(part, start=block.start, end=block.end) for part in parts)
        if block.closed and block.tree is None:
            found.broken.append(block)
    found.bare.extend(_parts(rest, budget)[0])
    return found


def _parts(lines: Sequence[str], budget: Budget) -> tuple[list[Block], bool]:
    """Return the Python in lines that are not all Python; of a session only if there is no other.

    Returns:
        blocks, and whether there is also code that does not parse.
    """
    parts, broken = pythons(lines, budget)
    if any(map(_defines_something, parts)) or not (session := typed_lines(lines)):
        return parts, broken
    typed, wrong = pythons(session, budget)
    return (typed, wrong) if any(map(_defines_something, typed)) else (parts, broken)


def _defines_something(block: Block) -> bool:
    return block.tree is not None and definition(block.tree, None) > Binding.NONE


def _readings(text: str) -> Iterator[str]:
    """Yield the text as it stands, and then without what may surround or hide code."""
    yield text
    plain = _QUOTE.sub("", text)
    if _INVISIBLE.search(plain) or _SPACES.search(plain):
        plain = "".join(_visible(plain))
    if plain != text:
        yield plain
    unmarked = _HTML.sub("\n", plain)
    if unmarked != plain and _ENTITY.search(unmarked):
        unmarked = html.unescape(unmarked)
    if unmarked != plain:
        yield unmarked
    ticked = _AFTER_CODE.sub("", unmarked)
    if ticked != unmarked:
        yield ticked
    if _BEFORE_CODE.search(unmarked):
        for margin in (" ", ""):
            yield _BEFORE_CODE.sub(partial(_replaced, margin), ticked)


def _replaced(margin: str, sentence: re.Match[str]) -> str:
    """Return what stands in the place of a sentence before code: code that is broken stays."""
    return sentence[0] if looks_like_code(sentence[0].lstrip()) else margin * len(sentence[0])


def _visible(text: str) -> Iterator[str]:
    """Yield pieces of `text`: outside of strings and comments, all spaces are plain ones."""
    position = 0
    for start, end in [*literals(text), (len(text), len(text))]:
        if start < position or start == end < len(text):
            continue
        yield _SPACES.sub(" ", _INVISIBLE.sub("", text[position:start]))
        yield text[start:end]
        position = end


def split_thinking(completion_text: str) -> Thinking:
    """Return the thinking of a completion, and the rest, as `extract_code` tells them apart."""
    return _split_thinking(whole_lines(completion_text))


def whole_lines(text: str) -> str:
    """Return a text whose lines end as Unix has it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def cut_off_thinking(completion_text: str) -> bool:
    """Tell whether an answer that the token limit ended never came out of its thinking."""
    thinking = split_thinking(completion_text)
    return thinking.open or (not thinking.tagged and extract_code(completion_text) is None)


def _without_thinking(text: str) -> str:
    return _split_thinking(text).answer


def _split_thinking(text: str) -> Thinking:
    """Take thinking out: a closing tag without an opening one ends thinking that the prompt began.

    A tag inside code that parses stands in a string or a comment, and is part of the program.
    """
    tags = list(THINKING_MARK.finditer(text))
    if not tags:
        return Thinking("", text, tagged=False, open=False)
    in_code, starts = _code_lines(text), _line_starts(text)
    kept: list[str] = []
    thought: list[str] = []
    tagged = False
    all_before = start = 0
    thinking = False
    for tag in tags:
        line = bisect_right(starts, tag.start()) - 1
        if thinking:
            if tag["close"]:
                thought.append(text[start : tag.start()])
                start, thinking = tag.end(), False
        elif line in in_code:
            continue
        elif tag["close"] and _ends_thinking(text, tag, starts[line]):
            all_before = tag.start()  # all of it was thinking
            thought.clear()
            kept.clear()
            start, tagged = tag.end(), True
        elif tag["open"] and not text[starts[line] : tag.start()].strip():
            kept.append(text[start : tag.start()])
            start, thinking, tagged = tag.end(), True, True
    if thinking:
        thought.append(text[start:])
    parts = [THINKING_MARK.sub("", text[:all_before]), *thought] if all_before else thought
    return Thinking(
        "\n".join(part.strip() for part in parts),
        "\n".join([*kept, "" if thinking else text[start:]]),
        tagged=tagged,
        open=thinking,
    )


def _ends_thinking(text: str, tag: re.Match[str], line_start: int) -> bool:
    """Tell a closing tag from one that is only written about."""
    before, after = text[line_start : tag.start()], text[tag.end() : tag.end() + 80]
    if not before.strip():
        return True
    if before[-1] in "`'\"" or after[:1] in ("`", "'", '"'):
        return False
    return bool(_ANSWER_FOLLOWS.match(after)) or (before[-1] in ".!?:)" and after[:1].isalpha())


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that are part of code that parses."""
    lines = text.split("\n")
    numbers: set[int] = set()
    for block in _find(text).parsed:
        code = {line.strip() for line in block.code.split("\n")}
        numbers.update(at for at in range(block.start, block.end) if lines[at].strip() in code)
    return numbers
