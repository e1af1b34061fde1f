"""Whether a returned value is the right one: Python's `==` on plain values, with float tolerance.

True equals 1 and 1 equals 1.0 (exactly, at any size); None equals only None; str, bytes and int are
exact; list and tuple differ; set equals frozenset; dicts are compared by content, whatever their
order. Two floats are equal within 1e-6 relative or 1e-9 absolute; NaN equals NaN, an infinity only
itself. A complex number is compared part by part. Fractions (a returned Decimal or Rational comes
as one) are exact numbers: Fraction(1, 2) equals 0.5, Fraction(1, 10) does not equal the float 0.1.

A problem that came from JSON, which has neither tuples nor keys other than text, is laxer by what
JSON cannot say: list equals tuple, an expected integer takes a float within tolerance, and a key
may be returned as the value that JSON writes as that text (1 for "1", or for "1.0").

A problem's own tolerance, an absolute difference, stands in the place of both default ones, and
then holds between any two numbers of which one is no integer.

In sets and dict keys the same holds: what is not found exactly is paired, in sorted order, with
what is left over on the other side. Sorted pairing is complete for floats; for tuples of several
floats it can miss a pairing in which nearly equal first floats stand in another order.

Only plain decoded values are compared, so no method of a candidate's class ever runs, and nothing
that a candidate chose is hashed but text (see `keys`). The walk is a loop, not a recursion: lists,
tuples and dict values may nest as deep as memory allows (elements of sets and keys of dicts some
hundred deep; deeper ones are unequal). The cost is linear in the size of the values, plus the
sorting of elements and keys.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from axiom_rl.core.codec import DictItems, SetItems
from axiom_rl.verify.keys import Entries, by_shape, pair_up

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 1e-9
LARGEST_JSON_KEY = 4096
"""Bits of an integer that may stand for a key: Python writes no more than 4,300 digits."""

_Pairs = list[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Rules:
    from_json: bool
    tolerance: float | None


def values_match(
    actual: Any, expected: Any, *, from_json: bool = False, tolerance: float | None = None
) -> bool:
    """Return whether `actual` is the expected value.

    Args:
        actual: a plain value, decoded from what the candidate returned.
        expected: the problem's plain value.
        from_json: the problem came from JSON: tuples, integers and keys count as said above.
        tolerance: the problem's own; largest absolute difference of two numbers that are equal.
    """
    try:
        return _match(actual, expected, _Rules(from_json, tolerance))
    except RecursionError:  # from hashing or comparing keys nested too deep
        return False


def _match(actual: Any, expected: Any, rules: _Rules) -> bool:
    todo: _Pairs = [(actual, expected)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, _SETS) or isinstance(right, _SETS):
            if not isinstance(left, _SETS) or not isinstance(right, _SETS):
                return False
            if not _sets_match(left, right, rules):
                return False
        elif isinstance(left, _DICTS) or isinstance(right, _DICTS):
            if not isinstance(left, _DICTS) or not isinstance(right, _DICTS):
                return False
            pairs = _paired(_entries(left), _entries(right), rules, texts=rules.from_json)
            if pairs is None:
                return False
            todo.extend(pairs)
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return False
            if isinstance(left, list) != isinstance(right, list) and not rules.from_json:
                return False
            todo.extend(zip(left, right, strict=True))
        elif not _scalars_match(left, right, rules):
            return False
    return True


def _scalars_match(left: Any, right: Any, rules: _Rules) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return _floats_match(left, right, rules.tolerance)
    if isinstance(left, complex) and isinstance(right, complex):
        return _floats_match(left.real, right.real, rules.tolerance) and _floats_match(
            left.imag, right.imag, rules.tolerance
        )
    if isinstance(left, str | bytes | None) or isinstance(right, str | bytes | None):
        return type(left) is type(right) and bool(left == right)
    numbers = (int, float, complex, Fraction)
    if not (isinstance(left, numbers) and isinstance(right, numbers)):
        return False
    return bool(left == right) or _nearly(left, right, rules)


def _nearly(left: Any, right: Any, rules: _Rules) -> bool:
    """Whether two real numbers of different types, or two Fractions, are within tolerance."""
    kinds = {type(left), type(right)}
    if complex in kinds or not kinds & {float, Fraction} or bool in kinds:
        return False
    if rules.tolerance is None:
        is_json_integer = rules.from_json and type(left) is float and type(right) is int
        return is_json_integer and _near_integer(left, right)
    try:
        return abs(Fraction(left) - Fraction(right)) <= Fraction(rules.tolerance)
    except (ValueError, OverflowError):  # NaN and infinities are no fractions
        return False


def _near_integer(left: float, right: int) -> bool:
    try:
        return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)
    except OverflowError:  # an integer beyond the largest float
        return False


def _floats_match(left: float, right: float, tolerance: float | None) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if tolerance is not None:
        return math.isclose(left, right, rel_tol=0.0, abs_tol=tolerance)
    return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)


_SETS = (set, frozenset, SetItems)
_DICTS = (dict, DictItems)


def _entries(items: Any) -> Entries:
    return list(items.items()) if isinstance(items, dict) else items


def _sets_match(left: Collection[Any], right: Collection[Any], rules: _Rules) -> bool:
    if len(left) != len(right):
        return False
    return _paired([(key, None) for key in left], [(key, None) for key in right], rules) is not None


def _paired(left: Entries, right: Entries, rules: _Rules, *, texts: bool = False) -> _Pairs | None:
    """Return what belongs to the equal keys of two collections, in pairs; None if keys differ.

    `texts`: a key on the left may be the value that JSON writes as the text on the right.
    """
    if len(left) != len(right):
        return None
    found = pair_up(left, right)
    if found is None:
        return None
    pairs, mine, yours = found
    if texts:
        mine, yours = _pair_texts(mine, yours, pairs)
    one_is_no_integer = rules.tolerance is not None
    my_rest, your_rest = (by_shape(rest, numbers=one_is_no_integer) for rest in (mine, yours))
    if my_rest is None or your_rest is None:
        return None
    plain = _Rules(from_json=False, tolerance=rules.tolerance)
    for (my_key, my_item), (your_key, your_item) in zip(my_rest, your_rest, strict=True):
        if not _match(my_key, your_key, plain):
            return None
        pairs.append((my_item, your_item))
    return pairs


def _pair_texts(mine: Entries, yours: Entries, pairs: _Pairs) -> tuple[Entries, Entries]:
    """Pair keys with the texts that JSON writes for them; return what is left over."""
    named: dict[str, tuple[Any, Any]] = {}
    my_rest: Entries = []
    for key, item in mine:
        text = _as_json_key(key)
        if text is None or text in named:
            my_rest.append((key, item))
        else:
            named[text] = (key, item)
    your_rest: Entries = []
    for key, item in yours:
        entry = named.pop(_without_fraction(key), None) if isinstance(key, str) else None
        if entry is None:
            your_rest.append((key, item))
        else:
            pairs.append((entry[1], item))
    return my_rest + list(named.values()), your_rest


def _as_json_key(key: Any) -> str | None:
    """Return the text of a key of a JSON object; of a float without a fraction, its integer's."""
    match key:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[key]
        case int() if key.bit_length() < LARGEST_JSON_KEY:
            return str(key)
        case float() if math.isfinite(key):
            return str(int(key)) if key.is_integer() else repr(key)
        case float():
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(key)]
        case _:
            return None


def _without_fraction(text: str) -> str:
    """Return the text of the integer where Python wrote it as a float, `1.0` or `1e+16`."""
    if len(text) > 25 or not text.isascii() or "_" in text:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if repr(number) == text and number.is_integer() else text
