"""trl.SFTTrainer, and the same loss from less work.

Two public methods are overridden for that (and TRL's card is left out);
tests/trainers/test_sft_trainer.py checks them, and their results against TRL's own:

- `compute_loss`: TRL's calls the model for each token's log-probability and entropy, and whether it
  is the likeliest. Here these come from rows packed without padding, where each prompt runs once
  and prompts are not projected to the vocabulary (axiom_rl/trainers/packed.py).
- `training_step`: a batch runs in several passes, forward and backward, of at most PASS_TOKENS
  tokens (on a GPU: of as many as half of its free memory holds), so that memory does not grow with
  the batch; equal prompts go into the same pass. The
  logged entropy and accuracy are means over passes, as TRL's are over micro-batches.

Where `can_pack` says no, rows are padded and run through TRL's pass, still cut by PASS_TOKENS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from axiom_rl.models.memory import PASS_TOKENS, Workload, available_memory, memory_plan
from axiom_rl.trainers.packed import can_pack, pack, packed_scores

MOST_TOKENS = 16_384
"""The same on a GPU, however much memory it has: it is busy with less."""

Row = tuple[list[int], list[int]]
"""Token ids of a prompt and of the completion that follows it."""


class PackedSFTTrainer(SFTTrainer):
    """See the module."""

    args: SFTConfig
    model: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what trl.SFTTrainer takes."""
        super().__init__(*args, **kwargs)
        self.cuts = not self.aux_loss_enabled
        self.packs = self.cuts and can_pack(self.model) and self.args.neftune_noise_alpha is None

    def create_model_card(self, *_args: Any, **_options: Any) -> None:
        """Leave TRL's card out: it names a folder of this machine; an adapter has one of ours."""

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Run forward and backward passes over a micro-batch; return its loss."""
        step = super().training_step
        if not self.cuts or num_items_in_batch is None:  # then losses of parts do not add up
            return step(model, inputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        padded = not self.packs or self.label_smoother is not None
        limit = PASS_TOKENS if padded else pass_tokens(self.model, self.args)
        parts = passes(inputs, limit, padded=padded)
        losses = [step(model, part, num_items_in_batch) for part in parts]  # type: ignore[no-untyped-call]
        return torch.stack(losses).sum()

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return TRL's loss of some rows."""
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
        rows = [row for row in split_rows(inputs) if row[1]]
        if not rows:
            return self._model(fused_lm_head=True, **inputs)
        accelerator = self._trainer.accelerator
        with accelerator.autocast():
            policy = accelerator.unwrap_model(self._model).get_base_model()
            scores = packed_scores(policy, pack(*zip(*rows, strict=True)))
        logprobs, entropy, top = (
            torch.zeros(taught.shape, dtype=found.dtype, device=taught.device).masked_scatter(
                taught, found
            )
            for found in scores
        )
        return FusedCausalLMOutput(
            log_probs=logprobs, entropy=entropy, is_top1=top, label_mask=taught
        )


def pass_tokens(model: Any, args: SFTConfig) -> int:
    """Return the tokens of one packed pass of `model` where it is now."""
    if model.device.type != "cuda":
        return PASS_TOKENS
    token = Workload(
        rows=1, tokens=1, logit_tokens=0, trained=True, checkpointing=args.gradient_checkpointing
    )
    plan = memory_plan("a token", model.config, token, dtype=model.dtype)
    fitting = available_memory(model.device) / 2 / dict(plan.parts)["activations"]
    return int(min(max(PASS_TOKENS, fitting), MOST_TOKENS))


def passes(
    inputs: Mapping[str, torch.Tensor], limit: int, *, padded: bool = False
) -> list[dict[str, torch.Tensor]]:
    """Cut a batch, tensors (B, L), into parts of at most `limit` tokens, or one row.

    Counted as packed, each prompt once; or as padded, L tokens a row.
    """
    rows = split_rows(inputs)
    width = inputs["input_ids"].shape[1]
    parts: list[list[int]] = []
    tokens = 0
    last_prompt: list[int] | None = None
    for number in sorted(range(len(rows)), key=lambda number: rows[number][0]):
        prompt, completion = rows[number]
        whole = width if padded else len(prompt) + len(completion)
        more = len(completion) if prompt == last_prompt and not padded else whole
        if not parts or tokens + more > limit:
            parts.append([])
            tokens, more = 0, whole
        parts[-1].append(number)
        tokens += more
        last_prompt = prompt
    return [{name: value[part] for name, value in inputs.items()} for part in parts]


def split_rows(inputs: Mapping[str, torch.Tensor]) -> list[Row]:
    """Split a batch, tensors (B, L), into prompts and completions, padding left out.

    A completion is what carries labels; a label on the first token is no use, nothing predicts it.
    A row cut off before its completion has an empty one, and an empty prompt.
    """
    rows: list[Row] = []
    for ids, taught in zip(inputs["input_ids"], inputs["labels"][:, 1:] != -100, strict=True):
        places = (taught.nonzero()[:, 0] + 1).tolist()
        rows.append((ids[: places[0]].tolist(), ids[places].tolist()) if places else ([], []))
    return rows
