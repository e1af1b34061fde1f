"""The encoding of values: exact there and back, strict and bounded on hostile input."""

import itertools
import json
import math
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.core.codec import MAX_DEPTH, ValueTooLarge, decode, dumps, encode, loads

hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
plain = st.recursive(
    hashable | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(plain)
def test_there_and_back(value: Any) -> None:
    assert repr(_sorted(loads(dumps(value)))) == repr(_sorted(value))


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        2**53 + 1,
        -(2**53) - 1,
        -0.0,
        5e-324,
        True,
        "\ud800",
        "\u2028",
        "\x00",
        b"",
    ],
)
def test_exact_for_awkward_scalars(value: Any) -> None:
    back = loads(dumps(value))
    assert type(back) is type(value)
    assert hash(back) == hash(value)
    assert (
        math.copysign(1, back) == math.copysign(1, value)
        if isinstance(value, float)
        else back == value
    )


def test_integers_of_any_length() -> None:
    assert loads(dumps([10**10_000, -(10**10_000)])) == [10**10_000, -(10**10_000)]


def test_encoded_sets_do_not_depend_on_their_order() -> None:
    one, other = {8, 0}, {0, 8}  # the same slot of a small table: insertion order shows
    assert list(one) != list(other)
    assert dumps(one) == dumps(other)


@pytest.mark.parametrize("value", [object(), int, len, (i for i in ()), bytearray(b"x"), range(3)])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot encode"):
        encode([value])


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append((cycle,))
    with pytest.raises(ValueError, match="nested deeper"):
        encode(cycle)


@pytest.mark.parametrize("kind", [list, tuple, frozenset])
def test_depth_up_to_the_limit_and_not_beyond(kind: Any) -> None:
    value: Any = kind([1j, 1e999])
    for _ in range(MAX_DEPTH - 1):
        value = kind([value])
    assert loads(dumps(value)) == value
    with pytest.raises(ValueError, match="nested deeper"):
        encode([value])
    with pytest.raises(ValueError, match="nested too deep"):
        decode([encode(value)])


def test_an_empty_container_counts_as_depth() -> None:
    value: Any = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(ValueError, match="nested too deep"):
        decode([value])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nan",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        str(2**53 + 1),
        "1" * 5000,
        "{}",
        '{"t": [], "d": []}',
        '{"x": 1}',
        '{"t": "ab"}',
        '{"t": {"a": 1}}',
        '{"t": null}',
        '{"i": 5}',
        '{"i": "5"}',
        '{"i": "0x5"}',
        '{"i": "0X3fffffffffffffff"}',
        '{"i": " 0x3fffffffffffffff"}',
        '{"i": "3fffffffffffffff"}',
        '{"i": true}',
        '{"f": "1.5"}',
        '{"f": "NAN"}',
        '{"f": 1}',
        '{"b": "0"}',
        '{"b": "AB"}',
        '{"b": "a b"}',
        '{"b": [1]}',
        '{"u": "61"}',
        '{"u": "f09f9880"}',
        '{"u": "ff"}',
        '{"u": "eda0bdedb88"}',
        '{"u": 5}',
        '{"c": [1, 2]}',
        '{"c": [1.0]}',
        '{"c": [1.0, "x"]}',
        '{"d": ["ab"]}',
        '{"d": [[1]]}',
        '{"d": [[1, 2, 3]]}',
        '{"d": [[[1], 2]]}',
        '{"d": [[1, 2], [1, 3]]}',
        '{"d": {"a": 1}}',
        '{"s": [1, 1]}',
        '{"s": [1, true]}',
        '{"s": [[1]]}',
        '{"s": [{"s": []}]}',
        '{"z": [{"d": []}]}',
        '{"z": "abc"}',
        '{"__class__": "os.system"}',
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_bytes_that_are_no_text_are_malformed() -> None:
    with pytest.raises(ValueError):
        loads(b"\xff\xfe\xfa")


COLLIDING = [{"i": hex((2**61 - 1) * 2**40 * k)} for k in range(1, 40_000)]
HOSTILE = {
    "deep_lists": "[" * 1_000_000,
    "deep_closed_lists": "[" * 50_000 + "]" * 50_000,
    "deep_tuples": '{"t":[' * 50_000 + "]}" * 50_000,
    "deep_sets": '{"z":[' * 140 + "]}" * 140,
    "too_many": "[" + "1," * 3_000_000 + "1]",
    "colliding_set": json.dumps({"s": COLLIDING}),
    "colliding_dict": json.dumps({"d": [[key, 1] for key in COLLIDING]}),
    "colliding_tuples": json.dumps({"z": [{"t": [key]} for key in COLLIDING]}),
    "long_int": json.dumps({"i": "0x" + "f" * 4_000_000}),
    "long_decimal": "9" * 4_000_000,
    "long_tag": json.dumps({"t" * 4_000_000: 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_soon(name: str) -> None:
    started = time.process_time()
    try:
        loads(HOSTILE[name])
    except ValueError as error:
        assert len(str(error)) < 1000
    assert time.process_time() - started < 3


def _chosen_frozensets() -> set[frozenset[int]]:
    """Thousands of frozensets of few hashes: subsets whose elements' hashes add up to 0.

    A frozenset's hash depends on the exclusive or of its elements' shuffled hashes and its size.
    """

    def shuffled(number: int) -> int:
        return ((number ^ 89869747) ^ (number << 16)) * 3644798167 & (2**64 - 1)

    basis: dict[int, tuple[int, int]] = {}
    sums = []
    for number in range(64 + 30):
        rest, members = shuffled(number), 1 << number
        while rest and (top := rest.bit_length()) in basis:
            rest, members = rest ^ basis[top][0], members ^ basis[top][1]
        if rest:
            basis[top] = rest, members
        else:
            sums.append(members)
    chosen = set()
    for choice in range(1, 4096):
        members = 0
        for bit in range(12):
            members ^= sums[bit] if choice >> bit & 1 else 0
        chosen.add(frozenset(n for n in range(94) if members >> n & 1))
    return chosen


@pytest.mark.slow
def test_building_a_value_is_bounded_in_steps() -> None:
    """What a checker gets is built of Python's own sets and dicts, if that is quick."""
    powers = {2**k for k in range(5000)}
    assert loads(dumps(powers)) == powers
    assert loads(dumps([2**100] * 50_000)) == [2**100] * 50_000
    chosen = _chosen_frozensets()
    assert len({hash(each) for each in chosen}) < len(chosen) / 50
    colliding = [(2**61 - 1) * 2**40 * k for k in range(1, 5000)]
    inner = [frozenset(colliding[:60]) - {n} for n in colliding[:60]]
    complexes = [complex(-1000003 * k, k) for k in range(1, 5000)]
    ones = {tuple(-1 - (k >> bit & 1) for bit in range(11)) for k in range(2**11)}
    few = [Fraction(7 * d + 2**61 - 1, d) for d in (2, 3, 5, 9, 11, 13, 17, 19, 23, 25)]
    fractions = set(itertools.product(few, repeat=3))
    for value in (
        *(colliding, [(n,) for n in colliding], inner, chosen, [{n: 1} for n in colliding]),
        *(complexes, ones, dict.fromkeys(ones), {(each,) for each in ones}, fractions),
    ):
        started = time.process_time()
        with pytest.raises(ValueTooLarge):
            loads(dumps(value))
        assert time.process_time() - started < 1


PAIR, EMOJI = "\ud83d\ude00", "\U0001f600"


@pytest.mark.parametrize("text", [PAIR, f"a{PAIR}b{EMOJI}", "\ude00\ud83d", "\ud83d", EMOJI])
def test_surrogates_stay_what_they_are(text: str) -> None:
    for value in (text, [text], {text: (text, {text})}):
        assert loads(dumps(value)) == value
    assert loads(dumps(PAIR)) != EMOJI


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(list("iftdszbcx")), inner, max_size=2)
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(json_like)
def test_decode_accepts_only_what_encode_makes(tree: Any) -> None:
    try:
        value = decode(tree)
    except ValueError:
        return
    assert repr(_sorted(decode(encode(value)))) == repr(_sorted(value))


def _sorted(value: Any) -> Any:
    """Replace sets by sorted lists, marked, so that equal values have one repr."""
    match value:
        case list() | tuple():
            return type(value)([_sorted(item) for item in value])
        case dict():
            return [(_sorted(key), _sorted(item)) for key, item in value.items()]
        case set() | frozenset():
            return type(value).__name__, sorted(repr(_sorted(item)) for item in value)
        case _:
            return value


@pytest.mark.parametrize(
    "body", [[1, 1], [2, 4], [1, 0], [1, -2], [1], [1, 2, 3], [1.0, 2], [True, 2], ["1", 2], "1/2"]
)
def test_fractions_come_in_lowest_terms_only(body: Any) -> None:
    assert decode({"q": [-1, 2]}) == -0.5
    with pytest.raises(ValueError, match="malformed encoded value"):
        decode({"q": body})
    with pytest.raises(ValueError, match="too long"):
        decode({"q": [1, {"i": hex(10**5000)}]})


@pytest.mark.parametrize("nested", [lambda one: one, lambda one: frozenset({one, "x"})])
def test_equal_sets_keep_the_types_of_their_elements(nested: Any) -> None:
    scalars = (0, False, 0.0, -0.0)
    for some in itertools.product(scalars, repeat=3):
        value = [nested(frozenset({each})) for each in some]
        assert dumps(loads(dumps(value))) == dumps(value)
