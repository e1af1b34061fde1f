"""trl.SFTTrainer, and the same loss from less work.

One method is overridden, the public `compute_loss`; tests/trainers/test_sft_trainer.py checks it,
and its results against TRL's own. TRL's method calls the model for each token's log-probability,
entropy and whether it is the likeliest; here these come from rows packed without padding, where
each prompt runs once and prompts are not projected to the vocabulary (axiom_rl/trainers/packed.py).
"""

from __future__ import annotations

from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from axiom_rl.trainers.packed import can_pack, pack, packed_scores


class PackedSFTTrainer(SFTTrainer):
    """See the module."""

    args: SFTConfig
    model: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what trl.SFTTrainer takes."""
        super().__init__(*args, **kwargs)
        self.packs = (
            can_pack(self.model)
            and self.accelerator.num_processes == 1
            and not (self.args.packing or self.args.padding_free or self.aux_loss_enabled)
        )

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return TRL's loss of a micro-batch."""
        answer = _PackedAnswers(self, model) if self.packs else model
        return super().compute_loss(answer, inputs, *args, **kwargs)  # type: ignore[no-untyped-call]


class _PackedAnswers:
    """Stands for the model in TRL's compute_loss; a call for logits goes to the model itself."""

    def __init__(self, trainer: PackedSFTTrainer, model: Any) -> None:
        self._trainer = trainer
        self._model = model

    def __call__(self, *, fused_lm_head: bool = False, **inputs: Any) -> Any:
        if not fused_lm_head:
            return self._model(**inputs)
        taught = inputs["labels"][:, 1:] != -100
        rows = _split(inputs["input_ids"], inputs["labels"])
        if not rows:
            return self._model(fused_lm_head=True, **inputs)
        prompts, completions = zip(*rows, strict=True)
        accelerator = self._trainer.accelerator
        with accelerator.autocast():
            policy = accelerator.unwrap_model(self._model).get_base_model()
            scores = packed_scores(policy, pack(prompts, completions))
        logprobs, entropy, top = (
            torch.zeros(taught.shape, dtype=found.dtype, device=taught.device).masked_scatter(
                taught, found
            )
            for found in scores
        )
        return FusedCausalLMOutput(
            log_probs=logprobs, entropy=entropy, is_top1=top, label_mask=taught
        )


def _split(ids: torch.Tensor, labels: torch.Tensor) -> list[tuple[list[int], list[int]]]:
    """Split rows (B, L) into prompt and completion, padding and rows without a completion left out.

    A completion is what carries labels; a label on the first token is no use, nothing predicts it.
    """
    rows = []
    for row, taught in zip(ids, labels[:, 1:] != -100, strict=True):
        places = (taught.nonzero()[:, 0] + 1).tolist()
        if places:
            rows.append((row[: places[0]].tolist(), row[places].tolist()))
    return rows
