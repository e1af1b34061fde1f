"""Drawing completions from a model."""

from axiom_rl.sampler.base import Request, Sampler

__all__ = ["Request", "Sampler"]
