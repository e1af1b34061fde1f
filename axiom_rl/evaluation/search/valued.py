"""A value head in a search: opened and checked before anything is sampled, then asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axiom_rl.config import Config, SearchConfig, SelectConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.rollouts.records import Rollout
from axiom_rl.value.head import EVERYTHING, ValueHead, load_head
from axiom_rl.value.recipe import NAMED, FrozenPolicy, adapter_hash
from axiom_rl.value.stopping import StopsByHead
from axiom_rl.value.values import Values, check_blind, check_head, head_values


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadInUse:
    """A head with the policy that reads the samples for it."""

    head: ValueHead
    frozen: FrozenPolicy
    cross_fit: bool

    def check(self, problems: Sequence[Problem]) -> None:
        """Refuse a head of another policy, or one that was fitted on the problems.

        Raises:
            AxiomError: saying what to type instead.
        """
        check_head(self.head, problems, self.frozen, cross_fit=self.cross_fit)

    def check_blind(self, problems: Sequence[Problem]) -> None:
        """Refuse a head that must not decide over these problems in the place of hidden tests.

        Raises:
            AxiomError: saying what to type instead.
        """
        check_blind(self.head, problems, self.frozen, cross_fit=self.cross_fit)

    def of_any_policy(self, temperature: float) -> HeadInUse:
        """Return the head for samples of other policies too: newer adapters, other prompts.

        Its own frozen policy reads them all, their log-probabilities included, if the head looks at
        these: those of the draw are another policy's opinion, on which it was not fitted.

        Args:
            temperature: of the samples that it was fitted on; at 0, which has no log-probabilities,
                they are read at 1.
        """
        if "logprob" not in self.head.inputs:
            return self
        return replace(self, frozen=replace(self.frozen, temperature=temperature or 1.0))

    def values(
        self,
        folder: Path,
        items: Sequence[tuple[Problem, Rollout]],
        release: Callable[[], None] = lambda: None,
    ) -> Values:
        """Return the values of samples; features are stored in `folder`/search.

        Args:
            folder: of the run.
            items: samples with their problems.
            release: frees the memory of a sampler, before the policy is loaded.

        Raises:
            AxiomError: if the weights found here are others, or stored features are damaged.
        """
        return head_values(
            self.head, folder, items, self.frozen, cross_fit=self.cross_fit, release=release
        )

    def stops(self, below: float | str, problems: Sequence[Problem], longest: int) -> StopsByHead:
        """Return what stops hopeless samples while they are drawn.

        Args:
            below: search.stop_below.
            problems: of the samples.
            longest: tokens of a sample at most.

        Raises:
            AxiomError: for a head that looks at no beginnings, or at none before the limit.
        """
        own, every = self.head.stop_below, self.head.recipe.every
        if not self.head.reads_prefixes or every >= longest:
            raise AxiomError(
                f"search.stop_below={below}: the head looks at samples every {every} tokens, "
                + (
                    f"and sampler.max_new_tokens={longest} ends them all before"
                    if self.head.reads_prefixes
                    else "and no sample that it was fitted on was so long"
                )
                + ": train one by trainer=value with a smaller trainer.every, or leave it out"
            )
        threshold = own if isinstance(below, str) else below
        assert threshold is not None  # see `head_in_use`
        folds = {p.id: p.type if self.cross_fit else EVERYTHING for p in problems}
        return StopsByHead(head=self.head, below=threshold, folds=folds)

    @property
    def calibrated_on(self) -> str:
        """Say what the probabilities mean, and for which problems they do not."""
        pools = ", ".join(self.head.seen.pools)
        return f"calibrated on {pools}; not on your problems"


def head_in_use(search: SearchConfig, frozen: FrozenPolicy) -> HeadInUse | None:
    """Return the head that a search names, None where it names none.

    Raises:
        AxiomError: if there is none in that place, it is damaged, or holds no threshold of its own
            where that is asked for.
    """
    if not isinstance(search, SelectConfig) or search.head is None:
        return None
    head = load_head(search.head)
    if isinstance(search.stop_below, str) and head.stop_below is None:
        raise AxiomError(
            f"search.stop_below={search.stop_below}: {search.head} holds no threshold, for none "
            "was safe on its own pools; type a number, such as search.stop_below=0.05"
        )
    return HeadInUse(head=head, frozen=frozen, cross_fit=search.cross_fit)


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
