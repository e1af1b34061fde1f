"""Adapters: options checked, made, saved, loaded, merged and exported."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.fit import lora_config
from axiom_rl.models.lora.options import (
    export_merged,
    load_adapter,
    load_merged,
    new_lora,
    save_adapter,
)
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.models.weights.source import ResolvedModel


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def config(
    request: pytest.FixtureRequest, model_config: ModelConfig, tiny_model_folder: Path
) -> ModelConfig:
    return dataclasses.replace(
        model_config, path=str(tiny_model_folder), dtype="bfloat16", device=request.param
    )


@pytest.fixture
def resolved(config: ModelConfig) -> ResolvedModel:
    return resolve(config)


@pytest.fixture
def adapter(resolved: ResolvedModel, config: ModelConfig, tmp_path: Path) -> Path:
    """An adapter that changes the model: its B matrices, zero at first, are drawn at random."""
    model = new_lora(load_model(resolved, config)[0], config.lora)
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    save_adapter(model, tmp_path / "adapter", resolved)
    return tmp_path / "adapter"


def tensors(model: Any) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def test_an_unknown_option_is_an_error_with_near_misses() -> None:
    with pytest.raises(AxiomError, match=r"model\.lora\.lora_alhpa: .*did you mean lora_alpha"):
        lora_config({"r": 16, "lora_alhpa": 32})
    with pytest.raises(AxiomError, match=r"model\.lora: peft\.LoraConfig refuses"):
        lora_config({"r": 16, "layers_to_transform": [0], "target_modules": "all-linear"})


def test_options_reach_peft_verbatim(config: ModelConfig) -> None:
    options = lora_config({**config.lora, "use_rslora": True})
    assert (options.r, options.lora_alpha, options.use_rslora) == (16, 32, True)
    assert options.task_type == "CAUSAL_LM"


def test_a_new_adapter_covers_every_linear_layer_and_changes_nothing_yet(
    resolved: ResolvedModel, config: ModelConfig
) -> None:
    ids = torch.tensor([[5, 6, 7]], device=config.device)
    before = load_model(resolved, config)[0](ids).logits
    model = new_lora(load_model(resolved, config)[0], config.lora)
    adapted = {
        name.split(".lora_A")[0].split(".")[-1]
        for name, _ in model.named_parameters()
        if "lora_A" in name
    }
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert torch.equal(model(ids).logits, before)


def test_target_modules_that_name_nothing_are_an_error(
    resolved: ResolvedModel, config: ModelConfig
) -> None:
    with pytest.raises(AxiomError, match=r"model\.lora does not fit this model.*nowhere"):
        new_lora(load_model(resolved, config)[0], {"target_modules": ["nowhere"]})


def test_merging_gives_what_plain_transformers_and_peft_give_to_the_last_bit(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path
) -> None:
    merged = load_merged(resolved, adapter, config)
    base = AutoModelForCausalLM.from_pretrained(resolved.folder, dtype=torch.bfloat16)
    base.to(config.device)
    pristine = {name: weight.clone() for name, weight in tensors(base).items()}
    plain = PeftModel.from_pretrained(base, adapter).merge_and_unload()
    ours, theirs = tensors(merged), tensors(plain)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    changed = [name for name in ours if not torch.equal(ours[name], pristine[name])]
    assert len(changed) == 2 * 7
    assert not merged.training


def test_unmerged_logits_agree_with_merged_ones(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path
) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9]], device=config.device)
    exact = dataclasses.replace(config, dtype="float32")
    unmerged = load_adapter(load_model(resolved, exact)[0], adapter, resolved)(ids).logits
    merged = load_merged(resolved, adapter, exact)(ids).logits
    assert torch.allclose(unmerged, merged, atol=1e-5)


def test_a_loaded_adapter_is_trainable_only_on_request(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path
) -> None:
    for trainable in (False, True):
        model = load_adapter(load_model(resolved, config)[0], adapter, trainable=trainable)
        assert any(weight.requires_grad for weight in model.parameters()) is trainable


def test_an_adapter_of_other_weights_is_refused(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path
) -> None:
    model, _ = load_model(resolved, config)
    other = dataclasses.replace(resolved, sha256="0" * 64, format="Q4_K_M dequantised")
    with pytest.raises(
        AxiomError, match=r"was trained on tiny-qwen.*\(safetensors float32\).*Q4_K_M"
    ):
        load_adapter(model, adapter, other)


def test_an_adapter_of_another_shape_is_refused(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path
) -> None:
    base, _ = load_model(resolved, config)
    wider = (
        dataclasses.replace(base.config) if dataclasses.is_dataclass(base.config) else base.config
    )
    wider.hidden_size = 32
    other = type(base)(wider)
    with pytest.raises(AxiomError, match=r"does not fit this model .*trained on tiny-qwen2"):
        load_adapter(other, adapter)


def test_a_folder_without_an_adapter_is_an_error(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path, tmp_path: Path
) -> None:
    model, _ = load_model(resolved, config)
    with pytest.raises(AxiomError, match=r"has no adapter_config\.json; did you mean .*adapter\?"):
        load_adapter(model, tmp_path)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(AxiomError, match=r"adapter_model\.safetensors is missing or damaged"):
        load_adapter(model, adapter)
    weights.unlink()
    with pytest.raises(AxiomError, match=r"adapter_model\.safetensors is missing or damaged"):
        load_merged(resolved, adapter, config)
    (adapter / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(AxiomError, match="is not a LoRA adapter"):
        load_adapter(model, adapter)


def test_the_exported_model_is_the_merged_one(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path, tmp_path: Path
) -> None:
    out = tmp_path / "merged"
    export_merged(resolved, adapter, out, config)
    exported = AutoModelForCausalLM.from_pretrained(out)
    assert exported.dtype is torch.bfloat16
    on_cpu = dataclasses.replace(config, device="cpu")  # where export_merged works
    merged = tensors(load_merged(resolved, adapter, on_cpu))
    assert all(torch.equal(weight, merged[name]) for name, weight in tensors(exported).items())
    assert AutoTokenizer.from_pretrained(out).chat_template is not None
    with pytest.raises(AxiomError, match="not empty"):
        export_merged(resolved, adapter, out, config)


def test_an_adapter_is_saved_whole_and_never_over_another(
    resolved: ResolvedModel, config: ModelConfig, adapter: Path, tmp_path: Path
) -> None:
    model = load_adapter(load_model(resolved, config)[0], adapter, resolved)
    with pytest.raises(AxiomError, match="not empty"):
        save_adapter(model, adapter, resolved)
    shutil.rmtree(adapter)
    save_adapter(model, adapter, resolved)
    names = {file.name for file in adapter.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "base_model.json"} <= names
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_weights_of_the_hub_are_named_by_id_and_revision_and_ones_own_are_not(
    config: ModelConfig, resolved: ResolvedModel, tiny_model_folder: Path
) -> None:
    from huggingface_hub import constants

    assert (resolved.hub_id, resolved.hub_revision) == ("", "")
    commit = "0123456789" * 4
    snapshot = Path(constants.HF_HUB_CACHE) / "models--nobody--nothing" / "snapshots" / commit
    shutil.copytree(tiny_model_folder, snapshot)
    found = resolve(dataclasses.replace(config, path=None, revision=commit))
    assert (found.hub_id, found.hub_revision) == ("nobody/nothing", commit)
