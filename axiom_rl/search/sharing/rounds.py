"""Rounds of drawing: an even first one, then each draw to the problem with the greatest need."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from axiom_rl.search.sharing.need import Need

ROUNDS = 4
"""Parts of the budget: the first is shared evenly, each other by what the ones before showed."""
MOST = 4
"""Times the even share that one problem gets at most."""


def first_round(samples: int) -> int:
    """Return how many samples each problem gets before anything is known.

    Args:
        samples: the even share.
    """
    return max(1, samples // ROUNDS)


def part_of(budget: float, spent: float, dearest: float = 1.0) -> float:
    """Return what the next round may spend: a part of the budget, or one sample, if it is left."""
    return min(budget - spent, max(budget / ROUNDS, dearest))


def next_round(
    needs: Mapping[str, Need],
    drawn: Mapping[str, int],
    most: Mapping[str, int],
    budget: float,
    costs: Mapping[str, float] | None = None,
) -> list[str]:
    """Share a round's budget, draw by draw, to whoever needs the next one most.

    Args:
        needs: by problem id.
        drawn: samples of each problem so far.
        most: samples that each can have.
        budget: of the round, in the unit of costs.
        costs: what a sample of each is expected to cost; None for one each.

    Returns:
        The problem of each draw. Of equal needs the problem with fewer samples comes first, then
        the one that is named first. A draw that no longer fits into the budget is left out.
    """
    counts, given = dict(drawn), list[str]()
    queue = [
        (-need.help, counts[key], place, key) for place, (key, need) in enumerate(needs.items())
    ]
    heapq.heapify(queue)
    while queue and budget > 0:
        helps, _count, place, key = heapq.heappop(queue)
        cost = 1.0 if costs is None else costs[key]
        if counts[key] >= most[key] or cost > budget:
            continue
        given.append(key)
        counts[key] += 1
        budget -= cost
        # It is not known yet what this draw brings: the next one helps where it does not.
        heapq.heappush(queue, (helps * (1 - needs[key].rate), counts[key], place, key))
    return given


def ceiling(samples: int, ids: Iterable[str], held: int | None = None) -> dict[str, int]:
    """Return how many samples each problem can have.

    Args:
        samples: the even share.
        ids: of the problems.
        held: samples that a pool has of each; None where they are drawn.
    """
    most = MOST * samples
    return dict.fromkeys(ids, most if held is None else min(most, held))
