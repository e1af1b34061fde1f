"""Whether a returned value is the right one: Python's `==` on plain values, with float tolerance.

True equals 1 and 1 equals 1.0 (exactly, at any size); None equals only None; str, bytes and int are
exact; list and tuple differ, except in problems that came from JSON; set equals frozenset; dicts
are compared by content, whatever their order. Two floats are equal within 1e-6 relative or 1e-9
absolute; NaN equals NaN, an infinity only itself. A complex number is compared part by part.

In sets and dict keys the same holds: what is not found exactly is paired, in sorted order, with
what is left over on the other side. Sorted pairing is complete for floats; for tuples of several
floats it can miss a pairing in which nearly equal first floats stand in another order.

Only plain decoded values are compared, so no method of a candidate's class ever runs. The walk is
a loop, not a recursion: lists, tuples and dict values may nest as deep as memory allows (elements
of sets and keys of dicts, which Python compares by recursion, some hundred deep; deeper ones are
unequal). The cost is linear in the size of the values, plus the sorting of leftovers.
"""

from __future__ import annotations

import math
from typing import Any

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
    except RecursionError:  # from hashing or comparing keys nested too deep
        return False


def _match(actual: Any, expected: Any, from_json: bool) -> bool:
    todo: _Pairs = [(actual, expected)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return False
            if isinstance(left, list) != isinstance(right, list) and not from_json:
                return False
            todo.extend(zip(left, right, strict=True))
        elif isinstance(left, dict) and isinstance(right, dict):
            pairs = _paired_keys(left, right)
            if pairs is None:
                return False
            todo.extend((left[mine], right[yours]) for mine, yours in pairs)
        elif isinstance(left, set | frozenset) and isinstance(right, set | frozenset):
            if _paired_keys(left, right) is None:
                return False
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


_Keys = dict[Any, Any] | set[Any] | frozenset[Any]


def _paired_keys(left: _Keys, right: _Keys) -> _Pairs | None:
    """Pair every key or element of `left` with an equal one of `right`, or return None."""
    if len(left) != len(right):
        return None
    pairs: _Pairs = [(key, key) for key in left if key in right]
    strangers = sorted((key for key in left if key not in right), key=_sort_key)
    others = sorted((key for key in right if key not in left), key=_sort_key)
    for mine, yours in zip(strangers, others, strict=True):
        if not _match(mine, yours, from_json=False):
            return None
        pairs.append((mine, yours))
    return pairs


def _sort_key(key: Any) -> tuple[str, list[float]]:
    """Return the key's shape, with a mark for every float, and those floats (NaN as 0)."""
    shape: list[str] = []
    floats: list[float] = []
    todo = [key]
    while todo:
        match todo.pop():
            case tuple() as items:
                shape.append(f"({len(items)}")
                todo.extend(reversed(items))
            case frozenset() as items:
                shape.append(f"{{{len(items)}")
                for inner, numbers in sorted(map(_sort_key, items)):  # each once: no 2**depth
                    shape.append(inner)
                    floats += numbers
            case float() as number:
                shape.append("nan" if math.isnan(number) else ".")
                floats.append(0.0 if math.isnan(number) else number)
            case int() as number:
                shape.append(hex(number))  # decimal digits cost quadratic time, and have a limit
            case other:
                shape.append(repr(other))
    return " ".join(shape), floats
