"""Conditions on a number as plain data, with their meaning and their wording side by side.

A predicate is a tuple: the name of an atom and its constants, such as `("above", 7)`; or
`("and", p, q)`, `("or", p, q)` or `("not", p)`. The numbers that a condition is about are called
x in the statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import and_, ne, or_
from random import Random
from typing import Any

Predicate = tuple[Any, ...]

SAMPLE = tuple(range(-30, 31))
"""A predicate of a task holds for some of these numbers, and not for others."""
SMALLEST_SHARE = 0.15
LARGEST_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Atom:
    """One simple condition."""

    words: str
    """With {0} and {1} for the constants."""
    holds: Callable[..., bool]
    """`holds(x, *constants)`."""
    constants: tuple[tuple[int, int], ...] = ()
    """Range of each constant."""


ATOMS = {
    "even": Atom("x is even", lambda x: x % 2 == 0),
    "odd": Atom("x is odd", lambda x: x % 2 == 1),
    "positive": Atom("x is positive", lambda x: x > 0),
    "negative": Atom("x is negative", lambda x: x < 0),
    "above": Atom("x is greater than {0}", lambda x, k: x > k, ((-15, 15),)),
    "below": Atom("x is less than {0}", lambda x, k: x < k, ((-15, 15),)),
    "at_least": Atom("x is at least {0}", lambda x, k: x >= k, ((-15, 15),)),
    "at_most": Atom("x is at most {0}", lambda x, k: x <= k, ((-15, 15),)),
    "multiple": Atom("x is a multiple of {0}", lambda x, k: x % k == 0, ((3, 6),)),
    "not_multiple": Atom("x is not a multiple of {0}", lambda x, k: x % k != 0, ((2, 6),)),
    "between": Atom(
        "x is from {0} to {1} (both included)",
        lambda x, low, high: low <= x <= high,
        ((-20, -1), (2, 20)),
    ),
    "outside": Atom(
        "x is less than {0} or greater than {1}",
        lambda x, low, high: x < low or x > high,
        ((-12, -1), (2, 12)),
    ),
    "far": Atom("the absolute value of x is greater than {0}", lambda x, k: abs(x) > k, ((5, 20),)),
    "near": Atom("the absolute value of x is at most {0}", lambda x, k: abs(x) <= k, ((5, 20),)),
    "remainder": Atom("x % {0} == 1", lambda x, k: x % k == 1, ((3, 6),)),
    "last_digit": Atom(
        "the last decimal digit of x is at least {0}", lambda x, k: abs(x) % 10 >= k, ((3, 7),)
    ),
    "digit_sum": Atom(
        "the decimal digits of x (sign aside) add up to an odd number",
        lambda x: sum(map(int, str(abs(x)))) % 2 == 1,
    ),
}


@lru_cache(maxsize=4096)
def meaning(predicate: Predicate) -> Callable[[int], bool]:
    """Return the condition as a function of x."""
    match predicate:
        case ("and", left, right):
            first, second = meaning(left), meaning(right)
            return lambda x: first(x) and second(x)
        case ("or", left, right):
            first, second = meaning(left), meaning(right)
            return lambda x: first(x) or second(x)
        case ("not", inner):
            negated = meaning(inner)
            return lambda x: not negated(x)
        case (name, *constants):
            atom = ATOMS[name].holds
            return lambda x: atom(x, *constants)
        case _:
            raise ValueError(f"not a predicate: {predicate!r}")


def describe(predicate: Predicate) -> str:
    """Return the condition in words, about x."""
    match predicate:
        case ("and", left, ("not", right)):
            return f"{_in_brackets(left)} but not ({describe(right)})"
        case ("and" | "or" as word, left, right):
            return f"{_in_brackets(left)} {word} {_in_brackets(right)}"
        case ("not", inner):
            return f"it is not true that {describe(inner)}"
        case (name, *constants):
            return ATOMS[name].words.format(*constants)
        case _:
            raise ValueError(f"not a predicate: {predicate!r}")


def draw_predicate(rng: Random, names: tuple[str, ...], parts: int) -> Predicate:
    """Draw a condition of so many atoms, each of which makes a difference."""
    while True:
        predicate = _draw_atom(rng, names)
        for _ in range(parts - 1):
            predicate = _join(rng, predicate, _draw_atom(rng, names))
        if _is_balanced(predicate) and _needs_all_parts(predicate):
            return predicate


def borders(predicate: Predicate | None) -> list[int]:
    """Return the numbers near which the condition changes; inputs there find off-by-one errors.

    Those that it mentions, on both sides of 0 for absolute values; 0 where it mentions none.
    """
    return _borders(predicate) or [0]


def _borders(predicate: Predicate | None) -> list[int]:
    match predicate:
        case None:
            return []
        case ("near" | "far", k):
            return [k, -k]
        case (_, *parts):
            inner = [_borders(part) if isinstance(part, tuple) else [part] for part in parts]
            return [number for numbers in inner for number in numbers]
        case _:
            raise ValueError(f"not a predicate: {predicate!r}")


def _draw_atom(rng: Random, names: tuple[str, ...]) -> Predicate:
    name = rng.choice(names)
    return (name, *(rng.randint(low, high) for low, high in ATOMS[name].constants))


def _join(rng: Random, left: Predicate, right: Predicate) -> Predicate:
    match rng.choice(("and", "or", "but not")):
        case "but not":
            return ("and", left, ("not", right))
        case word:
            return (word, left, right)


def _in_brackets(predicate: Predicate) -> str:
    words = describe(predicate)
    return f"({words})" if predicate[0] in ("and", "or", "not", "outside") else words


@lru_cache(maxsize=4096)
def _truth(predicate: Predicate) -> tuple[bool, ...]:
    """Return for each number of `SAMPLE` whether the condition holds."""
    match predicate:
        case ("and", left, right):
            return tuple(map(and_, _truth(left), _truth(right)))
        case ("or", left, right):
            return tuple(map(or_, _truth(left), _truth(right)))
        case _:
            return tuple(map(meaning(predicate), SAMPLE))


def _is_balanced(predicate: Predicate) -> bool:
    share = sum(_truth(predicate)) / len(SAMPLE)
    return SMALLEST_SHARE <= share <= LARGEST_SHARE


def _needs_all_parts(predicate: Predicate) -> bool:
    """Tell whether dropping either part of an `and` or `or` changes the meaning, at every depth."""
    match predicate:
        case ("and" | "or", left, right):
            whole, smallest = _truth(predicate), round(SMALLEST_SHARE * len(SAMPLE) / 2)
            differences = (sum(map(ne, whole, _truth(part))) for part in (left, right))
            return min(differences) >= smallest and all(map(_needs_all_parts, (left, right)))
        case _:
            return True
