"""Numbers as people read them: shares, differences, durations; and the marks around thinking."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping

MINUS = "\N{MINUS SIGN}"
_THINKING = r"(?:\w{1,20}:)?(?:think|thinking|thought|thoughts|reasoning)\s*>"
THINKING_MARK = re.compile(
    rf"(?P<open><{_THINKING}|\[think\]|<\|begin_of_thought\|>)"
    rf"|(?P<close></\s*{_THINKING}|\[/think\]|<\|end_of_thought\|>)",
    re.IGNORECASE,
)
"""What models write before and after their thinking: `<think>`, `[THINK]`, `<seed:think>`."""


def percent(share: float | None) -> str:
    """Write a share as a percentage, `96.3 %`; `not known` for NaN and None."""
    if share is None or math.isnan(share):
        return "not known"
    return f"{tenths(share)} %"


def with_ends(interval: Mapping[str, float | None], write: Callable[[float], str] = percent) -> str:
    """Write a value of a JSON document with its interval, where it has one; `none` for no value."""
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if value is None:
        return "none"
    if low is None or high is None:
        return write(value)
    return f"{write(value)} ({write(low)} to {write(high)})"


def points(difference: float) -> str:
    """Write a difference of two shares with its sign, `+33.8 points`."""
    if math.isnan(difference):
        return "not known"
    size = tenths(abs(difference))
    return f"{MINUS if difference < 0 and size != '0.0' else '+'}{size} points"


def did_you_mean(
    name: str, known: Iterable[str], *, before: str = "", after: str = "", most: int = 3
) -> str:
    """Ask for what is spelt alike, between `before` and `after`; '' where nothing is."""
    near = difflib.get_close_matches(name, list(known), n=most)
    return f"{before}did you mean {' or '.join(near)}?{after}" if near else ""


def whole_text(text: str) -> str:
    """Return a text with `?` for halves of surrogate pairs, which JSON holds and no tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")


def count(number: int, noun: str) -> str:
    """Write how many there are of something: `1 problem`, `2 problems`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float | None) -> str:
    """Write seconds for people: `42.0 s`, `3 min 12 s`, `1 h 05 min`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )


def tenths(share: float) -> str:
    """Write 100 * share with one digit; ties go up, as readers expect of 77/80 = 96.25 %."""
    return f"{math.floor(1000 * share + 0.5 + 1e-9) / 10:.1f}"
