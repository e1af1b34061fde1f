"""Training an adapter: TRL's options apart from ours, loss on the answer alone, base intact."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.options import new_lora
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.trainers.sft.run import (
    check_args,
    last_whole_checkpoint,
    longest_row,
    rows_that_fit,
    sft_config,
    train_adapter,
)

ROWS = [
    {
        "prompt": [{"role": "user", "content": f"Write a function that returns {n}."}],
        "completion": [
            {"role": "assistant", "content": f"```python\ndef f():\n    return {n}\n```"}
        ],
    }
    for n in range(4)
]


@pytest.fixture(scope="module")
def model_config() -> ModelConfig:
    return load_config("model.dtype=float32", "model.device=cpu", "model.lora.r=4").model


@pytest.fixture(scope="module")
def args() -> dict[str, Any]:
    args = dict(load_config("trainer=sft").trainer.args)
    return args | {
        "learning_rate": 1e-2,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
    }


def train(
    resolved: ResolvedModel, config: ModelConfig, args: dict[str, Any], folder: Path, **changes: Any
) -> tuple[Any, list[dict[str, Any]], int]:
    """Train a new adapter; return the model, the rows logged and the number of steps."""
    torch.manual_seed(0)
    base, tokenizer = load_model(resolved, config)
    model = new_lora(base, config.lora)
    logged: list[dict[str, Any]] = []
    options: dict[str, Any] = {"rows": ROWS, "seed": 0, "on_save": lambda _folder: None} | changes
    steps = train_adapter(
        model,
        tokenizer,
        options.pop("rows"),
        args,
        folder=folder,
        log=lambda **numbers: logged.append(numbers),
        **options,
    )
    return model, logged, steps


# --- rows ---


def test_a_row_that_would_lose_its_end_is_left_out_and_said(
    resolved: ResolvedModel,
    model_config: ModelConfig,
    args: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    long = {**ROWS[0], "completion": [{"role": "assistant", "content": "x = 1\n" * 500}]}
    _model, tokenizer = load_model(resolved, model_config)
    assert longest_row({"max_length": 9}) == 9
    assert longest_row({}) == 1024, "TRL's own, and what a run counts as trained on goes by it"
    assert rows_that_fit([*ROWS, long], tokenizer, None) == [*ROWS, long]
    with caplog.at_level("WARNING"):
        assert rows_that_fit([*ROWS, long], tokenizer, 200) == ROWS
    assert "1 of 5 solutions are not trained on" in caplog.text
    with pytest.raises(AxiomError, match=r"max_length=10: no solution fits.*the shortest has \d+"):
        train(resolved, model_config, args | {"max_length": 10}, tmp_path)


# --- options ---


def test_the_options_in_conf_are_trls(args: dict[str, Any]) -> None:
    check_args(args)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rat": 1}, r"trainer\.args\.learning_rat: .*did you mean learning_rate"),
        ({"zzzz": 1}, r"trainer\.args\.zzzz: trl\.SFTConfig has no such option$"),
        ({"learning_rate": "fast"}, r"trainer\.args\.learning_rate=fast: must be a number"),
        ({"num_train_epochs": True}, r"trainer\.args\.num_train_epochs=True: must be a number"),
        ({"gradient_checkpointing": "yes"}, r"gradient_checkpointing=yes: must be true or false"),
        ({"per_device_train_batch_size": 2.5}, r"batch_size=2\.5: must be a whole number"),
        ({"per_device_train_batch_size": 0}, r"batch_size=0: must be above 0"),
        ({"num_train_epochs": 0}, r"num_train_epochs=0: must be above 0"),
        ({"learning_rate": float("inf")}, r"learning_rate=inf: must be finite"),
        ({"neftune_noise_alpha": float("nan")}, r"neftune_noise_alpha=nan: must be a number"),
        ({"lr_scheduler_type": "cosin"}, r"trl\.SFTConfig refuses.*cosin"),
        ({"max_length": None}, r"trainer\.args\.max_length=None: must be a number"),
        ({"max_length": 300.5}, r"max_length=300\.5: must be a whole number"),
        ({"max_length": 1e3}, r"max_length=1000\.0: must be a whole number"),
        ({"max_length": 0}, r"trainer\.args\.max_length=0: must be at least 1"),
        ({"save_strategy": "hourly"}, r"trl\.SFTConfig refuses.*hourly"),
    ],
)
def test_bad_options_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(AxiomError, match=said):
        check_args(given)


def test_the_config_is_the_options_and_ours(
    resolved: ResolvedModel, model_config: ModelConfig, args: dict[str, Any], tmp_path: Path
) -> None:
    base, _ = load_model(resolved, model_config)
    made = sft_config(args, new_lora(base, model_config.lora), tmp_path, seed=11)
    for key, value in args.items():
        assert getattr(made, key) == value, key
    assert (made.seed, made.output_dir, made.completion_only_loss) == (11, str(tmp_path), True)
    assert (made.bf16, made.fp16, made.use_cpu) == (False, False, True)
    assert made.report_to in ([], ["none"]) and not made.push_to_hub


def test_bfloat16_follows_the_model(
    resolved: ResolvedModel, model_config: ModelConfig, args: dict[str, Any], tmp_path: Path
) -> None:
    base, _ = load_model(resolved, model_config, dtype=torch.bfloat16)
    assert sft_config(args, new_lora(base, model_config.lora), tmp_path, seed=0).bf16 is True


def test_trl_still_has_what_we_rely_on() -> None:
    parameters = inspect.signature(SFTTrainer.__init__).parameters
    assert parameters.keys() >= {"model", "args", "train_dataset", "processing_class", "callbacks"}
    assert "resume_from_checkpoint" in inspect.signature(SFTTrainer.train).parameters
    for name in ("on_log", "on_save"):
        names = list(inspect.signature(getattr(TrainerCallback, name)).parameters)
        assert names[:4] == ["self", "args", "state", "control"]
    defaults = {field.name: field.default for field in dataclasses.fields(SFTConfig)}
    assert defaults.keys() >= {"completion_only_loss", "max_length", "packing", "report_to"}
    assert defaults["packing"] is False, "packed rows would need other masks"


# --- training ---


def test_loss_is_on_the_answer_alone(
    resolved: ResolvedModel,
    model_config: ModelConfig,
    args: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    compute = SFTTrainer.compute_loss

    def spy(self: SFTTrainer, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> Any:
        seen.append((inputs["input_ids"].clone(), inputs["labels"].clone()))
        return compute(self, model, inputs, *rest, **more)

    monkeypatch.setattr(SFTTrainer, "compute_loss", spy)
    train(resolved, model_config, args | {"num_train_epochs": 1}, tmp_path)
    _, tokenizer = load_model(resolved, model_config)
    learned, prompts = [], []
    for ids, labels in ((i, r) for batch in seen for i, r in zip(*batch, strict=True)):
        taught = labels != -100
        assert labels[taught].equal(ids[taught])
        learned.append(tokenizer.decode(labels[taught]))
        prompts.append(tokenizer.decode(ids[: int(taught.nonzero()[0])]))
    answers = [row["completion"][0]["content"] for row in ROWS]
    assert sorted(text.strip() for text in learned) == [f"{text}<|im_end|>" for text in answers]
    assert all(text.endswith("<|im_start|>assistant\n") for text in prompts)
    assert all("Write a function that returns" in text for text in prompts)


def test_the_adapter_learns_and_the_base_stays(
    resolved: ResolvedModel, model_config: ModelConfig, args: dict[str, Any], tmp_path: Path
) -> None:
    pristine, _ = load_model(resolved, model_config)
    saved: list[Path] = []
    args |= {"save_steps": 3}
    model, logged, steps = train(resolved, model_config, args, tmp_path, on_save=saved.append)
    assert steps == 4, "two epochs of two batches, a checkpoint after three and at the end"
    assert saved == [tmp_path / "checkpoint-3", tmp_path / "checkpoint-4"]
    assert [row["step"] for row in logged] == [1, 2, 3, 4]
    assert logged[-1]["loss"] < logged[0]["loss"]
    assert all(row.keys() >= {"epoch", "learning_rate", "grad_norm", "seconds"} for row in logged)
    state = model.state_dict()
    assert any(value.abs().sum() > 0 for name, value in state.items() if "lora_B" in name)
    base = model.unload().state_dict()
    for name, value in pristine.state_dict().items():
        assert base[name].equal(value), f"{name} of the base model changed"
    assert not model.training


def test_the_same_seed_trains_the_same_adapter(
    resolved: ResolvedModel, model_config: ModelConfig, args: dict[str, Any], tmp_path: Path
) -> None:
    def weights(name: str, seed: int) -> dict[str, torch.Tensor]:
        model, _, _ = train(resolved, model_config, args, tmp_path / name, seed=seed)
        return {key: value for key, value in model.state_dict().items() if "lora" in key}

    first, again, other = weights("a", 0), weights("b", 0), weights("c", 1)
    assert all(again[key].equal(first[key]) for key in first)
    assert not all(other[key].equal(first[key]) for key in first)


def test_nothing_to_train_on(
    resolved: ResolvedModel, model_config: ModelConfig, args: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(AxiomError, match="no gold solution was found"):
        train(resolved, model_config, args, tmp_path, rows=[])


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_whole_checkpoint(tmp_path / "none") is None
    for step, text in ((2, json.dumps({"global_step": 2})), (4, '{"global_st'), (6, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if text is not None:
            (folder / "trainer_state.json").write_text(text)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")
