"""Colours for Python: the programs in completions, as escaped HTML.

What a model wrote is hostile. Every piece of text is escaped here before a tag is put around it,
and the tags are ours alone. The lexer is a single regular expression that never goes back
(possessive repeats, alternatives that exclude each other), so its time grows with the text and no
faster; Pygments 2.21 takes 11 s for 20,000 characters of newlines and blanks.
"""

from __future__ import annotations

import builtins
import keyword
import re

from markupsafe import Markup, escape

FENCE = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)[^\n]*+\n", re.MULTILINE)
TOKEN = re.compile(
    r'''
      (?P<c> \#[^\n]*+ )
    | (?P<s> [rRbBuUfF]{0,2}
        (?: """ (?: [^"\\] | \\. | "(?!"") )*+ (?: """ | \\?\Z )
          | \'\'\' (?: [^'\\] | \\. | '(?!\'\') )*+ (?: \'\'\' | \\?\Z )
          | " (?: [^"\\\n] | \\. )*+ "?
          | ' (?: [^'\\\n] | \\. )*+ '? ) )
    | (?P<f> (?<=\bdef[ ]) \w++ | (?<=\bclass[ ]) \w++ | (?<![\w)\].]) @ [\w.]++ )
    | (?P<n> \d\w*+ (?: \.\w*+ )? )
    | (?P<word> \w++ )
    ''',
    re.VERBOSE | re.DOTALL,
)
WORDS = {
    **{name: "b" for name in dir(builtins) if not name.startswith("_")},
    **dict.fromkeys([*keyword.kwlist, "match", "case"], "k"),
}
"""Words and their class in the page's style sheet: builtin or keyword."""


def completion(text: str) -> Markup:
    """Return a completion as HTML, the code in its fences coloured."""
    parts, place = list[Markup](), 0
    while opening := FENCE.search(text, place):
        stop = text.find(f"\n{opening[1]}", opening.end() - 1)
        stop = len(text) if stop < 0 else stop + 1
        parts += [escape(text[place : opening.end()]), python(text[opening.end() : stop])]
        place = min(stop + len(opening[1]), len(text))
        parts.append(escape(text[stop:place]))  # the closing fence, which opens nothing
    return Markup("").join([*parts, escape(text[place:])])


def python(code: str) -> Markup:
    """Return a program as HTML; the text of the result is the program, character by character."""
    parts, place = list[Markup](), 0
    for found in TOKEN.finditer(code):
        kind = found.lastgroup or ""
        name = WORDS.get(found[0], "") if kind == "word" else kind
        if name:
            parts.append(escape(code[place : found.start()]))
            parts.append(Markup(f'<i class="{name}">{escape(found[0])}</i>'))
            place = found.end()
    return Markup("").join([*parts, escape(code[place:])])
