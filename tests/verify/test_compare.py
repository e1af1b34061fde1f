"""values_match: Python's == with float tolerance, on values of any size and depth."""

import json
import math
import sys
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.core.codec import decode, dumps, encode
from axiom_rl.verify.compare import values_match

NAN, INF = math.nan, math.inf
NEAR = 0.1 + 0.2  # not 0.3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (None, None),
        (True, 1),
        (0, False),
        (1, 1.0),
        (2**53, float(2**53)),
        (1j, 1j),
        (2, 2 + 0j),
        (NEAR, 0.3),
        (1e-10, 0.0),
        (1e9, 1e9 + 100),
        (NAN, float("nan")),
        (INF, INF),
        (-0.0, 0.0),
        (complex(NEAR, NAN), complex(0.3, NAN)),
        ("", ""),
        (b"a", b"a"),
        ([], []),
        ([1, [2.0, (3,)]], [1.0, [2, (3,)]]),
        ((), ()),
        ({1, 2}, frozenset({2, 1})),
        (set(), frozenset()),
        ({"a": 1, "b": [NEAR]}, {"b": [0.3], "a": 1}),
        ({1: "a"}, {True: "a"}),
        ({NEAR}, {0.3}),
        ({NEAR, 1e9, -7.5, NAN}, {1e9 + 1, 0.3, NAN, -7.5}),
        ({(1, NEAR), (2, NEAR)}, {(2, 0.3), (1, 0.3)}),
        ({NEAR: "x", 5: "y"}, {5: "y", 0.3: "x"}),
        ({("k", frozenset({NEAR, 2})): NEAR}, {("k", frozenset({0.3, 2})): 0.3}),
        pytest.param(10**5000, 10**5000, id="long"),
        pytest.param({(10**5000, NEAR)}, {(10**5000, 0.3)}, id="long_in_a_set"),
        ({NEAR, 1j}, {0.3, 1j}),
        ({Fraction(2**60, 1)}, {2**60}),
        (
            {frozenset({(1, NEAR), (2, 7.0)}), frozenset({(1, 5.0), (2, NEAR)})},
            {frozenset({(2, 0.3), (1, 5.0)}), frozenset({(2, 7.0), (1, 0.3)})},
        ),
    ],
)
def test_equal(left: Any, right: Any) -> None:
    assert values_match(left, right)
    assert values_match(right, left)
    assert values_match([(left,)], [(right,)])
    assert values_match({"k": left}, {"k": right}, from_json=True)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({complex(NAN, 0)}, {NAN}),
        (None, 0),
        (None, False),
        (None, ""),
        (None, []),
        (None, NAN),
        (0, 1),
        (True, 2),
        (2**53 + 1, float(2**53)),
        (10**400, 10**400 + 1),
        (10**400, INF),
        (1, 1.0000001),
        (1.0, 1.00001),
        (0.0, 1e-8),
        (NAN, 0.0),
        (NAN, None),
        (INF, -INF),
        (INF, 1e308),
        ("1", 1),
        ("a", "a "),
        ("a", b"a"),
        ("a", ["a"]),
        ("ab", ["a", "b"]),
        ("é", "e\u0301"),
        ([1], (1,)),
        ([1], {1}),
        ([1], [1, 1]),
        ([], ()),
        ([], {}),
        ({}, set()),
        ([1, 2], [2, 1]),
        ({1}, {2}),
        ({1, 2}, {1}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({1: "a"}, {"1": "a"}),
        ({NEAR}, {0.4}),
        ({NEAR, 0.3}, {0.3}),
        ({0.1, 0.2}, {0.1, 0.3}),
        ({(1, NEAR)}, {(2, 0.3)}),
        ({NEAR: 1}, {0.3: 2}),
        (1j, 1),
        (1j, 2j),
        (object(), object()),
    ],
)
def test_different(left: Any, right: Any) -> None:
    assert not values_match(left, right)
    assert not values_match(right, left)
    assert not values_match([left], [right])
    assert not values_match({"k": left}, {"k": right})


def test_lists_and_tuples_are_equal_only_where_values_came_from_json() -> None:
    assert values_match([(1, [2])], ([1, (2,)],), from_json=True)
    assert not values_match([(1, [2])], ([1, (2,)],))
    assert not values_match((1,), {1}, from_json=True)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (330.00000000000006, 330),
        ([1.0000000001, 2], [1, 2]),
        ({"a": [0.9999999999]}, {"a": [1]}),
        (1e-17, 0),
        (-1e-10, 0),
        (3, 3.0),
        (float(2**53), 2**53 + 1),
        ({1: "a", -2: "b"}, {"1": "a", "-2": "b"}),
        ({1: {2: 3.0000000001}}, {"1": {"2": 3}}),
        ({1.0: 5}, {"1": 5}),
        ({1.0: 5, -2.0: 6, 1e16: 7}, {"1.0": 5, "-2.0": 6, "1e+16": 7}),  # as Python writes them
        ({1: 5}, {"1.0": 5}),
        ({INF: 5, -INF: 6, NAN: 7}, {"Infinity": 5, "-Infinity": 6, "NaN": 7}),
        ({2.5: 5, True: 6, None: 7}, {"2.5": 5, "true": 6, "null": 7}),
        ({"1": 5, 2: 6}, {"1": 5, "2": 6}),
        ((1.0000000001, (2,)), [1, [2]]),
    ],
)
def test_what_json_cannot_say_is_equal_in_its_problems_only(actual: Any, expected: Any) -> None:
    assert values_match(actual, expected, from_json=True)
    assert values_match(actual, expected) == (actual == expected)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (330.1, 330),
        (1e-8, 0),
        (NAN, 0),
        (INF, 10**400),
        (1.5, 10**400),
        (331, 330),
        (2**53 + 1, 2**53),
        (1.0000000001, True),
        ("1", 1),
        ({1: "a"}, {"2": "a"}),
        ({1: "b"}, {"1": "a"}),
        ({1: "a", "1": "a"}, {"1": "a", "2": "a"}),
        ({1: "a", "1": "a"}, {"1": "a"}),
        ({1: "a"}, {"01": "a"}),
        ({1: "a"}, {"1.00": "a"}),
        ({1000: "a"}, {"1_000.0": "a"}),
        ({1: "a"}, {"1.5": "a"}),
        ({1: "a", 2: "a"}, {"1": "a", "1.0": "a"}),
        ({10**5000: "a"}, {"1": "a"}),
        ({(1,): "a"}, {"1": "a"}),
        ([1], {1}),
        ("330.00000000000006", 330),
    ],
)
def test_what_differs_in_json_problems_too(actual: Any, expected: Any) -> None:
    assert not values_match(actual, expected, from_json=True)


@pytest.mark.parametrize(
    ("actual", "expected", "equal"),
    [
        (Fraction(1, 2), 0.5, True),
        (Fraction(1, 10), 0.1, False),
        (Fraction(1, 3), Fraction(1, 3), True),
        (Fraction(1, 3), 1 / 3, False),
        ([Fraction(5, 2)], [2.5], True),
        ({Fraction(5, 2)}, {2.5}, True),
        (Fraction(1, 3), "1/3", False),
        (Fraction(1, 3), None, False),
        (Fraction(10**9 + 1, 10**9), 1, False),
    ],
)
def test_fractions_are_exact(actual: Any, expected: Any, *, equal: bool) -> None:
    assert values_match(actual, expected) == equal
    assert values_match(expected, actual) == equal
    assert values_match(actual, expected, from_json=True) == equal


@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "equal"),
    [
        (3.14, 3.1415, 0.01, True),
        (3.2, 3.1415, 0.01, False),
        (1e6 + 0.5, 1e6, 0.01, False),
        (1.0000001, 1.0, 0, False),
        (1.0, 1.0, 0, True),
        (10.4, 10, 0.5, True),
        (10, 10.4, 0.5, True),
        (11, 10, 2, False),
        (Fraction(1, 3), 0.333, 0.001, True),
        (Fraction(1, 3), Fraction(1, 2), 0.1, False),
        ([{"k": (1.01,)}], [{"k": (1.0,)}], 0.1, True),
        ({1.01}, {1.0}, 0.1, True),
        (NAN, NAN, 0.1, True),
        (NAN, 1, 0.1, False),
        (INF, 1, 5, False),
        (INF, INF, 0, True),
        ("a", "b", 9, False),
        (True, 1.5, 1, False),
        (1 + 2j, 1.05 + 2j, 0.1, True),
    ],
)
def test_a_tolerance_of_the_problems_own(
    actual: Any, expected: Any, tolerance: float, *, equal: bool
) -> None:
    assert values_match(actual, expected, tolerance=tolerance) == equal
    assert values_match([actual], [expected], tolerance=tolerance, from_json=True) == equal


def _nested(depth: int, leaf: Any, kind: str) -> Any:
    value = leaf
    for _ in range(depth):
        value = {"list": [value], "tuple": (value,), "dict": {"k": value}}[kind]
    return value


@pytest.mark.parametrize(
    "kind", ["list", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tuple", "dict"))]
)
def test_depth_is_no_limit(kind: str) -> None:
    depth = 20 * sys.getrecursionlimit()
    assert values_match(_nested(depth, NEAR, kind), _nested(depth, 0.3, kind))
    assert not values_match(_nested(depth, 1, kind), _nested(depth, 2, kind))


def test_elements_nested_too_deep_for_python_are_unequal_not_an_error() -> None:
    depth = 2 * sys.getrecursionlimit()
    left, right = {_nested(depth, 1, "tuple")}, {_nested(depth, 1, "tuple")}
    assert not values_match(left, right)


@pytest.mark.parametrize("spoil", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_big_values_take_linear_time(spoil: int) -> None:
    n = 100_000
    left: Any = [{i + NEAR for i in range(n)}, {i + NEAR: i for i in range(n)}, list(range(n))]
    right: Any = [{i + 0.3 for i in range(n)}, {i + 0.3: i + spoil for i in range(n)}]
    started = time.process_time()
    assert values_match(left, [*right, list(range(n))]) == (not spoil)
    assert time.process_time() - started < 5


def test_sets_in_sets_take_no_time() -> None:
    """A key that no right answer has, made to cost twice as much with every level."""
    left: Any = 1
    for _ in range(100):
        left = frozenset({(left, 0.5)})
    started = time.process_time()
    assert not values_match({left: 1}, {1: 1})
    assert not values_match({left}, {frozenset({(1, NEAR)})})
    assert time.process_time() - started < 1


EQUAL_HASH = [(2**61 - 1) * k for k in range(1, 5001)]
FLOATS_IN_TUPLES = frozenset((1, k + 0.5) for k in range(1000))


@pytest.mark.parametrize(
    "value",
    [
        {2**k for k in range(5000)},
        set(EQUAL_HASH),
        {key: [1] for key in EQUAL_HASH},
        {frozenset(EQUAL_HASH[:600]) - {n} for n in EQUAL_HASH[:30]},
        {frozenset({frozenset(EQUAL_HASH[:100]) - {n}}) for n in EQUAL_HASH[:100]},
        {frozenset({0.5, frozenset({(k, 0.1 + 0.2)})}) for k in range(500)},
        {("a" * 2000) + str(k) for k in range(2000)},
        FLOATS_IN_TUPLES,
    ],
    ids=lambda value: type(value).__name__,
)
def test_keys_of_equal_hash_are_judged_by_value_and_soon(value: Any) -> None:
    tree = json.loads(dumps(value))
    copy = decode(tree, hashed=False)
    started = time.process_time()
    assert values_match(copy, decode(tree, hashed=False))
    assert values_match([copy], [value])
    if isinstance(value, dict):
        assert not values_match(copy, {**value, EQUAL_HASH[7]: [2]})
    else:
        assert not values_match(copy, {*list(value)[1:], "another"})
    assert time.process_time() - started < 1


def test_decoded_without_hashing_is_the_same_to_a_comparison() -> None:
    value = {1: {2.5, "x", (None, frozenset({3}))}, (1, "k"): [{}, set()], 0.1 + 0.2: b"x"}
    near = {1.0: {2.5, "x", (None, frozenset({3.0}))}, (True, "k"): [{}, set()], 0.3: b"x"}
    unbuilt = decode(json.loads(dumps(value)), hashed=False)
    assert values_match(unbuilt, near) and values_match(near, unbuilt)
    assert not values_match(unbuilt, near | {0.3: b"y"})
    for left, right in [({}, set()), ({}, []), (set(), []), (set(), ())]:
        assert not values_match(decode(encode(left), hashed=False), right)
        assert not values_match(left, decode(encode(right), hashed=False))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.floats(), inner, max_size=4)
        | st.sets(st.integers() | st.floats() | st.text(max_size=3), max_size=4)
        | st.frozensets(st.tuples(st.integers(), st.floats()), max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(plain)
def test_every_value_matches_a_copy_of_itself(value: Any) -> None:
    assert values_match(value, _rebuilt(value))


@settings(max_examples=150, deadline=None)
@given(plain, plain)
def test_symmetric_and_never_stricter_than_python(left: Any, right: Any) -> None:
    assert values_match(left, right) == values_match(right, left)
    if left == right:
        assert values_match(left, right)
    unbuilt = decode(encode(left), hashed=False)
    assert values_match(unbuilt, right) == values_match(left, right)


@settings(max_examples=150, deadline=None)
@given(plain)
def test_a_changed_leaf_or_length_is_seen(value: Any) -> None:
    assert not values_match([value], [value, value])
    assert not values_match([value, "x"], [value, "y"])
    assert not values_match({"k": [value, 1]}, {"k": [value, 2]})


def _rebuilt(value: Any) -> Any:
    """Return an equal value in which no container and no NaN is the same object."""
    match value:
        case list() | tuple() | set() | frozenset():
            return type(value)([_rebuilt(item) for item in value])
        case dict():
            return {_rebuilt(key): _rebuilt(item) for key, item in reversed(value.items())}
        case float():
            return float(repr(value))
        case _:
            return value
