"""Python values as JSON and back, exactly: the encoding of problems on disk and of results.

None, bool, str, finite float, list and small int are themselves; everything else is an object
with one key that names its type: {"i": hex} large int, {"f": "nan"|"inf"|"-inf"}, {"t": [...]}
tuple, {"d": [[key, value], ...]} dict, {"s": [...]} set, {"z": [...]} frozenset, {"b": hex} bytes,
{"c": [re, im]} complex, {"q": [numerator, denominator]} Fraction in lowest terms (a Decimal is
written as the number that it is), {"u": hex of UTF-8} a string with a surrogate pair, which JSON
would merge into one character. Nothing read back is ever evaluated.

`decode` accepts exactly what `encode` makes, within budgets, so that it is safe on hostile input:
it raises nothing but ValueError, and takes time linear in the size of the tree. Python's own sets
and dicts are quadratic in keys of equal hash, which anybody can choose (multiples of 2**61 - 1,
complex numbers, tuples of -1 and -2, frozensets of equal checksum): before one is built, the
comparisons it may take are counted. With `hashed=False` none is built at all; elements and pairs
come as lists of a kind of their own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

LARGEST_PLAIN_INT = 2**53
"""Above this size some JSON readers lose digits, so the integer travels as hexadecimal text."""
MAX_DEPTH = 150
"""Containers inside containers, counted from 1."""
MAX_NODES = 2_000_000
"""Containers and scalars in one value."""
MAX_STEPS = 1_000_000
"""Comparisons of equal-hash keys that building one value may take: some hundredths of a second.

`{2**k for k in range(5000)}` takes 200,000: its integers have only 61 hashes.
"""
DIGITS_PER_STEP = 512
MAX_FRACTION_BITS = 8192
"""Of a numerator or denominator: bringing to lowest terms takes quadratic time."""
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


_Number = TypeVar("_Number")


class ValueTooLarge(ValueError):
    """A well-formed value that is over a budget."""


class SetItems(list[Any]):
    """The elements of a set or frozenset that was not built; in no order, maybe repeated."""


class DictItems(list[tuple[Any, Any]]):
    """The pairs of a dict that was not built; in their order, keys maybe repeated."""


def encode(value: Any) -> Any:
    """Return a JSON-able tree for a plain Python value.

    Raises:
        TypeError: for a value of any other type (classes, functions, generators, ...).
        ValueError: for a value nested deeper than MAX_DEPTH (also one that contains itself).
    """
    return _encode(value, MAX_DEPTH)


def _encode(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return {"u": _utf8(value).hex()} if _has_pair(value) else value
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


def _has_pair(text: str) -> bool:
    return not text.isascii() and _SURROGATE_PAIR.search(text) is not None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decode(tree: Any, *, max_nodes: int = MAX_NODES, hashed: bool = True) -> Any:
    """Return the Python value of a tree made by `encode`.

    Args:
        tree: what `encode` returned, or anything else.
        max_nodes: containers and scalars at most.
        hashed: build sets and dicts; else they come as SetItems and DictItems.

    Raises:
        ValueTooLarge: if it has too many nodes or too many keys of equal hash.
        ValueError: if the tree is not one that `encode` makes.
    """
    try:
        return _Decoder(max_nodes, hashed).value(tree, MAX_DEPTH)
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
    def __init__(self, nodes: int, hashed: bool) -> None:
        self.nodes = nodes
        self.steps = MAX_STEPS
        self.hashed = hashed
        self.numbers: dict[str, set[Any]] = {}
        """Big integers (as text), fractions and complex numbers (as pairs) seen, by their hash."""
        self.sets: dict[str, list[tuple[frozenset[Any], list[Any]]]] = {}
        """Frozensets seen, each with its tree, by their hash."""
        self.weights: dict[int, int] = {}
        """By identity, of tuples and frozensets: steps that a comparison with its like may take."""
        self.most = 1
        """Different keys of one hash, so far: what finding one among its like takes."""

    def value(self, tree: Any, depth: int, *, is_key: bool = False) -> Any:
        self.nodes -= 1
        if self.nodes < 0:
            raise ValueTooLarge("malformed encoded value: too large")
        if tree is None or type(tree) in (bool, str):
            return tree
        if type(tree) is int and abs(tree) <= LARGEST_PLAIN_INT:
            return tree
        if type(tree) is float and math.isfinite(tree):
            return tree
        if type(tree) is list and not is_key:
            return self.items(tree, depth)
        if type(tree) is dict and len(tree) == 1:
            return self.tagged(*next(iter(tree.items())), depth, is_key)
        raise ValueError(f"malformed encoded value: a bare {type(tree).__name__}")

    def items(self, body: list[Any], depth: int, *, are_keys: bool = False) -> list[Any]:
        if depth == 0:
            raise ValueError("malformed encoded value: nested too deep")
        return [self.value(item, depth - 1, is_key=are_keys) for item in body]

    def tagged(self, tag: Any, body: Any, depth: int, is_key: bool) -> Any:
        match tag, body:
            case "i" | "b" | "f" | "u", str():
                return self.text(tag, body)
            case "c", [re, im]:
                parts = self.value(re, 0), self.value(im, 0)
                if type(parts[0]) is type(parts[1]) is float:
                    return self.counted(complex(*parts), parts)
            case "q", [numerator, denominator]:
                terms = self.value(numerator, 0), self.value(denominator, 0)
                return self.counted(_fraction(*terms), terms)
            case "t", list():
                return self.tupled(body, depth, is_key)
            case "d", list() if not is_key and all(map(_is_pair, body)):
                keys = self.keys([key for key, _item in body], depth)
                items = self.items([item for _key, item in body], depth)
                if not self.hashed:
                    return DictItems(zip(keys, items, strict=True))
                return _whole(dict(zip(keys, items, strict=True)), body)
            case "s", list() if not is_key:
                keys = self.keys(body, depth)
                return _whole(set(keys), body) if self.hashed else SetItems(keys)
            case "z", list():
                return self.frozen(body, depth)
            case _:
                pass
        raise ValueError(f"malformed encoded value of kind {tag!r:.20}")

    def text(self, tag: str, body: str) -> int | float | bytes | str:
        value = _decode_text(tag, body)
        return self.counted(value, body, 1 + len(body) // DIGITS_PER_STEP) if tag == "i" else value

    def counted(self, number: _Number, told: Any, steps: int = 1) -> _Number:
        """Count a number among those of its hash; `told` tells it from them."""
        if self.hashed:
            like = self.numbers.setdefault(f"{hash(number):x}", set())
            if told not in like:
                self.spend(len(like) * steps)
                like.add(told)
                self.most = max(self.most, len(like))
        return number

    def keys(self, body: list[Any], depth: int) -> list[Any]:
        """Return the keys of one set or dict; of tuples, few numbers make many of one hash."""
        made = self.items(body, depth, are_keys=True)
        like: dict[str, int] = {}
        for key in made if self.hashed else ():
            if type(key) is tuple:
                text = f"{hash(key):x}"
                like[text] = like.get(text, -1) + 1
                self.spend(like[text] * self.weights[id(key)])
        return made

    def tupled(self, body: list[Any], depth: int, is_key: bool) -> tuple[Any, ...]:
        made = tuple(self.items(body, depth, are_keys=is_key))
        if is_key and self.hashed:
            self.weights[id(made)] = self.weight(made)
        return made

    def frozen(self, body: list[Any], depth: int) -> frozenset[Any] | SetItems:
        keys = self.keys(body, depth)
        if not self.hashed:
            return SetItems(keys)
        weight = self.most * self.weight(keys)
        made: frozenset[Any] = _whole(frozenset(keys), body)
        like = self.sets.setdefault(f"{hash(made):x}", [])
        for other, tree in like:
            self.spend(weight)
            if other == made and _same_types(tree, body):
                return other
            if other == made:  # {0} and {False}: no more comparisons than if it were the other
                self.weights[id(made)] = weight
                return made
        like.append((made, body))
        self.weights[id(made)] = weight
        self.most = max(self.most, len(like))
        return made

    def weight(self, keys: Iterable[Any]) -> int:
        return 1 + sum(self.weights.get(id(key), 1) for key in keys)

    def spend(self, steps: int) -> None:
        """Count comparisons of keys of equal hash, before they are made.

        Big integers, fractions, complex numbers, frozensets and tuples can be given equal hashes.
        All but tuples are counted in whatever container: a checker may put them into one set.
        """
        self.steps -= steps
        if self.steps < 0:
            raise ValueTooLarge("malformed encoded value: too many keys with the same hash")


def _same_types(one: Any, other: Any) -> bool:
    """Tell whether the trees of equal values are equal to their types: 1, 1.0 and True are not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same_types, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same_types(one[k], other[k]) for k in one)
    return repr(one) == repr(other)  # 0.0 and -0.0


def _is_pair(item: Any) -> bool:
    return type(item) is list and len(item) == 2


def _fraction(numerator: Any, denominator: Any) -> Fraction:
    if type(numerator) is type(denominator) is int and denominator > 1:
        if max(numerator.bit_length(), denominator.bit_length()) > MAX_FRACTION_BITS:
            raise ValueError("malformed encoded value: a fraction too long")  # gcd is quadratic
        fraction = Fraction(numerator, denominator)
        if fraction.denominator == denominator:
            return fraction
    raise ValueError("malformed encoded value of kind 'q'")


def _decode_text(tag: str, body: str) -> int | float | bytes | str:
    if tag == "f" and body in ("nan", "inf", "-inf"):
        return float(body)
    if tag == "i":
        number = int(body, 16)
        if abs(number) > LARGEST_PLAIN_INT and hex(number) == body:
            return number
    if tag in ("b", "u"):
        data = bytes.fromhex(body)
        if data.hex() == body and tag == "b":
            return data
        if data.hex() == body and _has_pair(text := data.decode("utf-8", "surrogatepass")):
            return text
    raise ValueError(f"malformed encoded value of kind {tag!r}")


def _whole(made: Any, body: list[Any]) -> Any:
    if len(made) != len(body):
        raise ValueError("malformed encoded value: equal keys")
    return made
