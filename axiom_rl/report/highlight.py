"""Colours for Python: the programs in completions, as escaped HTML.

What a model wrote is hostile. Every piece of text is escaped here before a tag is put around it,
and the tags are ours alone; a lexer that fails leaves the text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup, escape
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType

MOST_CHARACTERS = 20_000
"""Of one text that is coloured; the lexer's time may grow faster than a hostile text."""
CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "c"),
    (String, "s"),
    (Number, "n"),
    (Operator.Word, "k"),
    (Keyword, "k"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Decorator, "f"),
    (Name.Builtin, "b"),
    (Name.Exception, "b"),
)
"""Kinds of tokens and the class of the page's style sheet; the rest stays as it is, so that a page
with hundreds of programs stays small."""
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n", re.MULTILINE)
PYTHON = PythonLexer(stripnl=False, stripall=False, ensurenl=False)


def completion(text: str) -> Markup:
    """Return a completion as HTML, the code in its fences coloured."""
    parts, place = [], 0
    while opening := FENCE.search(text, place):
        closing = re.compile(rf"^ {{0,3}}{re.escape(opening[1])}", re.MULTILINE)
        end = closing.search(text, opening.end())
        stop = end.start() if end else len(text)
        parts += [escape(text[place : opening.end()]), python(text[opening.end() : stop])]
        place = end.end() if end else stop
    return Markup("").join([*parts, escape(text[place:])])


def python(code: str) -> Markup:
    """Return a program as HTML; the text of the result is the program, character by character."""
    if len(code) > MOST_CHARACTERS:
        return escape(code)
    parts = []
    for kind, pieces in groupby(_tokens(code), key=lambda token: token[0]):
        text = escape("".join(piece for _kind, piece in pieces))
        parts.append(Markup('<i class="{}">{}</i>').format(kind, text) if kind else text)
    return Markup("").join(parts)


def _tokens(code: str) -> Iterator[tuple[str, str]]:
    for _place, kind, text in PYTHON.get_tokens_unprocessed(code):
        found = next((name for of, name in CLASSES if kind in of), "")
        # Blanks between two words of one colour join them: fewer tags.
        yield found, text
