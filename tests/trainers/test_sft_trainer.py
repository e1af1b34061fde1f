"""Our SFT trainer computes what TRL's computes, and what it overrides is still there."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import Trainer
from trl.trainer.sft_trainer import SFTTrainer

from axiom_rl.config import load_config
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.merged_copy import _adapted
from axiom_rl.models.lora.options import new_lora
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.trainers.sft import run as sft_run
from axiom_rl.trainers.sft import trainer as sft_trainer
from axiom_rl.trainers.sft.run import sft_config, train_adapter
from axiom_rl.trainers.sft.trainer import PackedSFTTrainer, passes, split_rows


def row(question: str, answer: str) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer}],
    }


ROWS = [
    row("Add one.", "def f(x):\n    return x + 1"),
    row("Add one.", "def f(x): return 1 + x"),
    row("Reverse the list you are given.", "def f(x):\n    return x[::-1]"),
    row("Add one.", "f = lambda x: x + 1"),
]


def trainer(resolved: ResolvedModel, folder: Path, **args: Any) -> PackedSFTTrainer:
    """Make a trainer on the tiny model, its adapter no longer zero."""
    torch.manual_seed(0)
    config = load_config("model.dtype=float32", "model.device=cpu", "model.lora.r=4").model
    base, tokenizer = load_model(resolved, config)
    model = new_lora(base, config.lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    options = dict(load_config("trainer=sft").trainer.args) | args
    return PackedSFTTrainer(
        model=model,
        args=sft_config(options, model, folder, seed=0),
        train_dataset=Dataset.from_list(ROWS),
        processing_class=tokenizer,
    )


def batch(made: PackedSFTTrainer) -> dict[str, torch.Tensor]:
    """Return the collated rows, the last one cut off, the first one's labels the likeliest."""
    collated: dict[str, torch.Tensor] = made.data_collator(list(made.train_dataset))
    collated["labels"][-1] = -100
    first = collated["labels"][0]
    with torch.no_grad():
        logits = made.model(collated["input_ids"], attention_mask=collated["attention_mask"]).logits
    place = int((first != -100).nonzero()[0])
    likeliest = logits[0, place - 1].argmax()
    first[place] = collated["input_ids"][0, place] = likeliest
    return collated


def loss_and_gradients(
    made: PackedSFTTrainer, inputs: dict[str, torch.Tensor], *, packs: bool
) -> tuple[float, dict[str, torch.Tensor], dict[str, float]]:
    made.packs = packs
    made.model.train()
    made.model.zero_grad()
    made._metrics["train"].clear()
    loss = made.compute_loss(made.model, dict(inputs), num_items_in_batch=torch.tensor(50))
    loss.backward()
    found = {n: p.grad.clone() for n, p in made.model.named_parameters() if p.grad is not None}
    metrics = {name: float(values[0]) for name, values in made._metrics["train"].items()}
    return loss.item(), found, metrics


@pytest.mark.parametrize("loss_type", ["nll", "dft"])
def test_loss_gradients_and_metrics_are_trls(
    resolved: ResolvedModel, tmp_path: Path, loss_type: str
) -> None:
    made = trainer(resolved, tmp_path, loss_type=loss_type)
    assert made.packs
    loss, gradients, metrics = loss_and_gradients(made, batch(made), packs=True)
    wanted, stock, told = loss_and_gradients(made, batch(made), packs=False)
    assert loss == pytest.approx(wanted, rel=1e-5) and loss > 0
    assert gradients.keys() == stock.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, stock[name], rtol=1e-3, atol=2e-5)
    assert any(gradient.abs().sum() > 0 for gradient in gradients.values())
    assert metrics["entropy"] == pytest.approx(told["entropy"], rel=1e-4) and told["entropy"] > 0
    assert metrics["mean_token_accuracy"] == told["mean_token_accuracy"] > 0


def test_passes_hold_every_row_once_and_keep_equal_prompts_together(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    inputs = batch(trainer(resolved, tmp_path))
    rows = split_rows(inputs)
    assert rows[0][0] == rows[1][0] != rows[2][0] and rows[3] == ([], [])
    pair = len(rows[0][0]) + len(rows[0][1]) + len(rows[1][1])
    parts = [split_rows(part) for part in passes(inputs, pair)]
    assert sorted(row for part in parts for row in part) == sorted(rows)
    assert any(rows[0] in part and rows[1] in part for part in parts)
    assert all(rows[2] not in part or rows[0] not in part for part in parts)
    assert len(passes(inputs, 1)) == 4 and len(passes(inputs, 10_000)) == 1


@pytest.mark.filterwarnings("ignore:.label_smoothing_factor. is deprecated:FutureWarning")
@pytest.mark.parametrize("smooth", [False, True])
def test_a_step_in_passes_is_a_step_at_once(
    resolved: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smooth: bool
) -> None:
    smoothing = {"label_smoothing_factor": 0.1} if smooth else {}

    def train(limit: int) -> tuple[list[int], float, dict[str, torch.Tensor]]:
        rows: list[int] = []
        compute = PackedSFTTrainer.compute_loss

        def spy(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            rows.append(len(inputs["input_ids"]))
            return compute(self, model, inputs, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(sft_trainer, "PASS_TOKENS", limit)
            patch.setattr(PackedSFTTrainer, "compute_loss", spy)
            options = {"num_train_epochs": 1, "save_strategy": "no"} | smoothing
            made = trainer(resolved, tmp_path, **options)
            loss = made.train().training_loss
        state = made.model.state_dict()
        return rows, loss, {name: value for name, value in state.items() if "lora" in name}

    rows, loss, weights = train(1)
    whole, wanted, stock = train(10_000)
    assert rows == [1, 1, 1, 1] and whole == [4]
    assert loss == pytest.approx(wanted, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, stock[name], rtol=1e-3, atol=1e-5)


def test_inputs_that_stay_in_bfloat16_change_no_number(
    resolved: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("model.dtype=bfloat16", "model.device=cpu", "model.lora.r=4").model
    args = dict(load_config("trainer=sft").trainer.args) | {"max_steps": 2}

    def trained(name: str) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        base, tokenizer = load_model(resolved, config)
        model, folder = new_lora(base, config.lora), tmp_path / name
        silent: dict[str, Any] = {"log": lambda **_: None, "on_save": lambda _folder: None}
        train_adapter(model, tokenizer, ROWS, args, folder=folder, seed=0, **silent)
        left = {layer.cast_input_dtype_enabled for _name, layer in _adapted(model)}
        assert left == {name == "cast"}
        return {n: weight.detach() for n, weight in model.named_parameters() if "lora_" in n}

    ours = trained("left")
    monkeypatch.setattr(sft_run, "leave_inputs_in_bfloat16", lambda _model: None)
    theirs = trained("cast")
    assert ours.keys() == theirs.keys() and any(weight.any() for weight in ours.values())
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_a_batch_of_cut_off_rows_is_left_to_trl(resolved: ResolvedModel, tmp_path: Path) -> None:
    made = trainer(resolved, tmp_path)
    inputs = batch(made)
    inputs["labels"][:] = -100
    loss, _, metrics = loss_and_gradients(made, inputs, packs=True)
    assert loss == 0.0 and metrics["mean_token_accuracy"] == 0.0


def test_rows_that_cannot_be_packed_run_padded_in_passes(
    resolved: ResolvedModel, tmp_path: Path
) -> None:
    made = trainer(resolved, tmp_path, neftune_noise_alpha=5)
    assert made.cuts and not made.packs, "its noise depends on how rows are laid out"
    inputs = batch(made)
    width = inputs["input_ids"].shape[1]
    assert [len(part["labels"]) for part in passes(inputs, 2 * width, padded=True)] == [2, 2]


def test_what_is_overridden_is_as_it_was() -> None:
    parameters = list(inspect.signature(SFTTrainer.compute_loss).parameters)
    assert parameters == ["self", "model", "inputs", "return_outputs", "num_items_in_batch"]
    parameters = list(inspect.signature(Trainer.training_step).parameters)
    assert parameters == ["self", "model", "inputs", "num_items_in_batch"]
    source = inspect.getsource(SFTTrainer.compute_loss)
    assert "outputs = model(**inputs, fused_lm_head=True)" in source
    used = ("log_probs", "entropy", "is_top1", "label_mask")
    assert all(f"outputs.{name}" in source for name in used)
