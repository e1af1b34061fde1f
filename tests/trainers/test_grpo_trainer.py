"""Our GRPO trainer computes what TRL's computes, and what it overrides is still there."""

from __future__ import annotations

import inspect
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl.trainer.grpo_trainer import GRPOTrainer

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.options import new_lora
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.trainer import Gap, PackedGRPOTrainer, check_gap, importance_ratio

SIGNATURES = {
    "_prepare_inputs": "(self, generation_batch)",
    "training_step": "(self, model, inputs, num_items_in_batch)",
    "_compute_loss": "(self, model, inputs)",
    "_get_per_token_logps_and_entropies": (
        "(self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, "
        "compute_entropy=False, compute_aux_loss=False, pixel_values=None, image_grid_thw=None, "
        "num_images=None, pixel_attention_mask=None, spatial_shapes=None, num_tiles=None, "
        "image_sizes=None, token_type_ids=None, mm_token_type_ids=None, image_position_ids=None)"
    ),
    "_save_checkpoint": "(self, model, trial)",
    "_generate_and_score_completions": "(self, inputs)",
}


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_what_is_overridden_or_called_is_as_it_was(name: str) -> None:
    signature = inspect.signature(getattr(GRPOTrainer, name))
    bare = signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == SIGNATURES[name]


def test_trl_reads_rollouts_and_attributes_as_it_did() -> None:
    generate = inspect.getsource(GRPOTrainer._generate)
    assert "self.rollout_func(prompts, self)" in generate
    assert '{"prompt_ids", "completion_ids", "logprobs"}' in generate
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    assert "self._get_per_token_logps_and_entropies(" in loss
    assert 'inputs.get("old_per_token_logps")' in loss
    assert loss.index("self._get_per_token_logps_and_entropies(") < loss.index(
        '"importance_sampling_ratio"'
    ), "they are computed in between"
    assert loss.count("self.use_vllm") == 1
    assert "if self.use_vllm and self.vllm_importance_sampling_correction" in loss
    prepare = inspect.getsource(GRPOTrainer._prepare_inputs)
    for used in ("self._buffered_inputs", "self._step %", "split_tensor_dict", "shuffle_sequence"):
        assert used in prepare


def trainer(resolved: ResolvedModel, folder: Path, **args: Any) -> PackedGRPOTrainer:
    """Make a trainer on the tiny model, its adapter no longer zero."""
    torch.manual_seed(0)
    config: ModelConfig = load_config(
        "model.dtype=float32", "model.device=cpu", "model.lora.r=4"
    ).model
    base, tokenizer = load_model(resolved, config)
    model = new_lora(base, config.lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    options = dict(load_config("trainer=grpo").trainer.args)
    options |= {"num_generations": 4, "per_device_train_batch_size": 4} | args
    return PackedGRPOTrainer(
        model=model,
        args=grpo_config(options, model, folder, seed=0),
        reward_funcs=lambda **_columns: [0.0],
        train_dataset=Dataset.from_dict({"prompt": ["x"] * 4}),
        processing_class=tokenizer,
        on_checkpoint=lambda _folder: None,
    )


def batch(made: PackedGRPOTrainer, *, zero: tuple[int, ...] = ()) -> dict[str, torch.Tensor]:
    """Make a micro-batch of two groups with different prompts, ends and advantages."""
    chance = random.Random(1)
    prompts = [[chance.randrange(3, 300) for _ in range(length)] for length in (9, 9, 5, 5)]
    prompts[1], prompts[3] = prompts[0], prompts[2]
    answers = [[chance.randrange(3, 300) for _ in range(length)] for length in (7, 3, 6, 1)]
    rows = len(prompts)
    longest, width = max(map(len, prompts)), max(map(len, answers))
    inputs = {
        "prompt_ids": torch.zeros(rows, longest, dtype=torch.long),
        "prompt_mask": torch.zeros(rows, longest, dtype=torch.long),
        "completion_ids": torch.zeros(rows, width, dtype=torch.long),
        "completion_mask": torch.zeros(rows, width, dtype=torch.long),
        "advantages": torch.tensor([0.0 if row in zero else row - 1.3 for row in range(rows)]),
        "num_items_in_batch": torch.tensor(sum(map(len, answers))),
    }
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        inputs["prompt_ids"][row, longest - len(prompt) :] = torch.tensor(prompt)
        inputs["prompt_mask"][row, longest - len(prompt) :] = 1
        inputs["completion_ids"][row, : len(answer)] = torch.tensor(answer)
        inputs["completion_mask"][row, : len(answer)] = 1
    made.packs = False
    logps, _, _ = made._get_per_token_logps_and_entropies(
        made.model,
        torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
        torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
        width,
    )
    inputs["sampling_per_token_logps"] = logps.detach() * inputs["completion_mask"]
    return inputs


def loss_and_gradients(
    made: PackedGRPOTrainer, inputs: dict[str, torch.Tensor], *, packs: bool
) -> tuple[float, dict[str, torch.Tensor]]:
    made.packs = packs
    made.model.train()
    made.current_gradient_accumulation_steps = 4
    made.model.zero_grad()
    loss = made._compute_loss(made.model, inputs)
    loss.backward()
    found = {n: p.grad.clone() for n, p in made.model.named_parameters() if p.grad is not None}
    return loss.item(), found


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo", "dapo", "bnpo", "cispo"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_loss_and_gradients_are_trls(
    resolved: ResolvedModel, tmp_path: Path, loss_type: str, temperature: float
) -> None:
    made = trainer(resolved, tmp_path, loss_type=loss_type, temperature=temperature)
    inputs = batch(made, zero=(1,))
    loss, gradients = loss_and_gradients(made, inputs, packs=False)
    packed_loss, packed = loss_and_gradients(made, inputs, packs=True)
    assert packed_loss == pytest.approx(loss, abs=1e-6)
    assert packed.keys() == gradients.keys()
    assert max(gradient.abs().max() for gradient in gradients.values()) > 1e-4
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed[name], gradient, rtol=1e-4, atol=2e-6)
    assert made.spent.gap.tokens == 2 * sum((7, 3, 6, 1)) - 3, "the row without advantage is out"
    assert made.spent.gap.mean < 1e-5


def test_old_and_reference_log_probabilities_are_trls(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    made = trainer(resolved, tmp_path, beta=0.1, num_iterations=2, save_steps=2)
    inputs = batch(made, zero=(1,))
    made.packs = False
    noise = torch.randn(inputs["completion_ids"].shape, generator=torch.Generator().manual_seed(0))
    inputs["old_per_token_logps"] = inputs["sampling_per_token_logps"] + 0.1 * noise
    inputs["ref_per_token_logps"] = inputs["sampling_per_token_logps"] - 0.1 * noise
    loss, gradients = loss_and_gradients(made, inputs, packs=False)
    packed_loss, packed = loss_and_gradients(made, inputs, packs=True)
    assert packed_loss == pytest.approx(loss, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed[name], gradient, rtol=1e-4, atol=2e-6)


def test_a_micro_batch_without_signal_trains_nothing(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    made = trainer(resolved, tmp_path)
    inputs = batch(made, zero=(0, 1, 2, 3))
    loss, gradients = loss_and_gradients(made, inputs, packs=True)
    assert loss == 0 and made.spent.gap.tokens == 0
    assert gradients and all(not gradient.any() for gradient in gradients.values())


def test_trls_own_pass_serves_where_true_entropy_is_needed(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    assert trainer(resolved, tmp_path).packs
    assert not trainer(resolved, tmp_path, top_entropy_quantile=0.5).packs
    assert not trainer(resolved, tmp_path, entropy_coef=0.01).packs


def test_sampler_and_trainer_that_disagree_stop_the_run() -> None:
    gap = Gap()
    gap.add(torch.tensor([0.0, 0.1, 0.5]))
    assert (gap.mean, gap.largest, gap.tokens) == (pytest.approx(0.2), pytest.approx(0.5), 3)
    check_gap(gap, 0.21)
    check_gap(Gap(), 1e-9)
    with pytest.raises(AxiomError, match=r"differ by 0\.200 .*trainer\.max_logprob_gap=0\.1"):
        check_gap(gap, 0.1)


def test_importance_ratios_by_hand() -> None:
    """p / q of 1/2, 1, 3/2, 2, 8 and of a token without q."""
    trained = torch.tensor([0.25, 0.5, 0.75, 0.8, 0.8, 0.8]).log().requires_grad_()
    sampled = torch.tensor([0.5, 0.5, 0.5, 0.4, 0.1, float("nan")]).log()
    ratio, clipped = importance_ratio(trained, sampled, 2.5)
    assert ratio.tolist() == pytest.approx([0.5, 1, 1.5, 2, 2.5, 1])
    assert clipped == 1 and not ratio.requires_grad
    assert importance_ratio(trained, sampled, 1)[0].tolist() == pytest.approx([0.5, 1, 1, 1, 1, 1])
    assert importance_ratio(trained, sampled, 1)[1] == 3


def test_the_weighted_loss_by_hand(resolved: ResolvedModel, tmp_path: Path) -> None:
    """On its own samples the loss of a token is -advantage x ratio, here 4/3 or, cut, 2."""
    made = trainer(resolved, tmp_path)
    inputs = batch(made)
    made.importance_cap = 2.0
    width = inputs["completion_ids"].shape[1]
    ratios = torch.full((4, width), 4 / 3)
    ratios[0] = 5.0
    inputs["sampling_per_token_logps"] -= ratios.log() * inputs["completion_mask"]
    for packs in (True, False):
        made.spent.clipped_tokens = 0
        loss, _gradients = loss_and_gradients(made, inputs, packs=packs)
        lengths, advantages = (7, 3, 6, 1), (-1.3, -0.3, 0.7, 1.7)
        weights = (2, 4 / 3, 4 / 3, 4 / 3)
        total = -sum(n * a * w for n, a, w in zip(lengths, advantages, weights, strict=True))
        assert loss == pytest.approx(total / (4 * made.max_completion_length) / 4, rel=1e-4)
        assert made.spent.clipped_tokens == 7
        assert not made.use_vllm


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo", "dapo", "bnpo", "cispo", "vespo"])
@pytest.mark.parametrize("old", [False, True], ids=["on_policy", "off_policy"])
def test_the_weighted_loss_is_trls(
    resolved: ResolvedModel, tmp_path: Path, loss_type: str, old: bool
) -> None:
    """TRL's loss for vLLM, given ratios that were computed before it."""
    made = trainer(resolved, tmp_path, loss_type=loss_type)
    inputs = batch(made)
    known = inputs["sampling_per_token_logps"].clone()
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(0))
    inputs["sampling_per_token_logps"] = (known + noise) * inputs["completion_mask"]
    if old:
        inputs["old_per_token_logps"] = known = known + 0.1 * noise.flip(0)
    ratios = ((known - inputs["sampling_per_token_logps"]) * inputs["completion_mask"]).exp()
    theirs = {**inputs, "importance_sampling_ratio": ratios.clamp(max=2.0)}
    made.use_vllm = True
    loss, gradients = loss_and_gradients(made, theirs, packs=False)
    made.importance_cap = 2.0
    packed_loss, packed = loss_and_gradients(made, inputs, packs=True)
    assert packed_loss == pytest.approx(loss, rel=1e-4, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed[name], gradient, rtol=1e-3, atol=5e-6)
