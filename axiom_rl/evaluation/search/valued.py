"""A value head in a search: opened and checked before anything is sampled, then asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.config import Config, SearchConfig, SelectConfig
from axiom_rl.core.types import Problem
from axiom_rl.rollouts.records import Rollout
from axiom_rl.value.head import ValueHead, load_head
from axiom_rl.value.recipe import NAMED, FrozenPolicy, adapter_hash
from axiom_rl.value.values import Values, check_head, head_values


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadInUse:
    """A head with the policy whose samples it judges."""

    head: ValueHead
    frozen: FrozenPolicy
    cross_fit: bool

    def check(self, problems: Sequence[Problem]) -> None:
        """Refuse a head of another policy, or one that was fitted on the problems.

        Raises:
            AxiomError: saying what to type instead.
        """
        check_head(self.head, problems, self.frozen, cross_fit=self.cross_fit)

    def values(self, folder: Path, items: Sequence[tuple[Problem, Rollout]]) -> Values:
        """Return the values of samples; features are stored in `folder`/search.

        Raises:
            AxiomError: if the weights found here are others, or stored features are damaged.
        """
        return head_values(self.head, folder, items, self.frozen, cross_fit=self.cross_fit)

    @property
    def calibrated_on(self) -> str:
        """Say what the probabilities mean, and for which problems they do not."""
        pools = ", ".join(self.head.seen.pools)
        return f"calibrated on {pools}; not on your problems"


def head_in_use(search: SearchConfig, frozen: FrozenPolicy) -> HeadInUse | None:
    """Return the head that a search names, None where it names none.

    Raises:
        AxiomError: if there is none in that place, or it is damaged.
    """
    if not isinstance(search, SelectConfig) or search.head is None:
        return None
    return HeadInUse(head=load_head(search.head), frozen=frozen, cross_fit=search.cross_fit)


def live_policy(config: Config, resolved: Any) -> FrozenPolicy:
    """Return the policy that a run is about to sample from.

    Args:
        config: of the run.
        resolved: its weights, see `axiom_rl.models.weights.source.ResolvedModel`.
    """
    return FrozenPolicy(
        model=config.model,
        style=config.problems.prompt,
        base={key: getattr(resolved, key) for key in NAMED},
        adapter_sha256=adapter_hash(config.model.adapter),
    )
