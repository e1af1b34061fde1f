"""What a search costs, and the budgets at which it is looked at.

Equal tokens means equal generated tokens: those of the samples, and those of tests and repairs that
the model writes for the search. Tokens that are only read (prompts) and CPU seconds of running
programs stand beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

SUBSETS = 200
"""Seeded orders of a pool's samples; the budget n takes the first n of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Means per problem."""

    generated: float
    """Tokens drawn."""
    forward: float
    """Tokens read: prompts, and what a value head reads again."""
    cpu_s: float
    """Seconds of running programs for the search; those of judging by hidden tests are not here."""
    flops: float | None
    """2 x parameters x (generated + forward); None where the model's size is not known."""


def budgets(samples: int) -> list[int]:
    """Return 1, 2, 4 ... and the number of samples itself."""
    powers = [2**i for i in range(samples.bit_length()) if 2**i <= samples]
    return sorted({*powers, samples} - {0})


@lru_cache(maxsize=4096)
def orders(problem_id: str, samples: int, seed: int) -> list[tuple[int, ...]]:
    """Return the orders in which the samples are taken, the same for every selector.

    Random orders in all their rotations, so that every sample comes as often as any other in each
    place: of single samples the mean is then that of the pool (to less than one rotation in 200).
    """
    rng = Random(f"{seed}/{problem_id}/subsets")
    made: list[tuple[int, ...]] = []
    while samples and len(made) < SUBSETS:
        order = rng.sample(range(samples), samples)
        made += [(*order[start:], *order[:start]) for start in range(samples)]
    return made[:SUBSETS]


def compute(parameters: int | None, tokens: float) -> float | None:
    """Return floating-point operations of a forward pass over tokens: 2 for each parameter.

    Kaplan et al. (2020), without attention's part, which is small at these lengths.
    """
    return None if parameters is None else 2.0 * parameters * tokens
