"""transformers' Trainer with rollouts of our own in the place of a dataset, and our loss.

Of Trainer only public methods are overridden; trl gives the configuration, and the numbers that
tests/trainers/test_grpo_trainer.py compares with. Rows of a pass lie packed, each group's prompt
once (axiom_rl/trainers/packed.py); rows with advantage 0 skip the model where no KL term needs
them, for their gradient is 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.trainers.grpo.loss import group_advantages, grpo_loss, importance_ratio
from axiom_rl.trainers.grpo.options import groups_per_batch
from axiom_rl.trainers.grpo.rehearsal import Rehearsal
from axiom_rl.trainers.packed import can_pack, pack, packed_logprobs

Row = tuple[Completion, float | None]
"""A completion and its reward; None counts nowhere."""
MicroBatch = dict[str, Any]
"""Rows of one pass: prompts and completions as token ids, the rest as tensors."""
REFERENCE = "ref"
"""Name of the frozen copy of the adapter that `beta` keeps near."""


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
    means: dict[str, list[float]] = field(default_factory=dict)
    """entropy, kl and clip_share of each micro-batch."""


class GrpoTrainer(Trainer):
    """See the module."""

    args: GRPOConfig
    model: Any

    def __init__(
        self,
        model: PeftModel,
        args: GRPOConfig,
        tokenizer: PreTrainedTokenizerBase,
        draw: Callable[[int, int], Sequence[Row]],
        callbacks: list[TrainerCallback],
        importance_cap: float | None = None,
        k: int | None = None,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        """Prepare the model as args say.

        Args:
            model: with the adapter that trains.
            args: of the run.
            tokenizer: saved beside each checkpoint.
            draw: called with the step, from 1, and a number of groups; returns their rows, group
                by group.
            callbacks: of transformers.
            importance_cap: largest importance ratio of a token; None corrects nothing.
            k: where the best of k is to rise; None for the mean reward.
            rehearsal: answers that every step trains on beside its groups.
        """
        if args.beta:
            _add_reference(model)
        if args.gradient_checkpointing:  # else nothing in front of the first adapter has a gradient
            model.enable_input_require_grads()
        if getattr(model, "is_loaded_in_4bit", False):
            _to_bfloat16(model)
        if args.disable_dropout:
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        super().__init__(model=model, args=args, processing_class=tokenizer, callbacks=callbacks)
        self.model_accepts_loss_kwargs = False  # the loss is a mean: divide it by the micro-batches
        self.importance_cap = importance_cap
        self.k = k
        self.rehearsal = rehearsal
        self._rehearsed = -1
        self.packs = can_pack(model)
        self.spent = Spent()
        self._draw = draw

    def floating_point_ops(self, inputs: MicroBatch) -> int:
        """Leave the estimate out; it wants padded rows."""
        return 0

    def get_train_dataloader(self) -> Any:
        """Return the micro-batches of the run, without an end; groups stay together."""
        return self._micro_batches()

    def _micro_batches(self) -> Iterator[MicroBatch]:
        groups, uses = groups_per_batch(self.args), self.args.num_iterations
        while self.state.global_step < self.args.max_steps:
            parts = self._prepare(self._draw(self.state.global_step + 1, groups))
            for _ in range(uses):
                yield from parts

    def _prepare(self, rows: Sequence[Row]) -> list[MicroBatch]:
        """Return the micro-batches of rows that were drawn together."""
        args = self.args
        assert args.steps_per_generation and args.num_generations  # TRL fills them in
        rewards = torch.tensor([float("nan") if r is None else r for _row, r in rows])
        scale = str(args.scale_rewards)
        advantages = group_advantages(rewards, args.num_generations, scale, self.k)
        size = len(rows) // args.steps_per_generation
        tokens = sum(len(row.token_ids) for row, _ in rows) / args.steps_per_generation
        parts = []
        for start in range(0, len(rows), size):
            own = [row for row, _reward in rows[start : start + size]]
            part = micro_batch(own, advantages[start : start + size], self.args.device)
            part["tokens"] = tokens
            # The policy that drew is the one that trains, unless a step lies between.
            if args.gradient_accumulation_steps % (args.steps_per_generation * args.num_iterations):
                part["old"] = self._without_gradient(part)
            if args.beta:
                self.model.set_adapter(REFERENCE)
                part["reference"] = self._without_gradient(part)
                self.model.set_adapter("default")
            parts.append(part)
        return parts

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Train on one micro-batch, and count its seconds."""
        started = time.monotonic()
        if self.rehearsal is not None and self._rehearsed != self.state.global_step:
            self._rehearsed = self.state.global_step  # once in an optimizer step, before its passes
            self._rehearse(self.rehearsal)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.spent.training_seconds += time.monotonic() - started
        return loss

    def _rehearse(self, rehearsal: Rehearsal) -> None:
        """Add the gradient of this step's rehearsed answers to that of its groups.

        They count as rows of the step whose advantage is fixed: -advantage x log p, divided like
        the rows beside them, and in passes no larger than theirs.
        """
        args, rows = self.args, rehearsal.rows(self.state.global_step + 1)
        size = args.per_device_train_batch_size
        self.model.train()
        for start in range(0, len(rows), size):
            own = rows[start : start + size]
            part = micro_batch(own, torch.full((len(own),), rehearsal.advantage), args.device)
            logps = self.logps(part, torch.ones_like(part["advantages"], dtype=torch.bool))
            tokens = float(part["mask"].sum())
            loss = grpo_loss(logps, part["mask"], part["advantages"], args, tokens=tokens)
            share = len(own) / (size * args.gradient_accumulation_steps)
            self.accelerator.backward(loss.value * share)
            surprise = -float((logps.detach() * part["mask"]).sum()) / tokens
            self.spent.means.setdefault("rehearsal_loss", []).append(surprise)

    def compute_loss(
        self,
        model: Any,
        inputs: MicroBatch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """Return the loss of a micro-batch."""
        mask, sampled, advantages = inputs["mask"], inputs["sampled"], inputs["advantages"]
        old, everything = inputs.get("old"), bool(self.args.beta)
        active = torch.ones_like(advantages, dtype=torch.bool) if everything else advantages != 0
        logps = self.logps(inputs, active, old)
        place = mask.bool() & active[:, None]
        trained = logps if old is None else old  # the policy that drew, as the trainer reads it
        self.spent.gap.add((trained.detach() - sampled)[place].abs())
        weights = None
        if self.importance_cap is not None:
            weights = torch.ones_like(sampled)
            weights[place], clipped = importance_ratio(
                trained[place], sampled[place], self.importance_cap
            )
            self.spent.clipped_tokens += clipped
        loss = grpo_loss(
            logps,
            mask,
            advantages,
            self.args,
            old=old,
            reference=inputs.get("reference"),
            weights=weights,
            tokens=inputs["tokens"],
        )
        entropy = -torch.where(active[:, None], logps.detach(), sampled)[mask.bool()].nanmean()
        known = {"entropy": float(entropy), "kl": loss.kl, "clip_share": loss.clip_share}
        for name, value in known.items():
            if value is not None:
                self.spent.means.setdefault(name, []).append(value)
        return loss.value

    def logps(
        self, inputs: MicroBatch, active: torch.Tensor, filler: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the log-probabilities (B, T) of the active rows' tokens; elsewhere `filler` or 0.

        Args:
            inputs: of a micro-batch.
            active: (B,) rows that the model is asked about.
            filler: (B, T) for the others; no gradient comes from there.
        """
        rows = [row for row, wanted in enumerate(active.tolist()) if wanted]
        logps = torch.zeros_like(inputs["sampled"]) if filler is None else filler.clone()
        if not rows:
            # The graph must reach the parameters for a backward pass.
            parameters = (p for p in self.model.parameters() if p.requires_grad)
            return logps + 0.0 * sum((p.sum() for p in parameters), start=torch.zeros(()).to(logps))
        prompts, completions = (
            [inputs[key][row] for row in rows] for key in ("prompts", "completions")
        )
        with self.accelerator.autocast():
            if self.packs:
                base = self.accelerator.unwrap_model(self.model).get_base_model()
                found = packed_logprobs(base, pack(prompts, completions), self.args.temperature)
            else:
                found = torch.cat(
                    [
                        _logps_of_row(self.model, prompt, completion, self.args.temperature)
                        for prompt, completion in zip(prompts, completions, strict=True)
                    ]
                )
        return logps.masked_scatter(inputs["mask"].bool() & active[:, None], found)

    def _without_gradient(self, inputs: MicroBatch) -> torch.Tensor:
        self.model.train()  # with the dropout of the pass that it is compared with
        with torch.no_grad():
            return self.logps(inputs, torch.ones_like(inputs["advantages"], dtype=torch.bool))


def micro_batch(
    rows: Sequence[Completion], advantages: torch.Tensor, device: torch.device
) -> MicroBatch:
    """Lay out the rows of one pass: (B, T) tensors padded on the right, (B,) advantages."""
    length = max(len(row.token_ids) for row in rows)
    mask, sampled = torch.zeros(2, len(rows), length)
    for number, row in enumerate(rows):
        mask[number, : len(row.token_ids)] = 1.0
        sampled[number, : len(row.token_ids)] = torch.tensor(row.logprobs)
    return {
        "prompts": [list(row.prompt_ids) for row in rows],
        "completions": [list(row.token_ids) for row in rows],
        "mask": mask.to(device),
        "sampled": sampled.to(device),
        "advantages": advantages.to(device),
    }


def _logps_of_row(
    model: Any, prompt: list[int], completion: list[int], temperature: float
) -> torch.Tensor:
    """Return the log-probabilities of one completion (T,), for models that cannot be packed."""
    tokens = torch.tensor([[*prompt, *completion]], device=model.device)
    count = len(completion)
    output = model(input_ids=tokens, use_cache=False, logits_to_keep=count + 1)
    logits = output.logits[0, -count - 1 : -1].float() / temperature
    targets = tokens[0, -count:, None]
    logps: torch.Tensor = logits.gather(1, targets) - logits.logsumexp(1, keepdim=True)
    return logps[:, 0]


def _add_reference(model: PeftModel) -> None:
    """Keep a copy of the adapter as it is before training."""
    model.add_adapter(REFERENCE, model.peft_config["default"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".default." in name:
                model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).copy_(parameter)
    model.set_adapter("default")


def _to_bfloat16(model: PeftModel) -> None:
    """Train the adapter of a 4-bit model in bfloat16, as QLoRA (Dettmers et al. 2023) does.

    DoRA's magnitudes stay: their updates are smaller than bfloat16 can tell.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_magnitude_vector" not in name:
            parameter.data = parameter.data.to(torch.bfloat16)


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
