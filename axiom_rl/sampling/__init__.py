"""Drawing completions from a model."""

from axiom_rl.sampling.base import Sampler, SampleRequest

__all__ = ["SampleRequest", "Sampler"]
