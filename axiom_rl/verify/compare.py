"""Whether a returned value is the right one: Python's `==` on plain values, with float tolerance.

True equals 1 and 1 equals 1.0 (exactly, at any size); None equals only None; str, bytes and int are
exact; list and tuple differ, except in problems that came from JSON; set equals frozenset; dicts
are compared by content, whatever their order. Two floats are equal within 1e-6 relative or 1e-9
absolute; NaN equals NaN, an infinity only itself. A complex number is compared part by part.

In sets and dict keys the same holds: what is not found exactly is paired, in sorted order, with
what is left over on the other side. Sorted pairing is complete for floats; for tuples of several
floats it can miss a pairing in which nearly equal first floats stand in another order.

Only plain decoded values are compared, so no method of a candidate's class ever runs, and nothing
is hashed (see `keys`). The walk is a loop, not a recursion: lists, tuples and dict values may nest
as deep as memory allows (elements of sets and keys of dicts some hundred deep; deeper ones are
unequal). The cost is linear in the size of the values, plus the sorting of elements and keys.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from axiom_rl.core.codec import DictItems, SetItems
from axiom_rl.verify.keys import Entries, by_shape, pair_up

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 1e-9

_Pairs = list[tuple[Any, Any]]


def values_match(actual: Any, expected: Any, *, from_json: bool = False) -> bool:
    """Return whether `actual` is the expected value.

    Args:
        actual: a plain value, decoded from what the candidate returned.
        expected: the problem's plain value.
        from_json: the problem came from JSON, which has no tuples: list and tuple compare equal.
    """
    try:
        return _match(actual, expected, from_json)
    except RecursionError:  # keys nested too deep
        return False


def _match(actual: Any, expected: Any, from_json: bool) -> bool:
    todo: _Pairs = [(actual, expected)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, _SETS) or isinstance(right, _SETS):
            if not isinstance(left, _SETS) or not isinstance(right, _SETS):
                return False
            if not _sets_match(left, right):
                return False
        elif isinstance(left, _DICTS) or isinstance(right, _DICTS):
            if not isinstance(left, _DICTS) or not isinstance(right, _DICTS):
                return False
            pairs = _paired(_entries(left), _entries(right))
            if pairs is None:
                return False
            todo.extend(pairs)
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return False
            if isinstance(left, list) != isinstance(right, list) and not from_json:
                return False
            todo.extend(zip(left, right, strict=True))
        elif not _scalars_match(left, right):
            return False
    return True


def _scalars_match(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return _floats_match(left, right)
    if isinstance(left, complex) and isinstance(right, complex):
        return _floats_match(left.real, right.real) and _floats_match(left.imag, right.imag)
    if isinstance(left, str | bytes | None) or isinstance(right, str | bytes | None):
        return type(left) is type(right) and bool(left == right)
    numbers = (int, float, complex)
    return isinstance(left, numbers) and isinstance(right, numbers) and bool(left == right)


def _floats_match(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)


_SETS = (set, frozenset, SetItems)
_DICTS = (dict, DictItems)


def _entries(items: Any) -> Entries:
    return list(items.items()) if isinstance(items, dict) else items


def _sets_match(left: Collection[Any], right: Collection[Any]) -> bool:
    if len(left) != len(right):
        return False
    return _paired([(key, None) for key in left], [(key, None) for key in right]) is not None


def _paired(left: Entries, right: Entries) -> _Pairs | None:
    """Return what belongs to the equal keys of two collections, in pairs; None if keys differ."""
    if len(left) != len(right):
        return None
    found = pair_up(left, right)
    if found is None:
        return None
    pairs, *rests = found
    mine, yours = map(by_shape, rests)
    if mine is None or yours is None:
        return None
    for (my_key, my_item), (your_key, your_item) in zip(mine, yours, strict=True):
        if not _match(my_key, your_key, from_json=False):
            return None
        pairs.append((my_item, your_item))
    return pairs
