"""word_break: can a string be cut into words of a list?"""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return True if the string s can be cut into parts that are all in the list words, else "
    "False. The parts must cover s completely without overlapping; a word may be used several "
    "times, and some words not at all. The empty string can always be cut."
)

LEVELS = levels(
    length=(8, 10, 12, 14, 16, 40, 48, 56, 64, 80),
    words=(3, 3, 4, 4, 5, 5, 6, 6, 7, 8),
    longest=(3, 3, 3, 3, 4, 4, 4, 5, 5, 6),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _words_in_a_row(rng: Random, task: Task) -> Args:
    """Some words come again, in any order."""
    words = _words(rng, task)
    parts = _row(rng, task, words)
    return "".join([*parts, parts[0]]), words


def _one_letter_changed(rng: Random, task: Task) -> Args:
    text, words = _words_in_a_row(rng, task)
    place = rng.randrange(len(text))
    return text[:place] + rng.choice("abc") + text[place + 1 :], words


def _no_fixed_order_works(rng: Random, task: Task) -> Args:
    """In one place the longer of two words that fit leads on, in another the shorter."""
    start, middle, end, other = _four_parts(rng, task)
    words = [start, start + middle, middle + end, other]
    parts = _row(rng, task, [start + middle + other, start + middle + end])
    parts.insert(rng.randint(0, len(parts)), start + middle + end + start + middle + other)
    rng.shuffle(words)
    return "".join(parts), words


def _words_overlap(rng: Random, task: Task) -> Args:
    """Every letter belongs to a word, but two words claim the same."""
    start, middle, end, _ = _four_parts(rng, task)
    parts = _row(rng, task, [start + middle, middle + end])
    return "".join([*parts, start + middle + end]), [start + middle, middle + end]


def _word_inside_a_word(rng: Random, task: Task) -> Args:
    """Taking one word out leaves another: removing words is wrong."""
    _, inside, other, _ = _four_parts(rng, task)
    first, second = rng.choices("ab", k=2)
    inside += rng.choice("cd")
    words = [inside, first + second, other]
    return "".join([first, inside, second, *_row(rng, task, words)]), words


def _one_letter_again_and_again(rng: Random, task: Task) -> Args:
    """Very many ways to cut all but the last letters: recursion without memory tries them all."""
    letter, last = rng.sample("abcdefghijklmnopqrstuvwxyz", 2)
    words = [letter, letter * 2, letter * 3, letter + last + letter]
    rng.shuffle(words)
    size = task.level["length"]
    return letter * rng.randint(size - 4, size) + last, words


def _words(rng: Random, task: Task) -> list[str]:
    """Return some different words of few letters, so that many are prefixes of others."""
    count, longest = task.level["words"], task.level["longest"]
    drawn = ["".join(rng.choices("abc", k=rng.randint(1, longest))) for _ in range(count)]
    return list(dict.fromkeys(drawn))


def _row(rng: Random, task: Task, words: list[str]) -> list[str]:
    """Return words in any order that make up about half of the level's length."""
    count = task.level["length"] // 2 * len(words) // sum(map(len, words))
    return rng.choices(words, k=1 + count)


def _four_parts(rng: Random, task: Task) -> tuple[str, str, str, str]:
    """Return strings of different letters, so that words made from them fit in one way alone."""
    longest = (task.level["longest"] + 1) // 2
    first, second, third, fourth = (
        "".join(rng.choices(letters, k=rng.randint(1, longest)))
        for letters in ("ab", "cd", "ef", "gh")
    )
    return first, second, third, fourth


def oracle(s: str, words: list[str]) -> bool:
    """Walk from the start: from each end of a word that can be reached, put on every word."""
    reachable = [True] + [False] * len(s)
    for place in range(len(s)):
        if reachable[place]:
            for word in words:
                if s.startswith(word, place):
                    reachable[place + len(word)] = True
    return reachable[-1]


TYPE = ProblemType(
    name="word_break",
    family="hard",
    title="Word break",
    difficulty="Longer strings and more words; from level 6 recursion without memory is too slow.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "word_break", "(s, words)"),
    oracle=oracle,
    examples=(("applepie", ["pie", "apple"]), ("abcd", ["abc", "cd"]), ("aba", ["a", "b"])),
    edge_cases=(
        ("", []),
        ("", ["a"]),
        ("a", []),
        ("a", ["a"]),
        ("a", ["b"]),
        ("ab", ["a"]),
        ("ab", ["b"]),
        ("aaa", ["aa"]),
        ("aaa", ["aa", "aaa"]),
        ("ab", ["ba"]),
        ("ab", ["abc"]),
        ("abc", ["ab", "a", "bc"]),
        ("acdb", ["cd", "ab"]),
    ),
    inputs=(
        _words_in_a_row,
        _no_fixed_order_works,
        _words_overlap,
        _word_inside_a_word,
        _one_letter_again_and_again,
        _one_letter_changed,
    ),
    tests=25,
)
