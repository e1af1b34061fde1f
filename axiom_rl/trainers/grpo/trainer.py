"""trl.GRPOTrainer with our rollouts, and the same loss from less work.

The rollouts come in by TRL's public `rollout_func`. Four methods are overridden, none of which
changes the loss; tests/trainers/test_grpo_trainer.py checks their signatures and their results
against TRL's own:

- `_get_per_token_logps_and_entropies`: rows packed without padding, each group's prompt once
  (axiom_rl/trainers/packed.py); the logged entropy is estimated by -log p of the drawn tokens.
- `_compute_loss`: rows with advantage 0 skip the model where no KL term needs them; the gap
  between the sampler's and the trainer's log-probabilities is measured, and corrected by the
  importance ratio where the two compute differently.
- `_prepare_inputs`: completions of a batch stay in order, so that a micro-batch holds whole groups.
- `_save_checkpoint`: says when a checkpoint is whole.

TRL's model card is left out too: an adapter has one of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from axiom_rl.core.errors import AxiomError
from axiom_rl.trainers.packed import can_pack, pack, packed_logprobs


@dataclass(slots=True)
class Gap:
    """Differences between the sampler's and the trainer's log-probabilities of the same tokens."""

    total: float = 0.0
    largest: float = 0.0
    tokens: int = 0

    def add(self, differences: torch.Tensor) -> None:
        """Take in absolute differences, of any shape."""
        if differences.numel():
            self.total += float(differences.sum())
            self.largest = max(self.largest, float(differences.max()))
            self.tokens += differences.numel()

    @property
    def mean(self) -> float:
        """Mean over tokens; 0 without any."""
        return self.total / self.tokens if self.tokens else 0.0


@dataclass(slots=True)
class Spent:
    """What a step took, for its row in metrics.jsonl; emptied after each step."""

    training_seconds: float = 0.0
    """Forward and backward passes; neither sampling nor the optimizer."""
    gap: Gap = field(default_factory=Gap)
    clipped_tokens: int = 0
    """Tokens whose importance ratio was cut to the cap."""


def importance_ratio(
    trained: torch.Tensor, sampled: torch.Tensor, cap: float
) -> tuple[torch.Tensor, int]:
    """Return min(p / q, cap) of each token, and how many were cut.

    The sampler drew a token with probability q; the trainer, before it learns from it, gives it p.
    Weighting by p / q makes the gradient that of the trainer's own samples; the cut bounds its
    variance (truncated importance sampling: Ionides 2008, and Yao et al. 2025 for engines that
    compute otherwise than the trainer).

    Args:
        trained: log p, any shape; no gradient flows through the ratio.
        sampled: log q; NaN where the engine gave none, which means a ratio of 1.
        cap: 1 or more.
    """
    ratio = (trained.detach() - sampled).nan_to_num(nan=0.0).exp()
    return ratio.clamp(max=cap), int((ratio > cap).sum())


class PackedGRPOTrainer(GRPOTrainer):
    """See the module."""

    args: GRPOConfig
    model: Any
    _buffered_inputs: Any

    def __init__(
        self,
        *args: Any,
        on_checkpoint: Callable[[Path], None],
        importance_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Take what trl.GRPOTrainer takes.

        Args:
            *args: of trl.GRPOTrainer.
            on_checkpoint: called with the folder of each checkpoint once TRL has written it.
            importance_cap: largest importance ratio of a token; None corrects nothing.
            **kwargs: of trl.GRPOTrainer.
        """
        super().__init__(*args, **kwargs)
        self.on_checkpoint = on_checkpoint
        self.importance_cap = importance_cap
        self._ratios: torch.Tensor | None = None
        self._old: torch.Tensor | None = None
        self.spent = Spent()
        self._active: torch.Tensor | None = None
        self._filler: torch.Tensor | None = None
        self.packs = _can_pack(self)

    def create_model_card(self, *_args: Any, **_options: Any) -> None:
        """Leave TRL's card out: it names a folder of this machine; an adapter has one of ours."""

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """Generate if it is time to; return the micro-batch whose turn it is."""
        slices = int(self.args.steps_per_generation or 1)
        every = slices * self.num_iterations
        if self._step % every == 0 or self._buffered_inputs is None:
            started = time.monotonic()
            batch = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = split_tensor_dict(batch, slices)
            self.spent.training_seconds -= time.monotonic() - started  # training_step adds it
        return self._buffered_inputs[self._step % slices]

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Train on one micro-batch; generate before it if it is time to."""
        started = time.monotonic()
        loss = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        self.spent.training_seconds += time.monotonic() - started
        return loss

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        """Return TRL's loss of a micro-batch."""
        sampled = inputs["sampling_per_token_logps"]
        if self.packs and self.beta == 0.0:
            self._active = inputs["advantages"] != 0
        self._filler = sampled
        if self.importance_cap is not None:
            # Filled when TRL asks for the log-probabilities, which is before it reads the ratios.
            # It reads them where `use_vllm` is set, which has no other meaning inside the loss.
            self._ratios, self._old = torch.ones_like(sampled), inputs.get("old_per_token_logps")
            inputs = {**inputs, "importance_sampling_ratio": self._ratios}
            self.use_vllm = True
        try:
            return super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        finally:
            self.use_vllm = False
            self._active = self._filler = self._ratios = self._old = None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **multimodal: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return log-probabilities (rows, logits_to_keep) of the completion tokens, and entropies.

        Places after a completion's end hold 0; TRL masks them.
        """
        if not self.packs:
            found: tuple[torch.Tensor, Any, Any] = super()._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **multimodal,
            )
            self._measure_gap(found[0], attention_mask[:, -logits_to_keep:].bool())
            return found
        active = self._active
        wanted = [row for row in range(len(input_ids)) if active is None or bool(active[row])]
        logps = torch.zeros(len(input_ids), logits_to_keep, device=input_ids.device)
        if self._filler is not None:
            logps = self._filler.clone()
        if not wanted:
            # The graph must reach the parameters for TRL's backward pass.
            anchor = sum((p.sum() for p in self.model.parameters() if p.requires_grad), start=0.0)
            logps = logps + 0.0 * anchor
        size = batch_size or len(wanted) or 1
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            logps = self._place(model, input_ids, attention_mask, logits_to_keep, part, logps)
        return logps, -logps.detach() if compute_entropy else None, None

    def _place(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        width: int,
        rows: list[int],
        logps: torch.Tensor,
    ) -> torch.Tensor:
        """Put the log-probabilities of some rows into `logps`."""
        split = input_ids.shape[1] - width
        prompts = [input_ids[r, :split][attention_mask[r, :split].bool()].tolist() for r in rows]
        masks = attention_mask[rows, split:].bool()
        completions = [
            input_ids[r, split:][mask].tolist() for r, mask in zip(rows, masks, strict=True)
        ]
        policy = self.accelerator.unwrap_model(model).get_base_model()
        with self.accelerator.autocast():
            found = packed_logprobs(policy, pack(prompts, completions), self.temperature)
        place = torch.zeros_like(logps, dtype=torch.bool)
        place[rows] = masks
        logps = logps.masked_scatter(place, found)
        self._measure_gap(logps, place)
        return logps

    def _measure_gap(self, logps: torch.Tensor, place: torch.Tensor) -> None:
        """Take in the tokens at `place` (rows, width), and set their importance ratios."""
        if self._filler is None:
            return
        self.spent.gap.add((logps.detach() - self._filler)[place].abs())
        if self._ratios is not None and self.importance_cap is not None:
            trained = logps if self._old is None else self._old
            self._ratios[place], clipped = importance_ratio(
                trained[place], self._filler[place], self.importance_cap
            )
            self.spent.clipped_tokens += clipped

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint, and say so when it is whole."""
        super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self.on_checkpoint(Path(self._get_output_dir(trial=trial)) / name)


def _can_pack(trainer: Any) -> bool:
    """Whether the packed pass gives what TRL's pass would.

    Not where the loss reads every position's true entropy: then TRL's own pass serves.
    """
    return can_pack(trainer.model) and not (
        trainer._entropy_bonus_enabled
        or trainer.top_entropy_quantile < 1.0
        or trainer.aux_loss_enabled
        or trainer.args.cast_lm_head_to_fp32
    )


def check_gap(gap: Gap, limit: float) -> None:
    """Stop a run whose sampler and trainer do not have the same model.

    Raises:
        AxiomError: if the mean gap is above `limit`.
    """
    if not gap.mean <= limit:  # NaN stops the run too
        raise AxiomError(
            f"sampler and trainer give the same tokens log-probabilities that differ by "
            f"{gap.mean:.3f} on average (limit: trainer.max_logprob_gap={limit}): the samples do "
            "not come from the model that trains; use model.dtype=float32, or raise the limit"
        )
