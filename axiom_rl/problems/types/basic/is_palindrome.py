"""is_palindrome: does a string read the same backwards, every character counting as it is?"""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return True if the string s reads the same forwards and backwards, else False. Every "
    "character counts exactly as it is: case, spaces and punctuation matter. The empty string "
    "is a palindrome."
)

LEVELS = levels(length=(12, 14, 16, 20, 24, 32, 48, 64, 96, 128))

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def _palindrome(rng: Random, task: Task) -> Args:
    half = _letters(rng, rng.randint(2, task.level["length"] // 2))
    middle = rng.choice(["", rng.choice(ALPHABET)])
    return (half + middle + half[::-1],)


def _one_letter_off(rng: Random, task: Task) -> Args:
    """A palindrome but for one letter, anywhere: looking at the ends alone is not enough."""
    (text,) = _palindrome(rng, task)
    place = rng.randrange(len(text) // 2)
    other = rng.choice([letter for letter in ALPHABET if letter != text[place]])
    return (text[:place] + other + text[place + 1 :],)


def _case_off(rng: Random, task: Task) -> Args:
    """A palindrome for those who ignore case."""
    (text,) = _palindrome(rng, task)
    place = rng.randrange(len(text) // 2)
    return (text[:place] + text[place].upper() + text[place + 1 :],)


def _blank_off(rng: Random, task: Task) -> Args:
    """A palindrome for those who ignore spaces and punctuation."""
    (text,) = _palindrome(rng, task)
    place = rng.randint(1, len(text) // 2 - 1)
    return (text[:place] + rng.choice(" ,.-'") + text[place:],)


def _letters_swapped(rng: Random, task: Task) -> Args:
    """The letters of a palindrome in another order: counting them is not enough."""
    (text,) = _palindrome(rng, task)
    other = rng.choice([letter for letter in ALPHABET if letter != text[0]])
    return (other + text[0] + text + other + text[0],)


def _random_letters(rng: Random, task: Task) -> Args:
    return (_letters(rng, rng.randint(3, task.level["length"])),)


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(count))


def oracle(s: str) -> bool:
    """Compare each character with its mirror image."""
    return all(s[place] == s[len(s) - 1 - place] for place in range(len(s)))


TYPE = ProblemType(
    name="is_palindrome",
    family="basic",
    title="Palindrome",
    difficulty="Longer strings.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "is_palindrome", "(s)"),
    oracle=oracle,
    examples=(("racecar",), ("Abba",)),
    edge_cases=(("",), ("a",), ("aa",), ("ab",), ("aba",), ("abca",), ("nurses run",), ("1221",)),
    inputs=(_palindrome, _one_letter_off, _case_off, _blank_off, _letters_swapped, _random_letters),
)
