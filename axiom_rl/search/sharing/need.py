"""How much a problem needs another sample: the chance that it would put a wrong choice right.

    need = P(the choice so far is wrong) x P(another sample is one that the choice lacks)

The second factor is a Beta posterior's mean with Jeffreys' prior; while nothing passes the public
tests the first is 1, and the need is the marginal benefit of a draw, the chance that it is the
first to pass, which adaptive best-of-k shares samples by (Damani et al. 2025, Learning How Hard to
Think, arXiv 2410.04707). Where there are votes, the first factor is the posterior chance that the
leader is not what the model returns most of the time (Aggarwal et al. 2023, Let's Sample Step by
Step, arXiv 2305.11860, which stops drawing by it). With a value head it is multiplied by the head's
calibrated chance that the leader is wrong, as if head and vote erred independently.

All of it is read from `Material`, which has no place for a hidden test or a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import scipy  # its parts load when they are first used

from axiom_rl.search.material import Material, likelihood

PRIOR = 0.5
"""Of Jeffreys: a success and a failure count half a sample each before anything is drawn."""


@dataclass(frozen=True, slots=True)
class Need:
    """Of one problem, at some of its samples."""

    help: float
    """Chance that one more sample puts a wrong choice right."""
    rate: float
    """Chance that a sample is one that the choice lacks; each further one of the same round helps
    only if those before it do not, so its help is (1 - rate) times theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a problem's samples, made once and read for any part of them."""

    survives: tuple[bool, ...]
    """Of each sample: it holds a program and passes every public test."""
    agreement: tuple[tuple[float, ...], ...] | None
    """(samples, samples): the share of inputs on which both return the same value, 1 with itself;
    None where nothing was run."""
    values: tuple[float, ...] | None
    """Probability of each sample to pass, by a value head."""
    likely: tuple[float, ...]
    """Mean log-probabilities, which break ties."""
    tells: bool
    """Whether there is anything to tell by: public tests, or a value head."""

    def need(self, places: Sequence[int]) -> Need:
        """Return the need of the problem when these samples have been drawn."""
        alive = [place for place in places if self.survives[place]]
        if not alive:
            rate = PRIOR / (len(places) + 2 * PRIOR)
            return Need(rate, rate)
        if self.agreement is None:
            doubt, rivals = self._without_votes(alive)
        else:
            doubt, rivals = self._with_votes(alive, self.agreement)
        rate = (rivals + PRIOR) / (len(places) + 2 * PRIOR)
        return Need(doubt * rate, rate)

    def _with_votes(
        self, alive: Sequence[int], agreement: Sequence[Sequence[float]]
    ) -> tuple[float, float]:
        """Return the doubt in the leader, and how many samples are its rivals."""
        sums = {place: fsum(agreement[place][other] for other in alive) for place in alive}
        leader = max(alive, key=lambda place: (sums[place], self.likely[place], -place))
        row, agreeing = agreement[leader], sums[leader]
        # P(p < 1/2) of p ~ Beta(agreeing + 1, others + 1): the leader is no majority.
        doubt = float(scipy.special.betainc(agreeing + 1, len(alive) - agreeing + 1, 0.5))
        if self.values is None:
            return doubt, len(alive) - agreeing
        known = self.values
        right = fsum(row[place] * known[place] for place in alive) / agreeing
        return doubt * (1 - right), fsum((1 - row[place]) * known[place] for place in alive)

    def _without_votes(self, alive: Sequence[int]) -> tuple[float, float]:
        """By the head alone, or, where nothing tells the survivors apart, by how many they are."""
        if self.values is None:
            return 0.5 ** (len(alive) + 1), 0.0  # as if all of them agreed
        known = [self.values[place] for place in alive]
        return 1 - max(known), fsum(known) - max(known)


def evidence(material: Material) -> Evidence:
    """Return what need reads of a problem's samples.

    Args:
        material: of the problem; its answers and values are used where it has some.
    """
    survivors = set(material.survivors)
    count = len(material.samples)
    return Evidence(
        survives=tuple(place in survivors for place in range(count)),
        agreement=_agreement(material) if material.inputs and material.answers else None,
        values=material.values,
        likely=tuple(map(likelihood, material.samples)),
        tells=bool(material.problem.public_tests) or material.values is not None,
    )


def _agreement(material: Material) -> tuple[tuple[float, ...], ...]:
    rows = material.classes

    def same(place: int, other: int) -> float:
        mine, theirs = rows[place], rows[other]
        if place == other:
            return 1.0
        if mine is None or theirs is None:
            return 0.0
        pairs = zip(mine, theirs, strict=True)
        return sum(a == b is not None for a, b in pairs) / len(mine)

    every = range(len(rows))
    return tuple(tuple(same(place, other) for other in every) for place in every)
