"""Rewards: a number for a verdict, by the name of a function, and small terms beside it.

A user's own function takes a Verdict and returns a float, or None for a row that must not count;
it is entered with `register` in a module named in the config by its import path.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Status, Verdict

Reward = Callable[[Verdict], float | None]


def binary(verdict: Verdict) -> float | None:
    """1 for a program that passes every hidden test, else 0; None for a fault of the sandbox."""
    if verdict.status is Status.SANDBOX_FAULT:
        return None
    return float(verdict.passed)


def fraction(verdict: Verdict) -> float | None:
    """Passed hidden tests over all; None for a fault of the sandbox, 0 for a violation."""
    if verdict.status is Status.SANDBOX_FAULT:
        return None
    if verdict.status is Status.SECURITY_VIOLATION:
        return 0.0
    return verdict.pass_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """What is added to a verdict's reward; see `shaped`."""

    failure: float = 0.0
    """Added where a test fails; 0 or less."""
    format_weight: float = 0.0
    """For an answer that ends by itself and holds a program, in units of one test."""
    length_weight: float = 0.0
    """Taken off an answer of full length, in units of one test."""

    def __post_init__(self) -> None:
        known = self.format_weight >= 0 and self.length_weight >= 0
        if not (known and self.format_weight + self.length_weight < 1):
            raise AxiomError(
                "trainer.format_weight and trainer.length_weight must be 0 or more each and less "
                "than 1 together, or they could outweigh a failed test"
            )


def shaped(
    base: float | None, verdict: Verdict, shaping: Shaping, *, well_formed: bool, length: float
) -> float | None:
    """Return the reward with the failure term and the small terms; None stays None.

    The small terms together span less than one test of `verdict.total_tests`, so a program that
    passes more tests always gets more.

    Args:
        base: the reward of the verdict alone.
        verdict: what it was given for.
        shaping: weights of the terms.
        well_formed: whether the answer ended by itself and holds a program.
        length: of the answer as a share of the longest allowed, 0 to 1.
    """
    if base is None:
        return None
    terms = shaping.format_weight * well_formed - shaping.length_weight * min(max(length, 0), 1)
    failure = 0.0 if verdict.passed else shaping.failure
    return base + failure + terms / max(verdict.total_tests, 1)


_REWARDS: dict[str, Reward] = {"binary": binary, "fraction": fraction}


def register(name: str, function: Reward) -> None:
    """Enter a reward function under a name.

    Raises:
        AxiomError: if the name is taken by another function.
    """
    if _REWARDS.get(name, function) is not function:
        raise AxiomError(f"a reward named {name!r} is already registered; choose another name")
    _REWARDS[name] = function


def get(name: str) -> Reward:
    """Return the reward function of that name.

    Raises:
        AxiomError: if there is none, with the names there are.
    """
    if name not in _REWARDS:
        near = difflib.get_close_matches(name, _REWARDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(_REWARDS))}"
        raise AxiomError(f"unknown reward {name!r}; {hint}")
    return _REWARDS[name]
