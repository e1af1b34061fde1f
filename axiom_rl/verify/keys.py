"""Elements of sets and keys of dicts in a fixed order, found without hashing any of them.

A program chooses what it returns, and with it the hashes: enough keys of equal hash make Python's
own sets and dicts quadratic. Sorting cannot be made slow that way.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from axiom_rl.core.codec import SetItems

LONGEST_KEY = 48
"""Bytes; of longer keys the digest stands for them, so that nesting does not repeat the text."""
_DOUBLE = struct.Struct("<d")
Entries = list[tuple[Any, Any]]
"""Keys, each with what belongs to it."""


def pair_up(left: Entries, right: Entries) -> tuple[Entries, Entries, Entries] | None:
    """Pair the entries of two dicts, or of two sets, whose keys are exactly equal.

    Returns:
        What belongs to equal keys, in pairs, and the entries left over on either side; None where
        it is certain that keys differ.
    """
    kinds = {type(key) for key, _ in left} | {type(key) for key, _ in right}
    if kinds <= {int, bool} or kinds == {str}:  # sorted as they are, at C speed
        mine, yours = sorted(left, key=_first), sorted(right, key=_first)
        if any(one[0] != other[0] for one, other in zip(mine, yours, strict=True)):
            return None
        return [(one[1], other[1]) for one, other in zip(mine, yours, strict=True)], [], []
    return _merge(
        sorted(((exact_key(entry[0]), entry) for entry in left), key=_first),
        sorted(((exact_key(entry[0]), entry) for entry in right), key=_first),
    )


def _merge(mine: Entries, yours: Entries) -> tuple[Entries, Entries, Entries]:
    pairs, my_rest, your_rest = [], [], []
    at = 0
    for key, entry in mine:
        while at < len(yours) and yours[at][0] < key:
            your_rest.append(yours[at][1])
            at += 1
        if at < len(yours) and yours[at][0] == key:
            pairs.append((entry[1], yours[at][1][1]))
            at += 1
        else:
            my_rest.append(entry)
    return pairs, my_rest, your_rest + [entry for _key, entry in yours[at:]]


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def exact_key(item: Any) -> bytes:
    """Return bytes that are the same for two hashable plain values exactly if they are equal.

    NaN counts as equal to NaN. The cost is linear in the size of the value, and a factor for the
    sorting of sets within it.

    Raises:
        RecursionError: for a value that is nested too deep.
        TypeError: for a value that is not plain.
    """
    match item:
        case int():
            return _short(b"n%x" % item)
        case str():
            return _short(b"s" + item.encode("utf-8", "surrogatepass"))
        case float():
            return _exact_float(item)
        case Fraction():
            return _exact_fraction(item)
        case tuple():
            return _joined(b"(", map(exact_key, item))
        case frozenset() | set() | SetItems():
            return _joined(b"{", sorted(map(exact_key, item)))
        case None:
            return b"0"
        case bytes():
            return _short(b"b" + item)
        case complex():
            if item.imag == 0 and not math.isnan(item.real):
                return _exact_float(item.real)
            return b"c" + _exact_float(item.real) + b"," + _exact_float(item.imag)
        case _:
            raise TypeError(f"no key for a value of type {type(item).__name__}")


def _exact_float(number: float) -> bytes:
    if math.isnan(number):
        return b"?"
    if number.is_integer():
        return exact_key(int(number))
    return b"f" + _DOUBLE.pack(number)


def _exact_fraction(number: Fraction) -> bytes:
    if number.denominator == 1:
        return exact_key(number.numerator)
    try:
        near = float(number)
    except OverflowError:
        near = math.inf
    if near == number:  # exactly: Python compares a float and a fraction by value
        return _exact_float(near)
    return _short(b"q%x/%x" % (number.numerator, number.denominator))


def _joined(mark: bytes, parts: Iterable[bytes]) -> bytes:
    """Join keys, each with its length before it, so that no two lists give the same bytes."""
    pieces = [mark]
    for part in parts:
        pieces += (b"%d:" % len(part), part)
    return _short(b"".join(pieces))


def _short(key: bytes) -> bytes:
    if len(key) <= LONGEST_KEY:
        return key
    return b"#" + hashlib.blake2b(key, digest_size=24).digest()


def by_shape(entries: Entries, *, numbers: bool = False) -> Entries | None:
    """Sort entries by what their keys are besides their floats, then by these (NaN as 0).

    None if there is no float in one of them: such a key equals only what it equals exactly.

    Args:
        entries: keys, each with what belongs to it.
        numbers: treat integers and fractions as floats, which they may be near to.
    """
    shaped = [(_shape(key, numbers), (key, item)) for key, item in entries]
    if not all(floats for (_, floats), _ in shaped):
        return None
    return [entry for _, entry in sorted(shaped, key=_first)]


def _shape(key: Any, numbers: bool) -> tuple[str, list[float]]:
    match key:
        case tuple():
            return _shapes(f"({len(key)}", (_shape(item, numbers) for item in key))
        case frozenset() | set() | SetItems():
            return _shapes(f"{{{len(key)}", sorted(_shape(item, numbers) for item in key))
        case int() | Fraction() if numbers and not isinstance(key, bool):
            return ".", [_near_float(key)]
        case float():
            is_nan = math.isnan(key)
            return "nan" if is_nan else ".", [0.0 if is_nan else key]
        case complex():
            return "j", [0.0 if math.isnan(part) else part for part in (key.real, key.imag)]
        case _:
            return exact_key(key).hex(), []


def _near_float(number: int | Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _shapes(mark: str, parts: Iterable[tuple[str, list[float]]]) -> tuple[str, list[float]]:
    words, floats = [mark], []
    for word, numbers in parts:
        words.append(word)
        floats += numbers
    shape = " ".join(words)
    if len(shape) > 2 * LONGEST_KEY:
        shape = hashlib.blake2b(shape.encode(), digest_size=24).hexdigest()
    return shape, floats
