"""lcs: the length of the longest common subsequence of two strings."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the length of the longest common subsequence of the strings a and b: the largest "
    "number of letters that stand in both in the same order, with other letters allowed in "
    "between. Either string may be empty."
)

LEVELS = levels(
    length=(5, 6, 7, 8, 9, 20, 28, 36, 48, 64),
    letters=("abc", "abc", "abc", "abcd", "abcd", "abcd", "abcd", "abcde", "abcde", "abcdef"),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _any_strings(rng: Random, task: Task) -> Args:
    return _text(rng, task), _text(rng, task)


def _far_apart(rng: Random, task: Task) -> Args:
    """A common subsequence with other letters in between: no long common substring."""
    size = (task.level["length"] + 1) // 2
    common = rng.choices(task.level["letters"], k=rng.randint(2, size))
    return _spread(rng, common, "xyz"), _spread(rng, common, "uvw")


def _rearranged(rng: Random, task: Task) -> Args:
    """The same letters in another order: counting common letters is wrong."""
    text = _text(rng, task)
    return text, "".join(rng.sample(text, len(text)))


def _ends_exchanged(rng: Random, task: Task) -> Args:
    """What one string begins with, the other ends with: matching that first is wrong."""
    size = task.level["length"]
    count = rng.randint(1, size // 4)
    head, tail = (rng.choices(letters, k=count) for letters in ("uvw", "xyz"))
    middle = rng.choices(task.level["letters"], k=size - 2 * count)
    return "".join(head + middle + tail), "".join(tail + middle + head)


def _little_in_common(rng: Random, task: Task) -> Args:
    """Two letters shared, the rest different: recursion without memory branches everywhere."""
    size, letters = task.level["length"], task.level["letters"]
    shared = rng.choices(letters, k=2)
    first = shared + rng.choices("uvw", k=size - 2)
    second = shared + rng.choices("xyz", k=size - 2)
    rng.shuffle(first)
    rng.shuffle(second)
    return "".join(first), "".join(second)


def _text(rng: Random, task: Task) -> str:
    size = task.level["length"]
    return "".join(rng.choices(task.level["letters"], k=rng.randint(size // 2 + 1, size)))


def _spread(rng: Random, letters: list[str], others: str) -> str:
    """Return the letters with one of `others` before or after each."""
    pairs = ((letter, rng.choice(others)) for letter in letters)
    return "".join(a + b if rng.random() < 0.5 else b + a for a, b in pairs)


def oracle(a: str, b: str) -> int:
    """Find the longest increasing chain of matching positions (Hunt and Szymanski, 1977).

    `ends[k]` is the earliest position of b at which a common subsequence of length k + 1 ends.
    """
    positions = defaultdict(list)
    for place in reversed(range(len(b))):
        positions[b[place]].append(place)
    ends: list[int] = []
    for letter in a:
        for place in positions[letter]:
            length = bisect_left(ends, place)
            ends[length : length + 1] = [place]
    return len(ends)


TYPE = ProblemType(
    name="lcs",
    family="hard",
    title="Longest common subsequence",
    difficulty="Longer strings of more letters; from level 6 recursion without memory is too slow.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "lcs", "(a, b)"),
    oracle=oracle,
    examples=(("abcde", "ace"), ("abc", "xyz")),
    edge_cases=(
        ("", ""),
        ("", "abc"),
        ("abc", ""),
        ("a", "a"),
        ("a", "b"),
        ("abc", "abc"),
        ("abc", "cba"),
        ("aaaa", "aa"),
        ("a", "aaa"),
        ("xa", "a"),
        ("ax", "a"),
    ),
    inputs=(_any_strings, _far_apart, _rearranged, _ends_exchanged, _little_in_common),
    tests=23,
)
