"""Training on a GPU, a real one or none: the CPU's numbers, no tensor on the wrong side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_gpu import a_gpu
from test_grpo_trainer import adapter, gradients_of, rows

from axiom_rl.config import load_config
from axiom_rl.models.lora.merged_copy import FrozenBase, MergedCopy
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.rehearsal import Rehearsal
from axiom_rl.trainers.grpo.trainer import GrpoTrainer
from axiom_rl.trainers.sft.trainer import PackedSFTTrainer, pass_tokens

REWARDS = (0.0, 1.0, 0.5, None)


def on_both(work: Callable[[torch.device], Any]) -> tuple[Any, Any]:
    """Do the same on the CPU and on a GPU."""
    here = work(torch.device("cpu"))
    with a_gpu() as card:
        return here, work(card)


def same(here: dict[str, torch.Tensor], there: dict[str, torch.Tensor]) -> None:
    assert here.keys() == there.keys() and here
    for name, value in here.items():
        assert there[name].device.type == "cuda"
        torch.testing.assert_close(there[name].cpu(), value, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "packs", "k"),
    [
        ({}, True, None),
        ({"beta": 0.1, "num_iterations": 2, "loss_type": "dapo"}, True, 2),
        ({"loss_type": "cispo", "epsilon_high": 5.0}, False, None),
    ],
)
def test_a_step_of_grpo_with_rehearsal(
    resolved: ResolvedModel, tmp_path: Path, options: dict[str, Any], packs: bool, k: int | None
) -> None:
    def step(device: torch.device) -> Any:
        typed = dict(load_config("trainer=grpo").trainer.args)
        typed |= {"num_generations": 4, "per_device_train_batch_size": 4} | options
        typed |= {"gradient_accumulation_steps": 1}
        model, tokenizer = adapter(resolved)
        model = model.to(device)
        args = grpo_config(typed, model, tmp_path, seed=0)
        made = GrpoTrainer(
            *(model, args, tokenizer, lambda *_: [], []),
            importance_cap=2.0,
            k=k,
            rehearsal=Rehearsal(tuple(rows()[:2]), 0.5, 2, seed=0),
        )
        made.packs = packs
        made.current_gradient_accumulation_steps = 1
        for part in made._prepare([*zip(rows()[:4], REWARDS, strict=True)]):
            made.training_step(model, part)
        return gradients_of(model), made.spent

    (here, spent), (there, spent_there) = on_both(step)
    same(here, there)
    assert spent.means.keys() == spent_there.means.keys() >= {"rehearsal_loss", "entropy"}
    for name, values in spent.means.items():
        assert spent_there.means[name] == pytest.approx(values, rel=1e-3, abs=1e-6)
    assert spent.gap.mean == pytest.approx(spent_there.gap.mean, rel=1e-3)


def test_what_samples_beside_training_is_merged_on_the_device(resolved: ResolvedModel) -> None:
    def merge(device: torch.device) -> Any:
        model, _tokenizer = adapter(resolved)
        trained = model.to(device)
        base = adapter(resolved)[0].unload().to(device)
        base.tie_weights()
        sums, copied = FrozenBase(base), MergedCopy(base)
        copied.sync(trained)
        sums.check(base)
        return dict(copied.model.named_parameters())

    here, there = on_both(merge)
    same({k: v.detach() for k, v in here.items()}, {k: v.detach() for k, v in there.items()})


def test_passes_of_fine_tuning_follow_the_cards_memory(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    from axiom_rl.trainers.sft.run import sft_config

    def step(device: torch.device) -> Any:
        model, tokenizer = adapter(resolved)
        model = model.to(device)
        args = sft_config(dict(load_config("trainer=sft").trainer.args), model, tmp_path, 0)
        ids = [[*row.prompt_ids, *row.token_ids] for row in rows()]
        width = max(map(len, ids))
        labels = [[-100] * len(row.prompt_ids) + list(row.token_ids) for row in rows()]

        def padded(lines: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([[*r, *[fill] * (width - len(r))] for r in lines]).to(device)

        batch = {
            "input_ids": padded(ids, 0),
            "attention_mask": padded([[1] * len(row) for row in ids], 0),
            "labels": padded(labels, -100),
        }
        from datasets import Dataset

        made = PackedSFTTrainer(
            model=model,
            args=args,
            train_dataset=Dataset.from_dict({"prompt": ["a"], "completion": ["b"]}),
            processing_class=tokenizer,
        )
        made.current_gradient_accumulation_steps = 1
        assert made.packs
        if device.type == "cuda":
            assert pass_tokens(made.model, made.args) == 16_384
        made.training_step(made.model, batch, torch.tensor(30).to(device))
        return gradients_of(model)

    same(*on_both(step))
