"""Guessing ahead: a row that is nearly alone checks a draft of its next tokens in one step.

A step over few rows takes as long as the weights take to be read, so that a few tokens more cost
little. A draft is what came after the row's last tokens before, in the row itself or in another
sample of its prompt (as in prompt lookup decoding, Saxena 2023). Each token is drawn as ever,
from the model's distribution with the row's own random numbers, and a drafted token stands only
where the row drew the same one. So samples do not change, which acceptance by ratios (Leviathan et
al. 2023) does not promise; a wrong guess costs its place in the step.

docs/development/performance.md has the arithmetic, benchmarks/speculation.py replays it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from axiom_rl.sampling.base import Key
from axiom_rl.sampling.hf.decode import Decoder, Drawn

if TYPE_CHECKING:
    from axiom_rl.sampling.hf.batch import Running

ALONE = 8
"""Rows left where guessing begins."""
MOST = 4
"""Longest draft; a wrong token makes what follows it wrong as well."""
WEIGHTS = 17.0
"""Tokens that take as long as what a step takes whatever is in it: measured, 7 to 27."""
SHORTEST, LONGEST = 2, 6
"""Tokens by which a place is recognised: of as many as are known, the longest match counts."""


@dataclass(slots=True)
class Grams:
    """What came after each run of tokens, and how often."""

    after: defaultdict[tuple[int, ...], Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def add(self, tokens: Sequence[int], start: int = 0) -> None:
        """Learn a text, or what it has from place `start` on."""
        for end in range(max(start, SHORTEST), len(tokens)):
            for length in range(SHORTEST, min(LONGEST, end) + 1):
                self.after[tuple(tokens[end - length : end])][tokens[end]] += 1

    def next(self, tokens: Sequence[int]) -> int | None:
        """Return what followed the last tokens most often, by the longest run that is known."""
        for length in range(min(LONGEST, len(tokens)), SHORTEST - 1, -1):
            found = self.after.get(tuple(tokens[-length:]))
            if found:
                return found.most_common(1)[0][0]
        return None


class Guesses:
    """Drafts for the rows of one batch."""

    def __init__(self) -> None:
        """Begin without any text."""
        self._finished: defaultdict[str, list[tuple[int, Sequence[int]]]] = defaultdict(list)
        self._grams: defaultdict[str, Grams] = defaultdict(Grams)
        self._learnt: Counter[Key] = Counter()
        self._right: Counter[Key] = Counter()
        self._wrong: Counter[Key] = Counter()

    def keep(self, problem_id: str, sample: int, tokens: Sequence[int]) -> None:
        """Remember a finished sample; it is looked into when a draft needs it."""
        self._finished[problem_id].append((sample, tokens))

    def drafts(self, rows: Sequence[Running], most_new: int) -> list[list[int]]:
        """Return a draft for each row, [] where nothing is known.

        Args:
            rows: the running ones.
            most_new: tokens that a row may have.
        """
        for row in rows:
            for sample, tokens in self._finished.pop(row.key[0], ()):
                self._read((row.key[0], sample), tokens)
            self._read(row.key, row.tokens)
        # One token of a row is drawn in any case: the one after the last that was accepted.
        drafts = [self._draft(row, min(MOST, most_new - len(row.tokens) - 1)) for row in rows]
        chances = [self._chance(row.key) for row in rows]
        most = max(range(MOST + 1), key=lambda count: _tokens_for_time(drafts, chances, count))
        return [draft[:most] for draft in drafts]

    def _read(self, key: Key, tokens: Sequence[int]) -> None:
        """Take in what a sample has more than at the last call."""
        self._grams[key[0]].add(tokens, self._learnt[key])
        self._learnt[key] = len(tokens)

    def learn(self, key: Key, draft: Sequence[int], right: int) -> None:
        """Count how much of a row's draft was right."""
        self._right[key] += right
        self._wrong[key] += right < len(draft)

    def _chance(self, key: Key) -> float:
        """Return how likely a drafted token of this row is right, if those before it are."""
        right, wrong = self._right[key], self._wrong[key]
        return (right + 1) / (right + wrong + 2)

    def _draft(self, row: Running, count: int) -> list[int]:
        if not row.tokens:  # its prompt is not run to the end yet
            return []
        draft: list[int] = []
        while len(draft) < count:
            text = [*row.tokens[-LONGEST:], *draft]
            token = self._grams[row.key[0]].next(text)
            if token is None:
                break
            draft.append(token)
        return draft


def _tokens_for_time(
    drafts: Sequence[Sequence[int]], chances: Sequence[float], count: int
) -> float:
    """Return the tokens to expect of a step with drafts of up to `count`, over what it takes.

    All rows of a step are as wide as the widest, so that a short draft costs as much as a long one.
    """
    right = sum(
        chance**place
        for draft, chance in zip(drafts, chances, strict=True)
        for place in range(1, min(len(draft), count) + 1)
    )
    width = 1 + min(count, max(map(len, drafts)))
    return (len(drafts) + right) / (WEIGHTS + len(drafts) * width)


def advance(decoder: Decoder, rows: Sequence[Running], guesses: Guesses, most_new: int) -> None:
    """Draw the next token of each row, or several where a draft is right.

    Args:
        decoder: of the rows.
        rows: the running ones, at least one.
        guesses: drafts for them.
        most_new: tokens that a row may have.
    """
    few = decoder.on_cpu and len(rows) <= ALONE
    drafts = guesses.drafts(rows, most_new) if few else []
    if any(drafts):
        for row, draft, drawn in zip(rows, drafts, decoder.check(drafts), strict=True):
            tokens, logprobs = drawn
            guesses.learn(row.key, draft, len(tokens) - 1)
            row.tokens += tokens
            row.logprobs += logprobs
    else:
        append(rows, decoder.step())


def append(rows: Sequence[Running], drawn: Drawn) -> None:
    """Add the token that was drawn of each row."""
    for row, token, logprob in zip(rows, *drawn, strict=True):
        row.tokens.append(token)
        row.logprobs.append(logprob)
