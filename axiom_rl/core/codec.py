"""Python values as JSON and back, exactly: the encoding of problems on disk and of results.

None, bool, str, finite float, list and small int are themselves; everything else is an object
with one key that names its type: {"i": hex} large int, {"f": "nan"|"inf"|"-inf"}, {"t": [...]}
tuple, {"d": [[key, value], ...]} dict, {"s": [...]} set, {"z": [...]} frozenset, {"b": hex} bytes,
{"c": [re, im]} complex, {"q": [numerator, denominator]} Fraction in lowest terms (a Decimal is
written as the number that it is). Nothing read back is ever evaluated.

`decode` accepts exactly what `encode` makes, within budgets, so that it is safe on hostile input:
it raises nothing but ValueError and takes time linear in the size of the tree.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

LARGEST_PLAIN_INT = 2**53
"""Above this size some JSON readers lose digits, so the integer travels as hexadecimal text."""
MAX_DEPTH = 150
"""Containers inside containers, counted from 1."""
MAX_NODES = 2_000_000
"""Containers and scalars in one value."""
MAX_EQUAL_HASHES = 64
"""Keys of one set or dict with the same hash; integers chosen to collide make it quadratic."""
MAX_FRACTION_BITS = 8192
"""Of a numerator or denominator: bringing to lowest terms takes quadratic time."""


def encode(value: Any) -> Any:
    """Return a JSON-able tree for a plain Python value.

    Raises:
        TypeError: for a value of any other type (classes, functions, generators, ...).
        ValueError: for a value nested deeper than MAX_DEPTH (also one that contains itself).
    """
    return _encode(value, MAX_DEPTH)


def _encode(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= LARGEST_PLAIN_INT else {"i": hex(value)}
        case float():
            return value if math.isfinite(value) else {"f": repr(value)}
        case bytes():
            return {"b": value.hex()}
        case complex():
            return {"c": [_encode(value.real, depth), _encode(value.imag, depth)]}
        case Fraction() | Decimal():
            return _encode_exact(value)
        case list() | tuple() | dict() | set() | frozenset():
            if depth == 0:
                raise ValueError(f"value nested deeper than {MAX_DEPTH}")
            return _encode_container(value, depth - 1)
        case _:
            raise TypeError(f"cannot encode a value of type {type(value).__name__}")


def _encode_exact(value: Fraction | Decimal) -> Any:
    if isinstance(value, Decimal) and not value.is_finite():
        return _encode(math.nan if value.is_nan() else float(value), 0)
    if isinstance(value, Decimal) and abs(value.adjusted()) * 4 > MAX_FRACTION_BITS:
        raise ValueError(f"a Decimal of {abs(value.adjusted())} digits")
    numerator, denominator = value.as_integer_ratio()
    if denominator == 1:
        return _encode(numerator, 0)
    if max(numerator.bit_length(), denominator.bit_length()) > MAX_FRACTION_BITS:
        raise ValueError(f"a fraction of more than {MAX_FRACTION_BITS} bits")
    return {"q": [_encode(numerator, 0), _encode(denominator, 0)]}


def _encode_container(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        pairs = value.items()
        return {"d": [[_encode(key, depth), _encode(item, depth)] for key, item in pairs]}
    items = [_encode(item, depth) for item in value]
    if isinstance(value, list):
        return items
    if isinstance(value, tuple):
        return {"t": items}
    return {"s" if isinstance(value, set) else "z": sorted(items, key=json.dumps)}


def decode(tree: Any, *, max_nodes: int = MAX_NODES) -> Any:
    """Return the Python value of a tree made by `encode`.

    Raises:
        ValueError: if the tree is not one that `encode` makes, or is over a budget.
    """
    try:
        return _Decoder(max_nodes).value(tree, MAX_DEPTH)
    except RecursionError:  # the caller's own stack was nearly full
        raise ValueError("malformed encoded value: nested too deep") from None


def dumps(value: Any) -> str:
    """Return a plain value as one line of JSON.

    Raises:
        TypeError, ValueError: as `encode`.
    """
    return json.dumps(encode(value), allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes, *, max_nodes: int = MAX_NODES) -> Any:
    """Return the value of JSON made by `dumps`, however hostile the text.

    Raises:
        ValueError: if it is not JSON, or not JSON that `dumps` makes.
    """
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError("malformed encoded value: nested too deep") from None
    return decode(tree, max_nodes=max_nodes)


class _Decoder:
    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def value(self, tree: Any, depth: int) -> Any:
        self.nodes -= 1
        if self.nodes < 0:
            raise ValueError("malformed encoded value: too large")
        if tree is None or type(tree) in (bool, str):
            return tree
        if type(tree) is int and abs(tree) <= LARGEST_PLAIN_INT:
            return tree
        if type(tree) is float and math.isfinite(tree):
            return tree
        if type(tree) is list:
            return self.items(tree, depth)
        if type(tree) is dict and len(tree) == 1:
            return self.tagged(*next(iter(tree.items())), depth)
        raise ValueError(f"malformed encoded value: a bare {type(tree).__name__}")

    def items(self, body: list[Any], depth: int) -> list[Any]:
        if depth == 0:
            raise ValueError("malformed encoded value: nested too deep")
        return [self.value(item, depth - 1) for item in body]

    def tagged(self, tag: Any, body: Any, depth: int) -> Any:
        match tag, body:
            case "i" | "b" | "f", str():
                return _decode_text(tag, body)
            case "c", [re, im]:
                parts = self.value(re, 0), self.value(im, 0)
                if type(parts[0]) is type(parts[1]) is float:
                    return complex(*parts)
            case "q", [numerator, denominator]:
                return _fraction(self.value(numerator, 0), self.value(denominator, 0))
            case "t", list():
                return tuple(self.items(body, depth))
            case "d", list() if all(type(pair) is list and len(pair) == 2 for pair in body):
                keys = _distinct(self.items([key for key, _item in body], depth))
                items = self.items([item for _key, item in body], depth)
                return _whole(dict(zip(keys, items, strict=True)), body)
            case "s", list():
                return _whole(set(_distinct(self.items(body, depth))), body)
            case "z", list():
                return _whole(frozenset(_distinct(self.items(body, depth))), body)
            case _:
                pass
        raise ValueError(f"malformed encoded value of kind {tag!r:.20}")


def _fraction(numerator: Any, denominator: Any) -> Fraction:
    if type(numerator) is type(denominator) is int and denominator > 1:
        if max(numerator.bit_length(), denominator.bit_length()) > MAX_FRACTION_BITS:
            raise ValueError("malformed encoded value: a fraction too long")  # gcd is quadratic
        fraction = Fraction(numerator, denominator)
        if fraction.denominator == denominator:
            return fraction
    raise ValueError("malformed encoded value of kind 'q'")


def _decode_text(tag: str, body: str) -> int | float | bytes:
    if tag == "f" and body in ("nan", "inf", "-inf"):
        return float(body)
    if tag == "i":
        number = int(body, 16)
        if abs(number) > LARGEST_PLAIN_INT and hex(number) == body:
            return number
    if tag == "b":
        data = bytes.fromhex(body)
        if data.hex() == body:
            return data
    raise ValueError(f"malformed encoded value of kind {tag!r}")


def _distinct(keys: list[Any]) -> list[Any]:
    """Return the keys, all of them hashable and no more than a few with the same hash."""
    try:
        hashes = Counter(map(hash, keys))
    except TypeError as error:
        raise ValueError(f"malformed encoded value: {error}") from None
    if hashes and max(hashes.values()) > MAX_EQUAL_HASHES:
        raise ValueError("malformed encoded value: too many keys with the same hash")
    return keys


def _whole(made: Any, body: list[Any]) -> Any:
    if len(made) != len(body):
        raise ValueError("malformed encoded value: equal keys")
    return made
