"""What a child states about a value decodes to that very value."""

from __future__ import annotations

import collections
import enum
import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.core.codec import decode, encode
from axiom_rl.sandbox.child.encoder import MAX_DEPTH, Unencodable, tree_of
from axiom_rl.verify.compare import values_match

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
)
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.tuples(inner) | st.frozensets(inner, max_size=3), max_leaves=5
)


@st.composite
def keys(draw: st.DrawFn) -> Any:
    """HASHABLE under a short name; spelled out inside VALUES it trips hypothesis's warning."""
    return draw(HASHABLE)


KEYS = keys()
VALUES = st.recursive(
    SCALARS | st.sets(KEYS, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


def through_the_wire(value: Any) -> Any:
    return decode(json.loads(json.dumps(tree_of(value))))


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_round_trip(value: Any) -> None:
    back = through_the_wire(value)
    assert values_match(back, value)
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        [2**53, 2**53 + 1, -(2**53) - 1, 10**300],
        list(range(1000)),
        ["a", None, True] * 100,
        [1, 2.5, "x"],
        [-0.0, math.inf, -math.inf],
        "\ud800 lone surrogate",
        "\ud83d\ude00",
        ["\ud83d\ude00", "\U0001f600"],
        ["a\ud83d", "\ude00b"],
        {"\ud83d\ude00": ("\ud83d\ude00", None)},
        {(1, 2): [{frozenset({1}): b"x"}]},
    ],
)
def test_exact(value: Any) -> None:
    assert repr(through_the_wire(value)) == repr(value)


def test_a_number_beyond_every_limit_of_digits() -> None:
    assert through_the_wire(16**5000 + 1) == 16**5000 + 1


class Number(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class LyingList(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([42])

    def __len__(self) -> int:
        return 1

    @property
    def __class__(self) -> Any:
        return int


class Colour(enum.IntEnum):
    RED = 7


def test_subclasses_are_read_as_what_they_are() -> None:
    point = collections.namedtuple("point", "x y")
    assert through_the_wire(Number(5)) == 5
    assert type(through_the_wire(Number(5))) is int
    assert through_the_wire(LyingList([1, 2])) == [1, 2]
    assert through_the_wire(collections.Counter("aab")) == {"a": 2, "b": 1}
    assert through_the_wire(collections.OrderedDict(a=1)) == {"a": 1}
    assert through_the_wire(point(1, 2)) == (1, 2)
    assert through_the_wire(Colour.RED) == 7
    assert through_the_wire(type("Q", (Fraction,), {"as_integer_ratio": None})(1, 2)) == 0.5
    assert through_the_wire(type("S", (str,), {})("x")) == "x"
    assert math.copysign(1, through_the_wire(type("F", (float,), {})(-0.0))) == -1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Fraction(1, 3), Fraction(1, 3)),
        (Fraction(4), 4),
        (Fraction(10**400, 7), Fraction(10**400, 7)),
        (Decimal("2.5"), 2.5),
        (Decimal("0.1"), Fraction(1, 10)),
        (Decimal("1E+3"), 1000),
        (Decimal("-Infinity"), -math.inf),
        (Decimal("sNaN"), math.nan),
        ({Decimal(1): [Fraction(1, 2)]}, {1: [0.5]}),
    ],
)
def test_exact_numbers_are_stated_as_what_they_equal(value: Any, plain: Any) -> None:
    assert values_match(through_the_wire(value), plain)
    assert values_match(decode(encode(value)), plain)


def test_numbers_of_sympy_are_stated_as_what_they_equal() -> None:
    sympy = pytest.importorskip("sympy")
    half, third = sympy.Rational(1, 2), sympy.Rational(1, 3)
    numbers = [sympy.Integer(3), half, third, sympy.Float(0.1), sympy.oo, -sympy.oo, sympy.true]
    plain = [3, 0.5, Fraction(1, 3), 0.1, math.inf, -math.inf, True]
    assert values_match(through_the_wire(numbers), plain)
    with pytest.raises(Unencodable, match="a value of type"):
        tree_of(sympy.sqrt(2))


@pytest.mark.parametrize("value", [Decimal("1e999999"), Decimal("1e-999999"), Fraction(1, 3**9999)])
def test_exact_numbers_have_a_largest_size(value: Any) -> None:
    with pytest.raises(Unencodable, match="of "):
        tree_of(value)
    with pytest.raises(ValueError, match="of "):
        encode(value)


@pytest.mark.parametrize("value", [object(), range(3), iter([]), print, int, {}.keys(), ...])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(Unencodable, match="a value of type"):
        tree_of([value])


def test_depth_and_cycles_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert through_the_wire(deep) == deep
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for value in ([deep], cyclic, {1: cyclic}):
        with pytest.raises(Unencodable, match="nested deeper"):
            tree_of(value)


def test_too_many_elements_are_refused() -> None:
    shared = [0] * 1000
    with pytest.raises(Unencodable, match="elements"):
        tree_of([shared] * 1001)
