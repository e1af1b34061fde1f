"""reverse_string: the characters of a string in the opposite order."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the string s with all its characters in reverse order. Case, spaces and punctuation "
    "are kept as they are."
)

LEVELS = levels(length=(12, 16, 20, 30, 40, 60, 80, 120, 160, 200))

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
OTHERS = "0123456789 .,;:!?-_'\"#"


def _word(rng: Random, task: Task) -> Args:
    return (_characters(rng, LETTERS, rng.randint(3, task.level["length"])),)


def _words(rng: Random, task: Task) -> Args:
    """Several words: reversing each, or their order, is wrong."""
    count = rng.randint(2, 2 + task.level["length"] // 6)
    return (" ".join(_characters(rng, LETTERS, rng.randint(2, 6)) for _ in range(count)),)


def _mixed(rng: Random, task: Task) -> Args:
    """Digits, punctuation and blanks, with a blank at one end."""
    return (_characters(rng, LETTERS + OTHERS, rng.randint(3, task.level["length"])) + " ",)


def _characters(rng: Random, alphabet: str, count: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


def oracle(s: str) -> str:
    """Put each character in front of what is there."""
    result = ""
    for character in s:
        result = character + result
    return result


TYPE = ProblemType(
    name="reverse_string",
    family="basic",
    title="Reverse a string",
    difficulty="Longer strings.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "reverse_string", "(s)"),
    oracle=oracle,
    examples=(("hello",), ("Hi, you",)),
    edge_cases=(("",), ("x",), ("ab",), ("level",), ("  ab",), ("12 3",), ("añ€",)),
    inputs=(_word, _words, _mixed),
)
