"""Inputs to run programs on, made from what a user has: the arguments of the public examples.

Half of them are boundaries (empty, one element, zero, one, minus one, each in the place of one
argument); the others are examples changed in one to three places: signs, sizes, duplicates,
order, elements, digits and letters. Most keep what all examples have in common (sorted or distinct
lists, no negative number, pairs, columns of one length), since statements ask for such things in
words. The generator of a problem is never asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.search.public import PublicProblem

Args = tuple[Any, ...]
TRIES = 40
"""Changes tried for one input wanted; small input spaces have fewer than that."""
LARGEST_LIST = 60
LARGEST_NUMBER = 10
"""Lists and numbers grow to twice what the examples have, or to this: large inputs tell no more,
and slow programs would spend the time of all other inputs on one."""
FREE_SHARE = 6
"""One input in so many need not keep what the examples have in common."""
MOSTLY = 0.6
NUMBER = re.compile(r"\d+")


def mutated_inputs(problem: PublicProblem, count: int, seed: int) -> tuple[Args, ...]:
    """Return inputs of the problem, small ones first, without those of the public tests.

    They depend on the public tests, `count` and `seed` alone.

    Args:
        problem: its public tests are what inputs are made from; without any there are none.
        count: how many at most.
        seed: of the changes.
    """
    examples = [test.args for test in problem.public_tests if test.args]
    if not examples or len({len(args) for args in examples}) > 1:
        return ()
    rng = Random(f"{seed}/{problem.id}/inputs")
    traits = [_Traits([args[place] for args in examples]) for place in range(len(examples[0]))]
    seen = {input_text(args) for args in examples}
    chosen: dict[str, Args] = {}
    boundaries = list(_boundaries(examples, traits))
    rng.shuffle(boundaries)
    _take(boundaries, count // 2, seen, chosen)
    kept = _changed(examples, traits, rng, count * TRIES)
    _take(kept, count - count // FREE_SHARE, seen, chosen)
    _take(boundaries, count - count // FREE_SHARE, seen, chosen)
    _take(_changed(examples, None, rng, count * TRIES), count, seen, chosen)
    return tuple(sorted(chosen.values(), key=_size))


def input_text(args: Args) -> str:
    """Return what tells one input from another."""
    return json.dumps(encode(args))


def _size(args: Args) -> tuple[int, str]:
    """Order by size, then by how it is written."""
    return len(input_text(args)), _written(args)


def _written(value: Any) -> str:
    """Write a value the same way in every process."""
    stored = json.dumps(encode(value))
    # repr writes a set in the order of this process's hashes, and no integer of 4,300 digits.
    return stored if any(tag in stored for tag in ('{"s"', '{"z"', '{"i"')) else repr(value)


def _take(source: Any, count: int, seen: set[str], chosen: dict[str, Args]) -> None:
    for args in source:
        if len(chosen) >= count:
            return
        key = input_text(args)
        if key not in seen:
            seen.add(key)
            chosen[key] = args


def _boundaries(examples: Sequence[Args], traits: Sequence[_Traits]) -> Iterator[Args]:
    """Yield each example with one argument at a boundary of its type."""
    columns = _parallel(examples)
    for args in examples:
        for place, value in enumerate(args):
            for edge in _edges(value):
                if traits[place].allow(edge):
                    yield _cut((*args[:place], edge, *args[place + 1 :]), columns)


def _edges(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int():
            return [0, 1, -1, 2, -value, value + 1, value - 1]
        case float():
            return [0.0, 1.0, -1.0, -value]
        case str():
            return ["", value[:1], value[-1:], value + value[-1:]]
        case list() | tuple():
            kind = type(value)
            return [kind(), value[:1], value[-1:], value[:2], value[:1] * 3, value[::-1]]
        case dict():
            return [{}, dict(list(value.items())[:1])]
        case set() | frozenset():
            return [type(value)(), type(value)(_items(value)[:1])]
        case _:
            return []


def _changed(
    examples: Sequence[Args], traits: Sequence[_Traits] | None, rng: Random, tries: int
) -> Iterator[Args]:
    """Yield changed examples; with `traits`, only such as keep them."""
    elements = [[i for args in examples for i in _items(args[n])] for n in range(len(examples[0]))]
    parallel = _parallel(examples)
    for number in range(tries):
        args = list(examples[number % len(examples)])
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(args))
            mixed = _from_others(args, place, rng) if rng.random() > MOSTLY else None
            args[place] = _mutate(args[place], rng, elements[place]) if mixed is None else mixed
        if traits is not None:
            args = [trait.keep(value) for trait, value in zip(traits, args, strict=True)]
            args = list(_cut(args, parallel))
        yield tuple(args)


def _from_others(args: Sequence[Any], place: int, rng: Random) -> Any:
    """Return a value made of another argument, such as a target that is in the list, or None.

    Where an argument has to do with another one, random values of it are all alike: no text of
    random letters can be cut into the words of a list, no random target is the sum of two numbers.
    """
    value, others = args[place], [other for n, other in enumerate(args) if n != place and other]
    if not others:
        return None
    other = rng.choice(others)
    kinds = {type(item) for item in other} if isinstance(other, list | tuple) else set()
    match value:
        case str() if kinds == {str}:
            return "".join(rng.choices(other, k=rng.randint(1, 4)))
        case str() if isinstance(other, str):
            return "".join(letter for letter in other if rng.random() < MOSTLY)
        case int() if kinds == {int} and not isinstance(value, bool):
            return rng.choice([rng.choice(other), sum(rng.choices(other, k=2)), sum(other)])
        case list() if isinstance(other, str) and all(isinstance(item, str) for item in value):
            ends = sorted(rng.choices(range(len(other) + 1), k=4))
            return [other[a:b] for a, b in pairwise([0, *ends, len(other)]) if a < b]
        case _:
            return None


def _cut(args: Sequence[Any], columns: Sequence[int]) -> Args:
    """Cut columns to the length of the shortest."""
    shortest = min((len(args[place]) for place in columns), default=0)
    return tuple(
        value[:shortest] if place in columns else value for place, value in enumerate(args)
    )


def _parallel(examples: Sequence[Args]) -> list[int]:
    """Return the places of lists that are of one length in every example, such as columns."""
    places = range(len(examples[0]))
    lists = [n for n in places if all(isinstance(args[n], list) for args in examples)]
    same = all(len({len(args[n]) for n in lists}) == 1 for args in examples) if lists else False
    lengths = {len(args[n]) for args in examples for n in lists}
    return lists if same and len(lists) > 1 and len(lengths) > 1 else []


class _Traits:
    """What the values in one place of all examples have in common."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.elements = [item for value in values for item in _items(value)]
        nested = [item for item in self.elements if isinstance(item, list | tuple)]
        whole = bool(nested) and len(nested) == len(self.elements)
        self._inner = _Traits(nested) if whole else None
        lengths = {len(item) for item in nested}
        self._inner_length = lengths.pop() if whole and len(lengths) == 1 else None
        self._largest = 2 * max((abs(n) for n in values if _is_number(n)), default=0)
        numbers = [item for item in [*values, *self.elements] if _is_number(item)]
        self._sign = min(numbers, default=0) >= 0
        self._positive = bool(numbers) and min(numbers) > 0
        lists = [value for value in values if isinstance(value, list | tuple) and len(value) > 1]
        self._sorted = bool(lists) and all(_is_sorted(value) for value in lists)
        self._distinct = len(lists) > 1 and all(_are_distinct(value) for value in lists)

    def allow(self, edge: Any) -> bool:
        """Whether a boundary is worth a try: negative numbers only where there are some."""
        numbers = [item for item in (edge, *_items(edge)) if _is_number(item)]
        return not self._sign or min(numbers, default=0) >= 0

    def keep(self, value: Any) -> Any:
        """Return the value changed so that it has the traits."""
        if _is_number(value):
            most = max(self._largest, LARGEST_NUMBER)
            return self._number(max(-most, min(most, value)))
        if isinstance(value, list | tuple):
            items = [self._number(item) if _is_number(item) else item for item in value]
            if self._inner is not None:
                items = [self._inner.keep(item) for item in items]
            if self._inner_length is not None:
                items = [item for item in items if len(item) == self._inner_length]
            if self._distinct:
                items = list({input_text((item,)): item for item in items}.values())
            if self._sorted:
                items = _sorted(items)
            return type(value)(items)
        return value

    def _number(self, number: Any) -> Any:
        if self._sign:
            number = abs(number)
        return number + 1 if self._positive and number == 0 else number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _items(value: Any) -> list[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(value, key=_written) if isinstance(value, set | frozenset) else list(value)
    return list(value.values()) if isinstance(value, dict) else []


def _is_sorted(value: Sequence[Any]) -> bool:
    try:
        return all(a <= b for a, b in pairwise(value))
    except TypeError:
        return False


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return items


def _are_distinct(value: Sequence[Any]) -> bool:
    return len({input_text((item,)) for item in value}) == len(value)


def _mutate(value: Any, rng: Random, elements: Sequence[Any]) -> Any:
    """Return a value of the same type that differs a little."""
    match value:
        case bool():
            return not value
        case int():
            return _integer(value, rng)
        case float():
            return rng.choice([-value, value / 2, value * 2, value + 0.5, value - 1, 0.0])
        case str():
            return _string(value, rng)
        case list() | tuple():
            words = any(isinstance(item, str) and not item.isalpha() for item in value)
            change = _element if words and rng.random() < MOSTLY else rng.choice(_LISTS)
            return type(value)(change(list(value), rng, elements)[:LARGEST_LIST])
        case dict():
            return _dictionary(value, rng)
        case set() | frozenset():
            return type(value)(rng.choice(_LISTS)(_items(value), rng, elements)[:LARGEST_LIST])
        case _:
            return value


def _integer(value: int, rng: Random) -> int:
    near = abs(value) + 3
    return rng.choice(
        [value + 1, value - 1, -value, value * 2, value // 2, 0, rng.randint(-near, 2 * near)]
    )


def _string(value: str, rng: Random) -> str:
    if NUMBER.search(value) and rng.random() < MOSTLY:
        numbers = list(NUMBER.finditer(value))
        found = rng.choice(numbers)
        number = abs(_integer(int(found[0][:12]), rng))
        return f"{value[: found.start()]}{number}{value[found.end() :]}"
    letters = value or "a"
    place = rng.randrange(len(letters))
    return rng.choice(
        [
            letters[:place] + rng.choice(letters) + letters[place + 1 :],
            letters[:place] + letters[place + 1 :],
            letters[:place] + letters[place] + letters[place:],
            letters[::-1],
            (letters + letters)[: max(LARGEST_LIST, len(letters))],
            letters[place:] + letters[:place],
            letters[: place + 1],
            letters.swapcase(),
            "".join(rng.choice(letters) for _ in range(rng.randint(1, 2 * len(letters) + 2))),
        ]
    )


def _dictionary(value: dict[Any, Any], rng: Random) -> dict[Any, Any]:
    if not value:
        return value
    key = rng.choice(list(value))
    rest = {name: item for name, item in value.items() if name != key}
    return rng.choice([rest, {**value, key: _mutate(value[key], rng, list(value.values()))}])


_List = list[Any]
_ListChange = Callable[[_List, Random, Sequence[Any]], _List]


def _element(items: _List, rng: Random, elements: Sequence[Any]) -> _List:
    if not items:
        return list(elements[:1])
    place = rng.randrange(len(items))
    new = _mutate(items[place], rng, _items(items[place]))
    if _is_sign(items[place]):  # an operator or a bracket: another one of those seen
        new = rng.choice([item for item in (*elements, *items) if _is_sign(item)])
    return [*items[:place], new, *items[place + 1 :]]


def _is_sign(item: Any) -> bool:
    return isinstance(item, str) and len(item) == 1 and not item.isalnum()


def _drop(items: _List, rng: Random, _elements: Sequence[Any]) -> _List:
    place = rng.randrange(len(items)) if items else 0
    return items[:place] + items[place + 1 :]


def _duplicate(items: _List, rng: Random, _elements: Sequence[Any]) -> _List:
    place = rng.randrange(len(items)) if items else 0
    return items[: place + 1] + items[place:]


def _insert(items: _List, rng: Random, elements: Sequence[Any]) -> _List:
    if not elements:
        return items
    place = rng.randint(0, len(items))
    new = rng.choice(elements)
    return [*items[:place], _mutate(new, rng, _items(new)), *items[place:]]


def _shuffle(items: _List, rng: Random, _elements: Sequence[Any]) -> _List:
    return rng.sample(items, len(items))


def _redraw(items: _List, rng: Random, elements: Sequence[Any]) -> _List:
    """Draw a list of another length from the elements that the examples have, changed or not."""
    if not elements:
        return items
    drawn = rng.choices(elements, k=rng.randint(1, len(items) + 4))
    return [_mutate(item, rng, ()) if rng.random() < MOSTLY else item for item in drawn]


_LISTS: tuple[_ListChange, ...] = (
    _element,
    _drop,
    _duplicate,
    _insert,
    _shuffle,
    _redraw,
    _redraw,
    lambda items, _rng, _elements: items[::-1],
    lambda items, _rng, _elements: items + items,
    lambda items, _rng, _elements: _sorted(items),
)
