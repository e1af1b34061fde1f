"""Examples in a statement, read without running anything: what a search may test programs by."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.core.types import TestCase

EXAMPLE = re.compile(
    r"^\s*>>> (?P<call>.+)\n(?P<value>(?:(?![ \t]*(?:>>>|\"\"\"|'''))[ \t]*\S.*\n)*)", re.M
)
"""An example in a docstring, as Python's doctest writes them."""
RESULT = re.compile(
    r"\s*(?:#\s*)?(?:==+>?|=>|-+>|[➞→⇒]"
    r"|(?:(?:should|will|must) )?(?:returns?|outputs?|equals?|be)\b:?)"
    r"\s*(?P<value>.*)"
)
"""Between a call and its value, in a line such as `f(1) == 2` or `f(1) returns 2`."""
PAIRS = (
    re.compile(r"^\s*Input\b[^:\n]*:(?P<given>.*)\n\s*Output\b[^:\n]*:(?P<value>.*)$", re.M | re.I),
    re.compile(
        r"^\s*For (?P<given>\w+ *=.*?),?\s+the (?:output|result) should be\s+(?P<value>.*)$", re.M
    ),
)
"""`Input: 1` above `Output: 2`, and `For n = 1 the output should be 2`."""
WORKED_OUT = re.compile(r"[\d\s.()+*/%=-]+=\s*(?P<value>-?[\d.]+)")
WORDS = {"true": True, "false": False, "none": None, "null": None}


def examples_in(statement: str, entry_point: str) -> tuple[tuple[TestCase, ...], int]:
    """Read the examples of a statement.

    Read are: `>>> f(1)` with the value under it; a call and its value in a line, such as
    `f(1) == 2`, `f(1) ➞ 2` or `f(1) should return 2`; `Input: 1` above `Output: 2`; and
    `For n = 1 the output should be 2`. Nothing is run: arguments and value must be literals.

    Returns:
        The tests, and how many examples could not be read.
    """
    tests: dict[str, TestCase] = {}
    unread = 0
    head = re.search(rf"def {re.escape(entry_point)}\((.*)\)", statement)
    names = [part.split(":")[0].strip() for part in head[1].split(",")] if head else []
    for call, value in _written(statement + "\n", entry_point):
        try:
            test = TestCase(args=literal_call(call, entry_point, names), expected=_literal(value))
            encode(test.args), encode(test.expected)  # `...` is a literal too, and no value
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            unread += 1
            continue
        tests.setdefault(repr(test.args), test)
    return tuple(tests.values()), unread


def _written(statement: str, entry_point: str) -> Iterator[tuple[str, str]]:
    """Yield the text of each example's call and of its value."""
    for found in EXAMPLE.finditer(statement):
        yield _in_line(found["call"], entry_point) or (found["call"], found["value"])
    for line in statement.splitlines():
        if not line.lstrip().startswith(">>>") and (example := _in_line(line, entry_point)):
            yield example
    for found in chain.from_iterable(pair.finditer(statement) for pair in PAIRS):
        yield f"{entry_point}({found['given']})", found["value"]


def _in_line(line: str, entry_point: str) -> tuple[str, str] | None:
    """Return a call and what is said to come of it, where a line has both."""
    begun = re.search(rf"(?<![\w.])(?<!def ){re.escape(entry_point)}\(", line)
    end = None if begun is None else _closing(line, begun.end() - 1)
    result = None if end is None else RESULT.match(line, end)
    if begun is None or result is None:
        return None
    return line[begun.start() : end], result["value"]


def _closing(line: str, opening: int) -> int | None:
    """Return where the bracket that opens there is closed, quotes observed; None if nowhere."""
    depth, quote = 0, ""
    for place in range(opening, len(line)):
        letter = line[place]
        if quote:
            quote = "" if letter == quote and line[place - 1] != "\\" else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if not depth:
                return place + 1
    return None


def _literal(text: str) -> Any:
    """Return the value of a literal, which a comment or a full stop may follow.

    Of a sum that is worked out, `19 - 5 - 6 = 8`, it is the last part.

    Raises:
        ValueError, SyntaxError: if there is none.
    """
    text = text.strip()
    if text.lower().strip(" .") in WORDS:
        return WORDS[text.lower().strip(" .")]
    tries = [text, text.rstrip(" .,;"), text.split("#")[0].strip(" .,;")]
    if worked_out := WORKED_OUT.fullmatch(tries[-1]):
        tries.append(worked_out["value"])
    for each in tries:
        with suppress(ValueError, SyntaxError):
            return ast.literal_eval(each)
    raise ValueError(f"no literal: {text}")


def literal_call(text: str, entry_point: str, names: Sequence[str] = ()) -> tuple[Any, ...]:
    """Return the arguments of a call such as `f([1, 2], 3)`, all of them literals.

    Args:
        text: of the call.
        entry_point: the function's name.
        names: of its parameters; with all of these, in their order, a call may name its arguments.

    Raises:
        ValueError: if it is no such call of that function.
        SyntaxError: if it is no Python.
    """
    match ast.parse(text.strip(), mode="eval").body:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name == entry_point:
            return tuple(ast.literal_eval(node) for node in args)
        case ast.Call(func=ast.Name(id=name), args=[], keywords=given) if name == entry_point:
            if [each.arg for each in given] == list(names):
                return tuple(ast.literal_eval(each.value) for each in given)
    raise ValueError(f"no plain call of {entry_point}")
