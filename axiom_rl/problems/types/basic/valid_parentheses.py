"""valid_parentheses: are the brackets of a string matched and properly nested?"""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "The string s consists of the brackets ()[]{} only. Return True if every bracket is closed "
    "by one of its own kind, in the right order, else False. The empty string is valid."
)

LEVELS = levels(pairs=(5, 6, 7, 8, 10, 12, 16, 24, 32, 48))

KINDS = ("()", "[]", "{}")


def _valid(rng: Random, task: Task) -> Args:
    return (_nested(rng, rng.randint(2, task.level["pairs"])),)


def _crossing(rng: Random, task: Task) -> Args:
    """Counts per kind are right and the order is not, as in ([)]."""
    first, second = rng.sample(KINDS, 2)
    text = _nested(rng, rng.randint(1, task.level["pairs"] - 1))
    place = rng.randint(0, len(text))
    return (text[:place] + first[0] + second[0] + first[1] + second[1] + text[place:],)


def _one_missing(rng: Random, task: Task) -> Args:
    """One bracket has no partner."""
    (text,) = _valid(rng, task)
    place = rng.randrange(len(text))
    return (text[:place] + text[place + 1 :],)


def _closed_too_early(rng: Random, task: Task) -> Args:
    """As many of each as needed, but a closing bracket comes first."""
    kind = rng.choice(KINDS)
    return (_nested(rng, rng.randint(1, task.level["pairs"] - 1)) + kind[1] + kind[0],)


def _wrong_kind(rng: Random, task: Task) -> Args:
    """One bracket is closed by another kind."""
    (text,) = _valid(rng, task)
    place = rng.choice([i for i, bracket in enumerate(text) if bracket in ")]}"])
    other = rng.choice([kind[1] for kind in KINDS if kind[1] != text[place]])
    return (text[:place] + other + text[place + 1 :],)


def _nested(rng: Random, pairs: int) -> str:
    """Return a valid text of so many pairs: each new pair goes around or beside what is there."""
    text = ""
    for _ in range(pairs):
        kind = rng.choice(KINDS)
        text = rng.choice([kind[0] + text + kind[1], text + kind, kind + text])
    return text


def oracle(s: str) -> bool:
    """Take out adjacent pairs until none is left."""
    before = None
    while s != before:
        before = s
        for kind in KINDS:
            s = s.replace(kind, "")
    return s == ""


TYPE = ProblemType(
    name="valid_parentheses",
    family="basic",
    title="Valid parentheses",
    difficulty="Longer and deeper texts.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "valid_parentheses", "(s)"),
    oracle=oracle,
    examples=(("([]{})",), ("([)]",)),
    edge_cases=(("",), ("(",), ("]",), ("()",), ("(]",), (")(",), ("((",), ("([{}])",), ("(())",)),
    inputs=(_valid, _crossing, _one_missing, _closed_too_early, _wrong_kind, _valid),
)
