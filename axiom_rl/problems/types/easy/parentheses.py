"""parentheses: are the brackets of a string matched? Problems differ in the kinds of brackets.

And in length, depth, wording and name; the strings are those of the basic valid_parentheses.
"""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, Level, ProblemType, Task, levels

WORDINGS = (
    "Return True if each bracket of the string s is closed by one of its own kind in the right "
    "order, else False.",
    "Return whether the brackets of the string s are balanced: True if every opening bracket has "
    "its closing partner and pairs never cross, else False.",
    "Check that the string s is well formed: every bracket is matched by a partner of the same "
    "kind, and pairs are properly nested. Return True or False.",
    "A string s is correct if it can be emptied by repeatedly deleting an opening bracket that "
    "is directly followed by its closing one. Return True if s is correct, else False.",
    "Decide whether the string s has balanced brackets: read from the left, each closing bracket "
    "must match the last one still open, and none may stay open. Return True or False.",
    "Return True exactly if the brackets in the string s pair up: the same kind, opened before it "
    "is closed, and one pair either inside another or apart from it. Return False otherwise.",
)
NAMES = (
    "balanced",
    "is_balanced",
    "well_formed",
    "brackets_match",
    "parentheses",
    "is_nested",
    "check_brackets",
    "is_valid",
    "matched",
    "all_closed",
    "brackets_ok",
    "properly_nested",
)
KINDS = ("()", "[]", "{}")

LEVELS = levels(
    kinds=(1, 2, 2, 3, 3, 3, 3, 3, 3, 3),
    pairs=(10, 7, 7, 7, 8, 10, 12, 16, 20, 28),
)


def draw_task(rng: Random, level: Level) -> Task:
    """Choose kinds of brackets, wording and name."""
    kinds = tuple(sorted(rng.sample(KINDS, level["kinds"])))
    characters = (
        f"It consists of the characters {''.join(kinds)} only, or is empty (which is True)."
    )
    statement, name = f"{rng.choice(WORDINGS)} {characters}", rng.choice(NAMES)
    return Task(
        statement=statement,
        entry_point=name,
        signature="(s)",
        level=level,
        parameters={"kinds": kinds},
        identity=f"{name} {statement}",
    )


def _valid(rng: Random, task: Task) -> Args:
    return (_nested(rng, task, rng.randint(3, task.level["pairs"])),)


def _crossing(rng: Random, task: Task) -> Args:
    """Counts per kind are right and the order is not: ([)], or )( where there is one kind."""
    text = _nested(rng, task, rng.randint(2, task.level["pairs"] - 1))
    place = rng.randint(0, len(text))
    if len(task.parameters["kinds"]) == 1:
        ((opening, closing),) = map(tuple, task.parameters["kinds"])
        return (closing + text + opening,)
    first, second = rng.sample(task.parameters["kinds"], 2)
    return (text[:place] + first[0] + second[0] + first[1] + second[1] + text[place:],)


def _short(rng: Random, task: Task) -> Args:
    """Three to five pairs: good to show in a prompt."""
    return (_nested(rng, task, rng.randint(3, 5)),)


def _short_crossing(rng: Random, task: Task) -> Args:
    """Short and wrong: two kinds cross, or one bracket too many is closed."""
    first, second = task.parameters["kinds"][0], task.parameters["kinds"][-1]
    before = _nested(rng, task, rng.randint(0, 3))
    after = _nested(rng, task, rng.randint(0, 2))
    return (before + first[0] + second[0] + first[1] + second[1] + first[1] + after,)


def _one_missing(rng: Random, task: Task) -> Args:
    """One bracket has no partner."""
    (text,) = _valid(rng, task)
    place = rng.randrange(len(text))
    return (text[:place] + text[place + 1 :],)


def _left_open(rng: Random, task: Task) -> Args:
    """Nothing is closed wrongly, but opening brackets are left over."""
    text = _nested(rng, task, rng.randint(2, task.level["pairs"] - 1))
    return (
        rng.choice(task.parameters["kinds"])[0] + text + rng.choice(task.parameters["kinds"])[0],
    )


def _closed_too_early(rng: Random, task: Task) -> Args:
    """As many of each kind as needed, but a closing bracket comes first."""
    kind = rng.choice(task.parameters["kinds"])
    before = _nested(rng, task, rng.randint(1, task.level["pairs"] // 2))
    after = _nested(rng, task, rng.randint(1, task.level["pairs"] // 2))
    return (before + kind[1] + kind[0] + after,)


def _nested(rng: Random, task: Task, pairs: int) -> str:
    """Return a valid text of so many pairs: each new pair goes around or beside what is there."""
    text, kinds = "", task.parameters["kinds"]
    for _ in range(pairs):
        kind = kinds[int(rng.random() * len(kinds))]
        place = rng.random()
        if place < 0.5:
            text = kind[0] + text + kind[1]
        else:
            text = text + kind if place < 0.75 else kind + text
    return text


def _lone_brackets(task: Task) -> Args:
    return (task.parameters["kinds"][0][0],)


def _lone_closing(task: Task) -> Args:
    return (task.parameters["kinds"][-1][1],)


def _lopsided(task: Task) -> Args:
    """Valid, and not its own mirror image."""
    first, last = task.parameters["kinds"][0], task.parameters["kinds"][-1]
    return (first[0] + last + first[1] + first,)


def oracle(s: str, *, kinds: tuple[str, ...]) -> bool:
    """Delete adjacent pairs until none is left."""
    before = None
    while s != before:
        before = s
        for kind in kinds:
            s = s.replace(kind, "")
    return s == ""


TYPE = ProblemType(
    name="parentheses",
    family="easy",
    title="Balanced brackets",
    difficulty=(
        "Kinds of brackets: one at level 1, two up to 3, then all three; longer, deeper texts."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(_short, _short_crossing),
    edge_cases=(("",), _lone_brackets, _lone_closing, _lopsided),
    inputs=(_valid, _crossing, _one_missing, _left_open, _closed_too_early),
    tests=14,
)
