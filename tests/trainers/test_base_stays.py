"""A run's base model: never altered unnoticed, named as others know it, in one arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from scripted_run import Stage
from test_grpo_run import run, torn_model  # noqa: F401 (fixtures)
from transformers import AutoModelForCausalLM, PreTrainedModel
from trl.trainer.grpo_config import GRPOConfig

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.merged_copy import compute_dtype
from axiom_rl.models.lora.options import export_merged, load_adapter, new_lora, save_adapter
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.run.tracking import read_metrics
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.policy import TrainingPolicy
from axiom_rl.trainers.grpo.session import Session
from axiom_rl.trainers.sft.run import sft_config, train_adapter

PUBLISHED = {"hub_id": "Org/Tiny-Instruct", "hub_revision": "c0ffee", "format": "Q4_1 dequantised"}
ROW = {
    "prompt": [{"role": "user", "content": "Write a function that returns 1."}],
    "completion": [{"role": "assistant", "content": "def f():\n    return 1"}],
}


# --- the guard ---


def test_a_run_stops_when_the_frozen_base_changes(
    run: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written to where sampler and trainer both read it, so their gap stays 0."""
    real = TrainingPolicy.sampler

    def careless(self: TrainingPolicy, *, training: bool) -> Any:
        with torch.no_grad():
            self.model.get_input_embeddings().weight += 1e-3
        return real(self, training=training)

    monkeypatch.setattr(TrainingPolicy, "sampler", careless)
    with pytest.raises(AxiomError, match=r"frozen base .* changed .*\(model\.embed_tokens\.weight"):
        run(tmp_path / "run", "trainer.args.max_steps=2")
    rows = read_metrics(tmp_path / "run")
    assert [row["logprob_gap"] < 1e-5 for row in rows if row["phase"] == "train"] == [True]


def texts(folder: Path) -> list[str]:
    return [
        file.read_text(encoding="utf-8")
        for file in folder.rglob("*")
        if file.suffix in (".md", ".json")
    ]


@pytest.mark.slow
def test_dora_and_patterns_are_trained_and_sampled_alike(
    run: Any,  # noqa: F811
    tmp_path: Path,
    torn_model: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoints: list[str] = []
    real = Session.saved

    def save(self: Session, checkpoint: Path) -> None:
        real(self, checkpoint)
        checkpoints.extend(texts(checkpoint.parent))

    monkeypatch.setattr(Session, "saved", save)
    folder = run(
        tmp_path / "run",
        *("trainer.args.max_steps=4", "+model.lora.use_dora=true", "trainer.args.beta=0.01"),
        *("+model.lora.rank_pattern={q_proj:2}", "+model.lora.use_rslora=true"),
    )
    rows = read_metrics(folder)
    gaps = [row["logprob_gap"] for row in rows if row["phase"] == "train"]
    assert len(gaps) == 4 and max(gaps) < 1e-5
    options = read_json(folder / "adapter" / "adapter_config.json")
    assert (options["use_dora"], options["rank_pattern"]) == (True, {"q_proj": 2})
    assert sum('"base_model_name_or_path"' in text for text in checkpoints) >= 4, "and of ref"
    assert not [text for text in checkpoints + texts(folder / "adapter") if str(torn_model) in text]


# --- names ---


def test_nothing_an_adapter_says_is_of_this_machine(
    stage: Stage, tiny_model_folder: Path, tmp_path: Path
) -> None:
    stage.stops = ["before train/1 is recorded"]  # its checkpoints are still there
    with pytest.raises(KeyboardInterrupt):
        stage.run(tmp_path / "run")
    said = texts(tmp_path / "run" / "checkpoints")
    assert any('"base_model_name_or_path"' in text for text in said)
    folder = stage.run(tmp_path / "run")
    said += texts(folder / "adapter") + texts(folder / "checkpoints")
    assert not [text for text in said if str(tiny_model_folder) in text]


@pytest.fixture
def adapter(resolved: ResolvedModel, tmp_path: Path) -> Path:
    """As a run writes it whose base came from a GGUF file of a model on the hub."""
    config = load_config("model.device=cpu", "model.dtype=float32").model
    base = dataclasses.replace(resolved, **PUBLISHED)
    trained = new_lora(load_model(resolved, config)[0], {**config.lora, "use_rslora": True})
    save_adapter(trained, tmp_path / "adapter", base, "GRPO on 8 problems, 20 steps")
    return tmp_path / "adapter"


def test_an_adapter_names_hub_id_and_revision(adapter: Path, resolved: ResolvedModel) -> None:
    options = read_json(adapter / "adapter_config.json")
    assert options["base_model_name_or_path"] == "Org/Tiny-Instruct"
    assert options["revision"] == "c0ffee"
    card = (adapter / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nbase_model: Org/Tiny-Instruct\nbase_model_relation: adapter\n")
    for fact in (
        *("revision c0ffee", resolved.sha256, "rank 16, alpha 32, rank-stabilised", "q_proj"),
        *("GRPO on 8 problems, 20 steps", "dequantised from a GGUF file", "licence of Org/Tiny"),
        'from_pretrained("Org/Tiny-Instruct", revision="c0ffee")',
    ):
        assert fact in card
    assert "[More Information Needed]" not in card and "<!--" not in card


def test_an_adapter_loads_with_plain_peft_and_with_ours(
    adapter: Path, resolved: ResolvedModel, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    assert isinstance(PeftModel.from_pretrained(plain, adapter), PeftModel)
    config = load_config("model.device=cpu", "model.dtype=float32").model
    load_adapter(load_model(resolved, config)[0], adapter, resolved, trainable=True)
    asked: dict[str, Any] = {}

    def from_hub(name: str, revision: str | None = None, **_rest: Any) -> Any:
        asked.update(name=name, revision=revision)
        return AutoModelForCausalLM.from_pretrained(tiny_model_folder)

    stand_in = SimpleNamespace(from_pretrained=from_hub)
    monkeypatch.setattr(AutoPeftModelForCausalLM, "_target_class", stand_in)
    monkeypatch.setattr("peft.auto.check_file_exists_on_hf_hub", lambda *_, **__: False)
    AutoPeftModelForCausalLM.from_pretrained(str(adapter))
    assert asked == {"name": "Org/Tiny-Instruct", "revision": "c0ffee"}


# --- 4 bits: the flag alone, the kernels need a GPU ---


@pytest.fixture
def model_config() -> ModelConfig:
    return load_config("model.device=cpu", "model.dtype=bfloat16", "model.lora.r=4").model


def four_bit(resolved: ResolvedModel, config: ModelConfig) -> Any:
    base: Any = load_model(resolved, config)[0]
    base.is_loaded_in_4bit = True
    return base


def test_4_bits_compute_in_bfloat16_new_or_loaded(
    resolved: ResolvedModel, model_config: ModelConfig, tmp_path: Path
) -> None:
    """PEFT's preparation for 4 bits casts embeddings and norms to float32, and all that follows."""
    torch.manual_seed(0)
    new = new_lora(four_bit(resolved, model_config), model_config.lora)
    save_adapter(new, tmp_path / "adapter", resolved)
    assert read_json(tmp_path / "adapter" / "base_model.json")["quantization"] == "4bit"
    base = four_bit(resolved, model_config)
    loaded = load_adapter(base, tmp_path / "adapter", resolved, trainable=True)
    formats = []
    for model in (new, loaded):
        frozen = {p.dtype for n, p in model.named_parameters() if "lora_" not in n}
        assert frozen == {torch.bfloat16} and compute_dtype(model) is torch.bfloat16
        args = load_config("trainer=sft").trainer.args
        assert sft_config(args, model, tmp_path / "sft", seed=0).bf16 is True
        grpo: GRPOConfig = grpo_config(
            load_config("trainer=grpo").trainer.args, model, tmp_path / "grpo", seed=0
        )
        assert grpo.bf16 is True
        formats.append({n: (p.dtype, p.requires_grad) for n, p in model.named_parameters()})
    assert formats[0] == formats[1]


@pytest.mark.parametrize("recorded", ["4bit", "none", None])
def test_another_quantization_than_trained_with_is_said(
    resolved: ResolvedModel,
    model_config: ModelConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    recorded: str | None,
) -> None:
    model = new_lora(load_model(resolved, model_config)[0], model_config.lora)
    save_adapter(model, tmp_path / "adapter", resolved)
    record = read_json(tmp_path / "adapter" / "base_model.json")
    assert record.pop("quantization") == "none"
    if recorded is not None:
        record["quantization"] = recorded
    write_json(tmp_path / "adapter" / "base_model.json", record)
    export_merged(resolved, tmp_path / "adapter", tmp_path / "merged", model_config)
    said = [text for text in caplog.messages if "its scores differ a little" in text]
    assert len(said) == (recorded == "4bit")
    card = (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n") and "licence of tiny" in card
    assert str(resolved.folder) not in (tmp_path / "merged" / "config.json").read_text()


def test_an_upcast_parameter_does_not_decide_the_arithmetic(
    resolved: ResolvedModel, model_config: ModelConfig, tmp_path: Path
) -> None:
    model = new_lora(four_bit(resolved, model_config), model_config.lora)
    model.get_input_embeddings().to(torch.float32)
    args = load_config("trainer=sft").trainer.args
    assert sft_config(args, model, tmp_path, seed=0).bf16 is True


def test_adapters_of_4_bits_train_alike_new_or_loaded(
    resolved: ResolvedModel,
    model_config: ModelConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PreTrainedModel, "num_parameters", lambda *_, **__: 1)  # asks bitsandbytes
    losses, formats = [], []
    args = load_config("trainer=sft").trainer.args | {"max_steps": 1, "save_strategy": "no"}
    torch.manual_seed(0)
    models = [new_lora(four_bit(resolved, model_config), model_config.lora)]
    save_adapter(models[0], tmp_path / "adapter", resolved)
    base = four_bit(resolved, model_config)
    models.append(load_adapter(base, tmp_path / "adapter", resolved, trainable=True))
    for number, model in enumerate(models):
        logged: list[dict[str, Any]] = []
        tokenizer = load_model(resolved, model_config)[1]
        train_adapter(
            model,
            tokenizer,
            [ROW],
            args,
            folder=tmp_path / str(number),
            seed=0,
            log=lambda logged=logged, **row: logged.append(row),
            on_save=lambda _folder: None,
        )
        losses.append(logged[0]["loss"])
        formats.append({n: p.dtype for n, p in model.named_parameters()})
    assert losses[0] == losses[1] and formats[0] == formats[1]


@pytest.mark.slow
def test_dora_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(
    stage: Stage, tmp_path: Path
) -> None:
    stage.overrides += (
        *("+model.lora.use_dora=true", "+model.lora.rank_pattern={q_proj:2}"),
        *("trainer.iterations=1", "+model.lora.init_lora_weights=gaussian"),
        "trainer.args.save_steps=1",
    )
    whole = stage.run(tmp_path / "whole")
    stage.stops = ["train 1 step 2"]
    with pytest.raises(KeyboardInterrupt):
        stage.run(tmp_path / "stopped")
    assert list((tmp_path / "stopped" / "checkpoints" / "iter_1").glob("checkpoint-1"))
    stopped = stage.run(tmp_path / "stopped")
    weights = [
        (folder / "adapter" / "adapter_model.safetensors").read_bytes()
        for folder in (whole, stopped)
    ]
    assert weights[0] == weights[1]
