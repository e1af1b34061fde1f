"""edit_distance: the fewest insertions, deletions and replacements from one string to another."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the smallest number of edits that turn the string a into the string b. One edit "
    "inserts a letter, deletes a letter, or replaces a letter by another. Either string may be "
    "empty."
)

LETTERS = "abcdef"

LEVELS = levels(
    length=(4, 5, 5, 6, 7, 16, 24, 32, 48, 64),
    edits=(2, 2, 3, 3, 3, 4, 6, 8, 10, 12),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _edited(rng: Random, task: Task) -> Args:
    """Some edits of all kinds."""
    text = _text(rng, task)
    letters = list(text)
    for _ in range(rng.randint(1, task.level["edits"])):
        place = rng.randrange(len(letters))
        part = rng.choice([[], [letters[place], rng.choice(LETTERS)], [rng.choice(LETTERS)]])
        letters[place : place + 1] = part
    return text, "".join(letters)


def _replaced(rng: Random, task: Task) -> Args:
    """Replacements alone: without them the distance would be twice as large."""
    text = _text(rng, task)
    letters = list(text)
    count = rng.randint(1, min(len(text), task.level["edits"]))
    for place in rng.sample(range(len(letters)), count):
        letters[place] = rng.choice("xyz")
    return text, "".join(letters)


def _shifted(rng: Random, task: Task) -> Args:
    """A letter gone at one end and come at the other: comparing place by place is wrong."""
    text = _text(rng, task)
    longer, shorter = rng.choice("xyz") + text, text + rng.choice("uvw")
    return (longer, shorter) if rng.random() < 0.5 else (shorter, longer)


def _swapped(rng: Random, task: Task) -> Args:
    """Two neighbours have changed places, which takes two edits."""
    text = _text(rng, task)
    place = rng.randint(0, len(text))
    first, second = rng.sample("uvwxyz", 2)
    start, rest = text[:place], text[place:]
    return start + first + second + rest, start + second + first + rest


def _unrelated(rng: Random, task: Task) -> Args:
    return _text(rng, task), _text(rng, task)


def _text(rng: Random, task: Task) -> str:
    size = task.level["length"]
    return "".join(rng.choices(LETTERS, k=rng.randint(size // 2 + 1, size)))


def oracle(a: str, b: str) -> int:
    """Search by the number of edits instead of filling a table (Ukkonen, 1985).

    After each edit, `reached[d]` is how much of a at most can have been read on diagonal d (that
    is, with d letters more of b than of a); equal letters that follow cost nothing.
    """
    reached = {0: _read_equal(a, b, 0, 0)}
    edits = 0
    while reached.get(len(b) - len(a)) != len(a):
        edits += 1
        before, reached = reached, {}
        for diagonal in range(-edits, edits + 1):
            read = max(
                before.get(diagonal - 1, -1),  # insert
                before.get(diagonal, -1) + 1,  # replace
                before.get(diagonal + 1, -1) + 1,  # delete
            )
            read = min(read, len(a), len(b) - diagonal)
            if read >= max(0, -diagonal):
                reached[diagonal] = _read_equal(a, b, read, diagonal)
    return edits


def _read_equal(a: str, b: str, read: int, diagonal: int) -> int:
    """Return how much of a is read once the equal letters from here on are read too."""
    end = min(len(a), len(b) - diagonal)
    while read < end and a[read] == b[read + diagonal]:
        read += 1
    return read


TYPE = ProblemType(
    name="edit_distance",
    family="hard",
    title="Edit distance",
    difficulty="Longer strings with more edits between them; from level 6 recursion without "
    "memory is too slow.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "edit_distance", "(a, b)"),
    oracle=oracle,
    examples=(("horse", "ros"), ("", "ab"), ("cat", "cut")),
    edge_cases=(
        ("", ""),
        ("abc", ""),
        ("", "a"),
        ("a", "a"),
        ("a", "b"),
        ("abc", "abc"),
        ("abc", "abcd"),
        ("abc", "bc"),
        ("abc", "xyz"),
        ("ab", "ba"),
        ("aa", "ba"),
    ),
    inputs=(_edited, _replaced, _shifted, _swapped, _unrelated, _edited),
    tests=23,
)
