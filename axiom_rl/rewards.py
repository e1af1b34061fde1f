"""Rewards: a number for a verdict, by the name of a function.

A user's own function takes a Verdict and returns a float, or None for a row that must not count;
it is entered with `register` in a module named in the config by its import path.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from axiom_rl.errors import AxiomError
from axiom_rl.types import Status, Verdict

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
