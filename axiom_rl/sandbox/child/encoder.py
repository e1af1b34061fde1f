"""Return values as JSON trees, read from their real types by base-class methods.

The tags are those of `axiom_rl.core.codec`. A candidate's `__eq__`, `__iter__`, `__len__`,
`__class__` or metaclass is never consulted: the type comes from `type()` and its true method
resolution order, and a subclass (Counter, namedtuple, IntEnum, ...) is read as its plain base type.
Fraction, Decimal and numbers of numpy and sympy are stated as the plain number, or the fraction,
that they equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any

MAX_DEPTH = 150
MAX_NODES = 1_000_000
LARGEST_PLAIN_INT = 2**53
MAX_FRACTION_BITS = 8192

_mro = type.__dict__["__mro__"].__get__
_module = type.__dict__["__module__"].__get__
_name = type.__dict__["__name__"].__get__
_NAMED = frozenset({bool, type(None)})
_pair_in = re.compile("[\ud800-\udbff][\udc00-\udfff]").search
"""A surrogate pair, which JSON would merge into one character."""
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_PLAIN = _CONTAINERS | {int, float, str, bytes, complex}


class Unencodable(Exception):
    """The value is not plain, or is deeper or larger than the budget."""


def tree_of(value: Any) -> Any:
    """Return a JSON-able tree for `value`.

    Raises:
        Unencodable: for a value that is not plain, is cyclic, or goes over the budget.
    """
    return _tree(value, 0, [MAX_NODES])


def _tree(value: Any, depth: int, budget: list[int]) -> Any:
    kind = type(value)
    if kind in _NAMED:
        return value
    if kind is str:
        return _text(value)
    if kind is int:
        if -LARGEST_PLAIN_INT <= value <= LARGEST_PLAIN_INT:
            return value
        return {"i": hex(value)}
    if kind is float:
        return value if isfinite(value) else {"f": float.__repr__(value)}
    if kind in _CONTAINERS:
        return _container(value, kind, depth, budget)
    if kind is bytes:
        return {"b": value.hex()}
    if kind is complex:
        return {"c": [_tree(value.real, depth, budget), _tree(value.imag, depth, budget)]}
    return _subclass(value, kind, depth, budget)


def _container(value: Any, base: type, depth: int, budget: list[int]) -> Any:
    if depth >= MAX_DEPTH:
        raise Unencodable(f"a value nested deeper than {MAX_DEPTH} levels, or cyclic")
    budget[0] -= base.__len__(value) + 1  # type: ignore[attr-defined]
    if budget[0] < 0:
        raise Unencodable(f"a value of more than {MAX_NODES} elements")
    if base is dict:
        return {
            "d": [
                [_tree(key, depth + 1, budget), _tree(item, depth + 1, budget)]
                for key, item in list(dict.items(value))
            ]
        }
    items = list(base.__iter__(value))  # type: ignore[attr-defined]
    tree = items if _are_plain(items) else [_tree(item, depth + 1, budget) for item in items]
    if base is list:
        return tree
    return {"t" if base is tuple else "s" if base is set else "z": tree}


def _are_plain(items: list[int]) -> bool:
    """Whether the items stand for themselves in JSON: the fast path of long flat lists."""
    kinds = set(map(type, items))
    if kinds == {int}:
        return min(items) >= -LARGEST_PLAIN_INT and max(items) <= LARGEST_PLAIN_INT
    if kinds == {str}:
        return all(map(str.isascii, items))  # type: ignore[arg-type]
    return kinds <= _NAMED


def _text(value: str) -> Any:
    if value.isascii() or _pair_in(value) is None:
        return value
    return {"u": value.encode("utf-8", "surrogatepass").hex()}


def _subclass(value: Any, kind: type, depth: int, budget: list[int]) -> Any:
    base = next((entry for entry in _mro(kind) if entry in _PLAIN), None)
    if base in _CONTAINERS:
        return _container(value, base, depth, budget)
    if base is int:
        return _tree(int.__add__(value, 0), depth, budget)
    if base is float:
        return _tree(float.__float__(value), depth, budget)
    if base is str:
        return _text(str.__str__(value))
    if base is bytes:
        return {"b": bytes.hex(value)}
    if base is complex:
        return _tree(complex.__add__(value, 0j), depth, budget)
    if _module(kind) == "numpy" and hasattr(kind, "dtype"):
        return _numpy_scalar(value, depth, budget)
    for entry in _mro(kind):
        number = f"{_module(entry)}.{_name(entry)}"
        if number in _EXACT:
            return _exact(_EXACT[number](value, entry))
    raise Unencodable(f"a value of type {_name(kind)}")


def _numpy_scalar(value: Any, depth: int, budget: list[int]) -> Any:
    """`numpy.int64(3) == 3` holds in Python, so a numpy scalar counts as its Python value."""
    plain = value.item() if value.ndim == 0 else value
    if type(plain) not in _PLAIN and type(plain) is not bool:
        raise Unencodable(f"a value of type {type(value).__name__}")
    return _tree(plain, depth, budget)


def _decimal_parts(value: Any, base: Any) -> tuple[Any, Any]:
    if base.is_nan(value):
        return nan, 1
    if base.is_infinite(value):
        return base.__float__(value), 1
    digits = abs(base.adjusted(value))
    if digits * 4 > MAX_FRACTION_BITS:  # they would be written out
        raise Unencodable(f"a Decimal of {digits} digits")
    return base.as_integer_ratio(value)  # type: ignore[no-any-return]


_EXACT: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "fractions.Fraction": lambda value, base: base.as_integer_ratio(value),
    "decimal.Decimal": _decimal_parts,
    "sympy.core.numbers.Rational": lambda value, _base: (int(value.p), int(value.q)),
    "sympy.core.numbers.Float": lambda value, _base: (float(value), 1),
    "sympy.core.numbers.Infinity": lambda _value, _base: (inf, 1),
    "sympy.core.numbers.NegativeInfinity": lambda _value, _base: (-inf, 1),
    "sympy.logic.boolalg.BooleanAtom": lambda value, _base: (bool(value), 1),
}
"""Numbers that equal plain ones in Python, by the class that makes them so: their two parts."""


def _exact(parts: tuple[Any, Any]) -> Any:
    """`Fraction(1, 2) == 0.5` holds in Python; a class that only bears the name states a value."""
    numerator, denominator = parts
    if denominator == 1:
        return _tree(numerator, 0, [0])
    if max(int.bit_length(numerator), int.bit_length(denominator)) > MAX_FRACTION_BITS:
        raise Unencodable(f"a fraction of more than {MAX_FRACTION_BITS} bits")
    return {"q": [_tree(numerator, 0, [0]), _tree(denominator, 0, [0])]}
