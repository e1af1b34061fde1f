"""Rewards: numbers for a rollout, by the names of functions, weighted, and small terms beside them.

A user's own function names what it wants to see among its parameters: any of `problem` (Problem),
`completion` (Completion), `tokens` (the ids drawn, a tuple) and `verdict` (Verdict, of the hidden
tests). One parameter of another name gets the verdict. It returns a number, or None for a row that
must not count; it is entered with `register` in a module named in the config by its import path.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from axiom_rl.config import GrpoConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.problems.registry import unknown_name

Reward = Callable[..., float | None]
SEES = ("problem", "completion", "tokens", "verdict")
"""Parameters that a reward function may have."""


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


def shaping_of(trainer: GrpoConfig) -> Shaping:
    """Return the terms beside the rewards.

    Raises:
        AxiomError: for weights that could outweigh a test.
    """
    return Shaping(
        failure=trainer.failure_reward,
        format_weight=trainer.format_weight,
        length_weight=trainer.length_weight,
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


class WeightedRewards:
    """The sum of several rewards, each times its weight."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Look up the functions of `trainer.rewards`.

        Raises:
            AxiomError: for a name that is not registered.
        """
        self._parts = [
            (name, get(name), _parameters(name, get(name)), weight)
            for name, weight in weights.items()
        ]

    def __call__(
        self, problem: Problem, completion: Completion, verdict: Verdict
    ) -> tuple[float | None, dict[str, float | None]]:
        """Return the weighted sum and each function's own number, by name.

        The sum is None where one of them is: the row must not count. A fault of the sandbox is
        shown to no function; its numbers are all None.

        Raises:
            AxiomError: if a function fails, or returns no finite number.
        """
        if verdict.status is Status.SANDBOX_FAULT:
            return None, {name: None for name, *_rest in self._parts}
        seen = dict(zip(SEES, (problem, completion, completion.token_ids, verdict), strict=True))
        total, each = 0.0, dict[str, float | None]()
        counts = True
        for name, function, parameters, weight in self._parts:
            earned = each[name] = _call(name, function, parameters, seen)
            counts = counts and earned is not None
            total += weight * (earned or 0.0)
        return (total if counts else None), each


def _call(
    name: str, function: Reward, parameters: tuple[str, ...], seen: Mapping[str, Any]
) -> float | None:
    try:
        if parameters == ():
            earned = function(seen["verdict"])
        else:
            earned = function(**{parameter: seen[parameter] for parameter in parameters})
        if earned is None:
            return None
        number = float(earned)
    except Exception as error:  # a user's function may raise anything
        raise AxiomError(
            f"the reward {name} failed on {seen['problem'].id}: {type(error).__name__}: {error}"
        ) from error
    if not math.isfinite(number):
        raise AxiomError(
            f"trainer.rewards: {name} returned {earned} for {seen['problem'].id}: it must be a "
            "finite number, or None for a row that must not count"
        )
    return number


def _parameters(name: str, function: Reward) -> tuple[str, ...]:
    """Return which of SEES a function takes; () for one that takes the verdict by place.

    Raises:
        AxiomError: if it needs a parameter that there is not.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return ()
    every = any(p.kind is p.VAR_KEYWORD for p in found)
    named = {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    own = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p for p in own if p.default is p.empty]
    known = SEES if every else tuple(name for name in SEES if name in named)
    if known and all(p.name in named.intersection(SEES) for p in needed):
        return known
    if len(needed) <= 1 and found and all(p.kind is not p.KEYWORD_ONLY for p in needed):
        return ()
    raise AxiomError(
        f"the reward {name} takes ({', '.join(p.name for p in needed)}): name its parameters after "
        f"what it sees, any of {', '.join(SEES)}"
    )


_REWARDS: dict[str, Reward] = {"binary": binary, "fraction": fraction}


def register(name: str, function: Reward) -> None:
    """Enter a reward function under a name.

    Args:
        name: as it is typed in trainer.rewards.
        function: with parameters of any of these names, in any order: problem, completion, tokens,
            verdict; returns a number, or None for a row that must not count.

    Raises:
        AxiomError: if the name is taken by another function, or a parameter has another name.
    """
    if _REWARDS.get(name, function) is not function:
        raise AxiomError(f"a reward named {name!r} is already registered; choose another name")
    _parameters(name, function)
    _REWARDS[name] = function


def get(name: str) -> Reward:
    """Return the reward function of that name.

    Raises:
        AxiomError: if there is none, with the names there are.
    """
    if name not in _REWARDS:
        raise unknown_name("reward", name, sorted(_REWARDS))
    return _REWARDS[name]
