"""Which solutions of a problem training sees: a seeded, diverse choice, old and new.

Programs are compared by the pairs of neighbouring words in their normalised text: two that share
all pairs have distance 0, two that share none 1 (Jaccard).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

from axiom_rl.core.types import Solution
from axiom_rl.gold.store import normalise

WORD = re.compile(r"\w+|[^\w\s]")
Pairs = frozenset[tuple[str, str]]


def choose_solutions(
    solutions: Sequence[Solution],
    most: int,
    seed: int,
    *,
    iterations: Sequence[int] = (),
    total: int | None = None,
) -> list[Solution]:
    """Return at most `most` solutions of each problem, in the order given.

    Of a problem with more, iterations take turns, the newest first; each gives the program that is
    farthest from those chosen already (the first one: a random one).

    Args:
        solutions: of any problems.
        most: of one problem.
        seed: of what is left to chance.
        iterations: in which one each solution was found; empty: all in one.
        total: solutions of all problems together at most, taken evenly over problems; None: all.
    """
    by_problem: dict[str, list[tuple[int, int]]] = {}
    for place, solution in enumerate(solutions):
        iteration = iterations[place] if iterations else 0
        by_problem.setdefault(solution.problem_id, []).append((iteration, place))
    ranked = {
        key: _ranked(items, solutions, most, f"{seed}/{key}/solutions")
        for key, items in by_problem.items()
    }
    kept = _evenly(ranked, sum(map(len, ranked.values())) if total is None else total, seed)
    return [solutions[place] for place in sorted(kept)]


def _ranked(
    items: Sequence[tuple[int, int]], solutions: Sequence[Solution], most: int, stream: str
) -> list[int]:
    """Return the places chosen of one problem, (iteration, place) each, in order of choice."""
    random = Random(stream)
    left: dict[int, list[int]] = {}
    for iteration, place in items:
        left.setdefault(iteration, []).append(place)
    for places in left.values():
        random.shuffle(places)
    pairs = {place: _pairs(solutions[place].solution_code) for _iteration, place in items}
    chosen: list[int] = []
    while len(chosen) < min(most, len(items)):
        for iteration in sorted((k for k, places in left.items() if places), reverse=True):
            if len(chosen) == most:
                break
            best = max(left[iteration], key=lambda place: _distance(place, chosen, pairs))
            left[iteration].remove(best)
            chosen.append(best)
    return chosen


def _distance(place: int, chosen: Sequence[int], pairs: Mapping[int, Pairs]) -> float:
    """Return how far a program is from the nearest one chosen, 0 to 1."""
    return min((_apart(pairs[place], pairs[other]) for other in chosen), default=1.0)


def _apart(one: Pairs, other: Pairs) -> float:
    union = len(one | other)
    return 1 - len(one & other) / union if union else 0.0


def _pairs(code: str) -> Pairs:
    words = WORD.findall(normalise(code))
    return frozenset(pairwise(words))


def _evenly(ranked: Mapping[str, Sequence[int]], total: int, seed: int) -> list[int]:
    """Take the first of every problem, then the second of every one, until there are enough."""
    random = Random(f"{seed}/evenly")
    kept: list[int] = []
    for rank in range(max(map(len, ranked.values()), default=0)):
        turn = [places[rank] for places in ranked.values() if rank < len(places)]
        if len(kept) + len(turn) > total:
            turn = random.sample(turn, total - len(kept))
        kept += turn
    return kept
