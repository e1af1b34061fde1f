"""The model that GRPO trains, sampled as it is at this step and never altered by that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from axiom_rl.config import TrainerConfig, TransformersSamplerConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.card import describe_adapter
from axiom_rl.models.lora.merged_copy import FrozenBase, MergedCopy
from axiom_rl.models.lora.options import save_adapter
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling import Sampler
from axiom_rl.sampling.hf.decode import Decoders
from axiom_rl.sampling.hf.sampler import TransformersSampler


class TrainingPolicy:
    """The model that trains, and a sampler of it as it is now."""

    model: PeftModel

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        context: RunContext,
        trainer: TrainerConfig,
        resolved: ResolvedModel,
        *,
        four_bit: bool,
    ) -> None:
        """Copy what samples before an adapter is put on `base`, unless vLLM has weights of its own.

        4-bit weights cannot be merged.
        """
        if not isinstance(context.sampler, TransformersSamplerConfig):
            raise AxiomError(
                f"trainer={trainer.kind} samples with sampler=transformers or sampler=vllm, not "
                f"with {context.sampler.backend}"
            )
        self.tokenizer = tokenizer
        self._resolved = resolved
        self._engine = context.load_sampler if context.sampler.backend == "vllm" else None
        self.merges = not four_bit
        self._frozen = FrozenBase(base)
        self._copy = MergedCopy(base) if self.merges and self._engine is None else None
        self._decoders = Decoders(self._copy.model) if self._copy is not None else None
        self._config = context.sampler
        self._rollouts = replace(
            context.sampler,
            temperature=float(trainer.args["temperature"]),
            top_p=1.0,
            max_new_tokens=int(trainer.args["max_completion_length"]),
        )

    @property
    def samples_exactly(self) -> bool:
        """Whether sampler and trainer give a token the same probability, up to float32 rounding."""
        return self._engine is None and self.model.get_base_model().dtype == torch.float32

    def check_base(self) -> None:
        """Compare the base under the adapter with the one that was loaded.

        Raises:
            AxiomError: naming a weight that changed.
        """
        self._frozen.check(self.model)

    def describe(self, checkpoint: Path) -> None:
        """Name the base model in a checkpoint as others know it."""
        describe_adapter(checkpoint, self._resolved)

    @contextmanager
    def sampler(self, *, training: bool) -> Iterator[Sampler]:
        """Give a sampler with the settings of training or of evaluation."""
        config = self._rollouts if training else self._config
        if self._engine is not None:
            with tempfile.TemporaryDirectory(prefix="axiom-rl-") as folder:
                adapter = Path(folder) / "adapter"
                save_adapter(self.model, adapter, self._resolved)
                yield self._engine(str(adapter), config)
            return
        if self._copy is not None:
            self._copy.sync(self.model)
            yield TransformersSampler(self._copy.model, self.tokenizer, config, self._decoders)
            return
        was_training = self.model.training
        self.model.eval()
        try:
            unmerged: Any = self.model.get_base_model()
            yield TransformersSampler(unmerged, self.tokenizer, config)
        finally:
            self.model.train(was_training)
