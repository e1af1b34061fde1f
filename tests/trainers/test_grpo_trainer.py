"""Our loss and gradients are TRL's, from packed rows, and nothing of Trainer's insides is used."""

from __future__ import annotations

import ast
import inspect
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import Trainer
from trl.trainer.grpo_trainer import GRPOTrainer

import axiom_rl.trainers.grpo.session
import axiom_rl.trainers.grpo.trainer
from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.options import new_lora
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.trainers.grpo.loss import group_advantages, grpo_loss, importance_ratio
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.trainer import Gap, GrpoTrainer, check_gap, micro_batch

SIGNATURES = {
    "training_step": "(self, model, inputs, num_items_in_batch=None)",
    "compute_loss": "(self, model, inputs, return_outputs=False, num_items_in_batch=None)",
    "get_train_dataloader": "(self)",
    "floating_point_ops": "(self, inputs)",
}
LENGTHS = (7, 3, 6, 1)


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_what_is_overridden_is_as_it_was(name: str) -> None:
    signature = inspect.signature(getattr(Trainer, name))
    bare = signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == SIGNATURES[name]


def test_no_private_part_of_trainer_is_used() -> None:
    private = {name for name in dir(Trainer) if name.startswith("_") and name[1] != "_"}
    tree = ast.parse(inspect.getsource(axiom_rl.trainers.grpo.trainer))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not names & private
    assert "self._trainer._" not in inspect.getsource(axiom_rl.trainers.grpo.session)
    overridden = {name for name in vars(GrpoTrainer) if hasattr(Trainer, name)} - {"__init__"}
    assert {name for name in overridden if not name.startswith("__")} == set(SIGNATURES)


def rows() -> list[Completion]:
    """Two groups with different prompts and ends."""
    chance = random.Random(1)
    prompts = [tuple(chance.randrange(3, 300) for _ in range(length)) for length in (9, 5)]
    return [
        Completion(
            problem_id=str(number // 2),
            sample=number,
            text="",
            prompt_tokens=len(prompts[number // 2]),
            completion_tokens=length,
            truncated=False,
            prompt_ids=prompts[number // 2],
            token_ids=tuple(chance.randrange(3, 300) for _ in range(length)),
            logprobs=(0.0,) * length,
        )
        for number, length in enumerate(LENGTHS)
    ]


def adapter(resolved: ResolvedModel) -> tuple[Any, Any]:
    """Return the tiny model with an adapter that is no longer zero, and its tokenizer."""
    torch.manual_seed(0)
    config: ModelConfig = load_config(
        "model.dtype=float32", "model.device=cpu", "model.lora.r=4"
    ).model
    base, tokenizer = load_model(resolved, config)
    model = new_lora(base, config.lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model, tokenizer


def trainers(
    resolved: ResolvedModel, folder: Path, **args: Any
) -> tuple[GrpoTrainer, GRPOTrainer, dict[str, Any]]:
    """Return our trainer, TRL's with the same weights, and a micro-batch of ours on policy."""
    options = dict(load_config("trainer=grpo").trainer.args)
    options |= {"num_generations": 4, "per_device_train_batch_size": 4} | args
    model, tokenizer = adapter(resolved)
    ours = GrpoTrainer(
        model, grpo_config(options, model, folder, seed=0), tokenizer, lambda *_: [], []
    )
    again, _ = adapter(resolved)
    theirs = GRPOTrainer(
        model=again,
        args=grpo_config(options, again, folder, seed=0),
        reward_funcs=lambda **_columns: [0.0],
        train_dataset=Dataset.from_dict({"prompt": ["x"] * 4}),
        processing_class=tokenizer,
    )
    for made in (ours, theirs):
        made.current_gradient_accumulation_steps = 4
    batch = micro_batch(rows(), torch.tensor([-1.3, 0.0, 0.7, 1.7]), torch.device("cpu"))
    batch["tokens"] = sum(LENGTHS) / 2  # two micro-batches of one generation
    with torch.no_grad():
        batch["sampled"] = ours.logps(batch, torch.ones(4, dtype=torch.bool))
    return ours, theirs, batch


def our_loss(made: GrpoTrainer, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss as transformers scales it, and the gradients."""
    made.model.train()
    made.model.zero_grad()
    loss = made.compute_loss(made.model, batch) / 4
    loss.backward()
    return loss.item(), gradients_of(made.model)


def trls_loss(
    made: GRPOTrainer, batch: dict[str, Any], ratios: torch.Tensor | None = None
) -> tuple[float, dict[str, torch.Tensor]]:
    prompts, longest = batch["prompts"], max(map(len, batch["prompts"]))
    ids, mask = torch.zeros(2, 4, longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    completions = torch.zeros(batch["mask"].shape, dtype=torch.long)
    for row, completion in enumerate(batch["completions"]):
        completions[row, : len(completion)] = torch.tensor(completion)
    inputs = {
        **{"prompt_ids": ids, "prompt_mask": mask, "completion_ids": completions},
        **{"completion_mask": batch["mask"].long(), "advantages": batch["advantages"]},
        "num_items_in_batch": torch.tensor(batch["tokens"] * made.args.steps_per_generation),
        "sampling_per_token_logps": batch["sampled"],
    }
    if "old" in batch:
        inputs["old_per_token_logps"] = batch["old"]
    if "reference" in batch:
        inputs["ref_per_token_logps"] = batch["reference"]
    if ratios is not None:
        made.use_vllm, inputs["importance_sampling_ratio"] = True, ratios
    made.model.train()
    made.model.zero_grad()
    loss = made._compute_loss(made.model, inputs)  # type: ignore[no-untyped-call]
    loss.backward()
    return loss.item(), gradients_of(made.model)


def gradients_of(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def same(
    ours: tuple[float, dict[str, torch.Tensor]], theirs: tuple[float, dict[str, torch.Tensor]]
) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-4, abs=1e-6)
    assert ours[1].keys() == theirs[1].keys()
    assert max(gradient.abs().max() for gradient in theirs[1].values()) > 1e-4
    for name, gradient in theirs[1].items():
        torch.testing.assert_close(ours[1][name], gradient, rtol=1e-3, atol=5e-6)


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo", "dapo", "bnpo", "cispo"])
def test_loss_and_gradients_are_trls(
    resolved: ResolvedModel, tmp_path: Path, loss_type: str
) -> None:
    """On policy, off policy at two levels, and weighted where sampler and trainer differ."""
    ours, theirs, batch = trainers(resolved, tmp_path, loss_type=loss_type, temperature=0.7)
    expected = trls_loss(theirs, batch)
    for packs in (True, False):
        ours.packs = packs
        ours.spent.gap = Gap()
        same(our_loss(ours, batch), expected)
        assert ours.spent.gap.tokens == sum(LENGTHS) - 3, "the row without advantage is out"
        assert ours.spent.gap.mean < 1e-5
    ours.packs = True
    noise = torch.randn(batch["sampled"].shape, generator=torch.Generator().manual_seed(0))
    off = batch | {"old": (batch["sampled"] + 0.2 * noise) * batch["mask"]}
    for level in ("token", "sequence"):
        ours.args.importance_sampling_level = theirs.importance_sampling_level = level
        for delta in (None, 1.1):
            ours.args.delta = theirs.args.delta = delta
            same(our_loss(ours, off), trls_loss(theirs, off))
            means, metrics = ours.spent.means, theirs._metrics["train"]
            if loss_type != "cispo":
                got = means["clip_share"][-1]
                assert got == pytest.approx(metrics["clip_ratio/region_mean"][-1], abs=1e-6)
    ours.args.importance_sampling_level = theirs.importance_sampling_level = "token"
    ours.importance_cap = 2.0
    for inputs in (batch, off):
        moved = inputs | {"sampled": (batch["sampled"] + noise.flip(1)) * batch["mask"]}
        known = inputs.get("old", batch["sampled"])
        ratios = ((known - moved["sampled"]) * batch["mask"]).exp().clamp(max=2.0)
        same(our_loss(ours, moved), trls_loss(theirs, moved, ratios))


@pytest.mark.parametrize("corrected", [False, True])
def test_the_kl_term_is_trls(resolved: ResolvedModel, tmp_path: Path, corrected: bool) -> None:
    ours, theirs, batch = trainers(
        resolved, tmp_path, beta=0.1, num_iterations=2, save_steps=2,
        use_bias_correction_kl=corrected,
    )  # fmt: skip
    noise = torch.randn(batch["sampled"].shape, generator=torch.Generator().manual_seed(0))
    batch["old"] = (batch["sampled"] + 0.1 * noise) * batch["mask"]
    batch["reference"] = (batch["sampled"] - 0.1 * noise) * batch["mask"]
    same(our_loss(ours, batch), trls_loss(theirs, batch))
    kl, theirs_kl = ours.spent.means["kl"], theirs._metrics["train"]["kl"]
    assert kl == pytest.approx(theirs_kl, rel=1e-4)
    entropy = ours.spent.means["entropy"]
    mean = (batch["sampled"] * batch["mask"]).sum() / batch["mask"].sum()
    assert entropy == [pytest.approx(-float(mean), rel=1e-4)]


@pytest.mark.parametrize("scale", ["none", "group", "batch"])
def test_advantages_by_hand(scale: str) -> None:
    """Groups of four: one with a row without reward, one all alike, one with a single reward."""
    rewards = [1.0, 0.0, None, 0.5, 1.0, 1.0, 1.0, 1.0, None, None, None, 1.0]
    known = torch.tensor([float("nan") if r is None else r for r in rewards])
    ours = group_advantages(known, 4, scale)
    by_hand = {
        "none": [0.5, -0.5, 0, 0, *[0] * 8],
        "group": [x / (0.5 + 1e-4) for x in (0.5, -0.5, 0, 0)] + [0] * 8,
    }
    if scale in by_hand:
        assert ours.tolist() == pytest.approx(by_hand[scale], abs=1e-6)
    else:
        spread = known[~known.isnan()].std()
        assert ours.tolist() == pytest.approx(
            [float(x / (spread + 1e-4)) for x in (0.5, -0.5, 0, 0)] + [0] * 8, abs=1e-6
        )


def test_a_micro_batch_without_signal_trains_nothing(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    ours, _, batch = trainers(resolved, tmp_path)
    batch["advantages"] = torch.zeros(4)
    batch["sampled"][0, 0] = float("nan")  # as of an engine that gave none
    loss, gradients = our_loss(ours, batch)
    assert loss == 0 and ours.spent.gap.tokens == 0
    assert gradients and all(not gradient.any() for gradient in gradients.values())


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


def test_the_clipped_loss_by_hand(resolved: ResolvedModel, tmp_path: Path) -> None:
    """Ratios 2 and 1/2 with epsilon 0.2: the gain of each sign ends where the clip begins."""
    args = trainers(resolved, tmp_path, loss_type="bnpo", epsilon=0.2)[0].args
    logps = torch.tensor([[2.0, 0.5], [2.0, 0.5]]).log().requires_grad_()
    mask, advantages = torch.ones(2, 2), torch.tensor([1.0, -1.0])
    loss = grpo_loss(logps, mask, advantages, args, old=torch.zeros(2, 2))
    assert loss.value.item() == pytest.approx(-(1.2 + 0.5 - 2.0 - 0.8) / 4)
    assert loss.clip_share == pytest.approx(0.5)
    loss.value.backward()
    assert logps.grad is not None
    assert logps.grad.tolist() == [[0.0, pytest.approx(-0.125)], [pytest.approx(0.5), 0.0]]


def test_the_gap_is_that_of_the_policy_that_drew(resolved: ResolvedModel, tmp_path: Path) -> None:
    """A second pass over a batch comes after a step: what the policy learnt is no disagreement."""
    ours, _, batch = trainers(resolved, tmp_path, num_iterations=2, save_steps=2)
    again = batch | {"old": batch["sampled"].clone()}
    with torch.no_grad():
        for name, parameter in ours.model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(2.0)
        moved = ours.logps(batch, torch.ones(4, dtype=torch.bool)) - batch["sampled"]
    assert moved.abs().max() > 1e-3, "the policy has moved"
    our_loss(ours, again)
    assert ours.spent.gap.tokens == sum(LENGTHS) - 3 and ours.spent.gap.mean < 1e-5
