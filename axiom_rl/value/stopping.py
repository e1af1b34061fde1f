"""Early stopping by a head: the rule of the replay, applied while samples are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axiom_rl.value.features import as_stored, head_inputs
from axiom_rl.value.head import PREFIX, ValueHead
from axiom_rl.value.reader import blocks_read
from axiom_rl.value.recipe import SampleFeatures


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsByHead:
    """Stops a sample at the first prefix whose probability to pass is below a threshold."""

    head: ValueHead
    below: float
    folds: Mapping[str, str]
    """By problem id, which part of the head judges it: the fold, see `ValueHead.probe`."""

    @property
    def every(self) -> int:
        """Tokens between two prefixes."""
        return self.head.recipe.every

    def block(self, model: Any) -> Any:
        """Return the block of a model whose hidden states the head reads."""
        blocks = model.get_decoder().layers
        return blocks[blocks_read(self.head.recipe, len(blocks)) - 1]

    def hopeless(
        self, problem_id: str, hidden: NDArray[np.float32], logprobs: Sequence[float]
    ) -> bool:
        """Whether a prefix is below the threshold, by features in the precision of stored ones."""
        stored = as_stored(hidden[None]).astype(np.float32)
        features = SampleFeatures((len(logprobs),), stored)
        inputs = head_inputs(features, logprobs, self.head.inputs)
        probe = self.head.probe(PREFIX, self.folds[problem_id])
        return bool(probe.probabilities(inputs)[0] < self.below)
