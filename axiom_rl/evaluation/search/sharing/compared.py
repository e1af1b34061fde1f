"""Sharing by need against even shares at equal generated tokens, replayed on a pool.

Under each of the replay's orders the even way takes the first n samples of every problem. Sharing
by need takes samples in the same order, round by round as a live search does, and ends before the
sample that would spend more tokens than the even way did. It can only take what the pool holds, so
n goes up to half of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.search.scores import Pool, Scorer
from axiom_rl.search.budget import SUBSETS, budgets, orders
from axiom_rl.search.material import Material
from axiom_rl.search.registry import Selector
from axiom_rl.search.sharing.need import Evidence, evidence
from axiom_rl.search.sharing.rounds import ceiling, first_round, next_round, part_of

LEAST_SAMPLES = 4
"""Of each problem in a pool: half of them can be shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shareable:
    """A pool with what sharing needs, and who chooses among what was drawn."""

    pool: Pool
    materials: Mapping[str, Material]
    selector: Selector
    seed: int


def check_shareable(pool: Pool, place: str) -> None:
    """Refuse a pool of which nothing can be shared.

    Raises:
        AxiomError: saying what to draw.
    """
    if pool.size < LEAST_SAMPLES:
        raise AxiomError(
            f"search.allocation=need: stage.pool={place} has {pool.size} samples a problem, and "
            f"sharing takes {LEAST_SAMPLES} or more: draw a pool with sampler.n=8"
        )


def compare_shares(of: Shareable, scorer_at: Callable[[int], Scorer]) -> dict[str, Any]:
    """Return, for each even share, both ways' scores and tokens, and the paired difference.

    Args:
        of: the pool.
        scorer_at: what scores choices at a budget.
    """
    known = {key: evidence(material) for key, material in of.materials.items()}
    chosen: dict[tuple[str, frozenset[int]], bool] = {}
    steps = [n for n in budgets(of.pool.size) if 2 <= n <= of.pool.size // 2]
    return {
        "selector": of.selector.name,
        "by_head": any(each.values is not None for each in known.values()),
        "rows": [_compared(of, known, n, scorer_at(n), chosen) for n in steps],
    }


def shared_counts(
    known: Mapping[str, Evidence],
    taken: Mapping[str, Sequence[int]],
    tokens: Mapping[str, Sequence[int]],
    samples: int,
    held: int,
) -> dict[str, int]:
    """Return how many samples each problem gets, for the tokens of an even share.

    Args:
        known: of each problem.
        taken: the order in which its samples are taken.
        tokens: of each of its samples, by place.
        samples: the even share.
        held: samples that the pool has of each problem.
    """
    open_ = [key for key, each in known.items() if each.tells]
    counts = dict.fromkeys(known, samples) | dict.fromkeys(open_, first_round(samples))
    most = ceiling(samples, open_, held)
    budget = sum(tokens[key][place] for key in open_ for place in taken[key][:samples])
    while True:
        lengths = {
            key: [tokens[key][place] for place in taken[key][: counts[key]]] for key in open_
        }
        spent = sum(map(sum, lengths.values()))
        expected = {key: sum(each) / len(each) for key, each in lengths.items()}
        left = budget - spent
        given = next_round(
            {key: known[key].need(taken[key][: counts[key]]) for key in open_},
            {key: counts[key] for key in open_},
            most,
            part_of(budget, spent, max(expected.values(), default=0)),
            expected,
        )
        for key in given:
            left -= tokens[key][taken[key][counts[key]]]
            if left < 0:  # longer than expected: it would be cut off, and nothing more is drawn
                return counts
            counts[key] += 1
        if not given:
            return counts


def _compared(
    of: Shareable,
    known: Mapping[str, Evidence],
    n: int,
    at: Scorer,
    chosen: dict[tuple[str, frozenset[int]], bool],
) -> dict[str, Any]:
    pool = of.pool
    ids = [problem.id for problem in pool.problems]
    in_order = {key: orders(key, len(pool.samples[key]), of.seed) for key in ids}
    tokens = {key: [sample.tokens for sample in pool.samples[key]] for key in ids}
    even, need = _Way(of, ids, chosen), _Way(of, ids, chosen)
    for number in range(SUBSETS):
        taken = {key: in_order[key][number] for key in ids}
        even.take(taken, dict.fromkeys(ids, n), tokens)
        need.take(taken, shared_counts(known, taken, tokens, n, pool.size), tokens)
    return {
        "samples": n,
        "even": even.document(at),
        "need": need.document(at),
        "difference": asdict(at.difference(need.rates(), even.rates())),
        "oracle_difference": asdict(at.difference(need.oracle_rates(), even.oracle_rates())),
    }


class _Way:
    """What one way of sharing came to, summed over the orders."""

    def __init__(
        self, of: Shareable, ids: Sequence[str], chosen: dict[tuple[str, frozenset[int]], bool]
    ) -> None:
        self._of, self._ids, self._chosen = of, ids, chosen
        self._passed = dict.fromkeys(ids, 0)
        self._any = dict.fromkeys(ids, 0)
        self._counts = dict.fromkeys(ids, 0)
        self._tokens = 0

    def take(
        self,
        taken: Mapping[str, Sequence[int]],
        counts: Mapping[str, int],
        tokens: Mapping[str, Sequence[int]],
    ) -> None:
        """Add one order."""
        for key in self._ids:
            places = taken[key][: counts[key]]
            passed = self._of.pool.passed[key]
            self._counts[key] += len(places)
            self._tokens += sum(tokens[key][place] for place in places)
            self._any[key] += any(passed[place] for place in places)
            self._passed[key] += self._passes(key, frozenset(places))

    def _passes(self, key: str, places: frozenset[int]) -> bool:
        """Whether the choice among these passes; each set of samples is chosen from once."""
        known = self._chosen.get((key, places))
        if known is None:
            place = self._of.selector.choose(self._of.materials[key], sorted(places)).place
            known = self._chosen[key, places] = self._of.pool.passed[key][place]
        return known

    def rates(self) -> list[float]:
        return [self._passed[key] / SUBSETS for key in self._ids]

    def oracle_rates(self) -> list[float]:
        return [self._any[key] / SUBSETS for key in self._ids]

    def document(self, at: Scorer) -> dict[str, Any]:
        means = [self._counts[key] / SUBSETS for key in self._ids]
        return {
            "score": asdict(at.mean(self.rates())),
            "oracle": sum(self.oracle_rates()) / len(self._ids),
            "tokens": self._tokens / SUBSETS / len(self._ids),
            "drawn": sum(means) / len(means),
            "least": min(means),
            "most": max(means),
        }
