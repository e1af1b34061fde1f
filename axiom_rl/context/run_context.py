"""The context of a run: what stays the same while models change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from axiom_rl.config import SamplerConfig
from axiom_rl.problems.splits import Splits
from axiom_rl.run.folder import Run
from axiom_rl.sampling import Sampler
from axiom_rl.sampling.base import Releasable, SamplerFactory
from axiom_rl.verify import Verifier


class Policy:
    """A model at one point of the run; loaded when first sampled from, dropped on `close`."""

    def __init__(self, adapter: str | None, load: SamplerFactory) -> None:
        """Remember how to load the base model with `adapter` (None: the base model alone)."""
        self.adapter = adapter
        self._load = load
        self._sampler: Sampler | None = None

    def __call__(self) -> Sampler:
        """Return the sampler, loading the model the first time."""
        if self._sampler is None:
            self._sampler = self._load(self.adapter)
        return self._sampler

    def close(self) -> None:
        """Let go of the model's memory."""
        if isinstance(self._sampler, Releasable):
            self._sampler.rest()
        self._sampler = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What stays the same while models change."""

    run: Run
    splits: Splits
    verifier: Verifier
    load_sampler: SamplerFactory
    sampler: SamplerConfig
    style: str
    seed: int
    fresh_seed: int
    """Seed of the fresh tests, which all models of all runs on these problems share."""
    model: Mapping[str, Any]
    """Identity of the base weights, see `Evaluation.model`."""
    publish: Callable[[], None] = lambda: None
    """Called whenever something came out, as often as one likes: shows the run as it is by now."""

    def policy(self, adapter: str | None) -> Policy:
        """Return the base model with an adapter, not yet loaded."""
        return Policy(adapter, self.load_sampler)
