"""Adapters that others made, and the guards behind the lists of test_lora_options.py."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from test_lora_options import base, digest, exact, options, train_a_little  # noqa: F401
from transformers import AutoModelForCausalLM

import axiom_rl.models.load
from axiom_rl.config import ModelConfig, load_config
from axiom_rl.config.lora_options import check_lora_options
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.fit import check_adapter_fits, model_config
from axiom_rl.models.lora.merged_copy import FrozenBase, MergedCopy
from axiom_rl.models.lora.options import (
    check_adapter_folder,
    load_adapter,
    new_lora,
    warn_of_another_base,
)
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.stages import run_stage
from axiom_rl.stages.opening import resolve_model

# ruff: noqa: F811

# --- adapters of others ---


def foreign(folder: Path, out: Path, **changes: Any) -> Path:
    """Save an adapter with plain PEFT."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(task_type="CAUSAL_LM", **options(**changes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft.get_peft_model(model, config).save_pretrained(str(out))
    return out


def rewrite(adapter: Path, change: Any) -> None:
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def lose_one(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[min(tensors)]


def gain_one(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.embed_tokens.weight"] = torch.zeros(4, 4)


def widen_one(tensors: dict[str, torch.Tensor]) -> None:
    tensors[min(tensors)] = torch.zeros(5, 64)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head cannot be adapted"),
        ({"target_modules": r".*(q_proj|lm_head)"}, "lm_head.* cannot be adapted"),
        ({"modules_to_save": ["norm"]}, "modules_to_save=.* is not supported"),
        ({"bias": "lora_only"}, "bias=lora_only is not supported"),
        ({"init_lora_weights": "pissa_niter_2"}, "init_lora_weights=pissa_niter_2: must be"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices=.* is not supported"),
    ],
    ids=str,
)
def test_an_adapter_of_others_is_held_to_the_same_rules(
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    said: str,
) -> None:
    adapter = foreign(tiny_model_folder, tmp_path / "adapter", **changes)
    loaded: list[str] = []
    monkeypatch.setattr(axiom_rl.models.load, "load_model", lambda *_, **__: loaded.append("yes"))
    config = load_config(
        f"model.adapter={adapter}", f"model.path={tiny_model_folder}", "model.device=cpu"
    )
    for kind in ("evaluate", "export", "train"):
        config.stage = load_config(f"stage={kind}").stage
        with pytest.raises(AxiomError, match=said):
            run_stage(config, tmp_path / "run")
    assert not loaded


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lose_one, r"lacks base_model\.model\.model\.layers\.0\."),
        (gain_one, r"has, beyond its options, base_model\.model\.model\.embed_tokens\.weight"),
        (widen_one, r"has another shape of base_model\."),
    ],
)
def test_an_adapter_file_holds_what_its_options_say(
    base: ResolvedModel, exact: ModelConfig, tmp_path: Path, change: Any, said: str
) -> None:
    """PEFT draws at random what a file lacks, and leaves out what it does not know."""
    adapter = foreign(base.folder, tmp_path / "adapter")
    check_adapter_fits(model_config(base.folder), adapter)
    rewrite(adapter, change)
    with pytest.raises(AxiomError, match=rf"does not fit this model \(.*{said}.*trained on"):
        load_adapter(load_model(base, exact)[0], adapter)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensor: tensor * float("nan"), "holds NaN or infinite values"),
        (lambda tensor: tensor + float("inf"), "holds NaN or infinite values"),
        (lambda tensor: tensor.to(torch.int8), "is I8, no floating-point weights"),
        (lambda tensor: tensor.to(torch.float8_e4m3fn), "is F8_E4M3, no floating-point weights"),
        (lambda tensor: tensor.to(torch.bfloat16), ""),
    ],
    ids=["nan", "inf", "int8", "float8", "bfloat16"],
)
def test_an_adapters_weights_are_numbers(
    tiny_model_folder: Path, tmp_path: Path, change: Any, said: str
) -> None:
    """Of a diverged training, say: its answers would be scored, and nothing said."""
    adapter = foreign(tiny_model_folder, tmp_path / "adapter")
    rewrite(adapter, lambda tensors: tensors.update({n: change(t) for n, t in tensors.items()}))
    config = load_config(f"model.adapter={adapter}", f"model.path={tiny_model_folder}")
    if not said:
        resolve_model(config)
        return
    with pytest.raises(AxiomError, match=f"the tensor .*lora_A.* {said}"):
        resolve_model(config)


@pytest.mark.filterwarnings("ignore:The configuration file contains a `runtime_config`")
def test_a_null_in_an_adapters_config_is_no_traceback(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    adapter = foreign(tiny_model_folder, tmp_path / "adapter")
    config, file = model_config(tiny_model_folder), adapter / "adapter_config.json"
    options = json.loads(file.read_text())
    refused = set()
    for key in sorted(field.name for field in dataclasses.fields(LoraConfig)):
        file.write_text(json.dumps(options | {key: None}))
        try:
            check_adapter_fits(config, check_adapter_folder(adapter))
        except AxiomError as error:
            assert key in str(error) or key == "peft_type"
            refused.add(key)
    assert {"bias", "rank_pattern", "alpha_pattern", "r"} <= refused
    assert refused.isdisjoint({"megatron_config", "exclude_modules", "layers_to_transform"})


def test_an_adapters_config_with_a_byte_order_mark_is_one_line(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    adapter = foreign(tiny_model_folder, tmp_path / "adapter")
    file = adapter / "adapter_config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    with pytest.raises(AxiomError, match=r"adapter_config\.json is nothing that PEFT can read"):
        check_adapter_fits(model_config(tiny_model_folder), check_adapter_folder(adapter))


def test_an_adapter_that_names_another_model_is_said(
    base: ResolvedModel,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Models of one family have layers of one shape; who made an adapter alone knows for which."""
    adapter = foreign(base.folder, tmp_path / "adapter")
    coder = dataclasses.replace(base, hub_id="Qwen/Qwen2.5-Coder-0.5B-Instruct")
    file = adapter / "adapter_config.json"
    options = json.loads(file.read_text())
    for named, is_said in (
        ("Qwen/Qwen2.5-0.5B-Instruct", True),
        ("qwen/qwen2.5-coder-0.5b-instruct", False),
        (str(base.folder), False),
        (None, False),
    ):
        file.write_text(json.dumps(options | {"base_model_name_or_path": named}))
        caplog.clear()
        warn_of_another_base(adapter, coder)
        assert (f"was trained on {named}, and this run has Qwen/" in caplog.text) == is_said
        warn_of_another_base(adapter, base)  # weights of one's own have no name
        assert len(caplog.records) == is_said


def test_names_that_match_nothing_do_no_harm_in_an_adapter_of_others(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    adapter = foreign(tiny_model_folder, tmp_path / "adapter", target_modules=["q_proj", "c_attn"])
    check_adapter_fits(model_config(tiny_model_folder), check_adapter_folder(adapter))


def test_unknown_options_of_a_later_peft_matter_only_if_they_are_set(tmp_path: Path) -> None:
    source = "adapter_config.json"
    check_lora_options(options(use_newlora=False, new_config=None, revision="x"), source)
    with pytest.raises(AxiomError, match="use_newlora=True is an option that this version"):
        check_lora_options(options(use_newlora=True), source)


# --- the guards behind the lists ---


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_the_copy_refuses_to_write_into_the_base(
    base: ResolvedModel, exact: ModelConfig, target: str, dtype: torch.dtype
) -> None:
    model, _ = load_model(base, exact, dtype=dtype)
    before, copy = digest(model), MergedCopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained: Any = peft.get_peft_model(model, LoraConfig(r=4, target_modules=[target]))
    train_a_little(trained, 1)
    with pytest.raises(AxiomError, match=f"{target} cannot be adapted here"):
        copy.sync(trained)
    assert digest(trained) == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_base_that_changed_by_one_bit_is_noticed(
    base: ResolvedModel, exact: ModelConfig, dtype: torch.dtype
) -> None:
    model, _ = load_model(base, exact, dtype=dtype)
    frozen = FrozenBase(model)
    trained = new_lora(model, options())
    frozen.check(trained)
    for name, weight in trained.named_parameters():
        if "lora_" in name:
            continue
        with torch.no_grad():
            bits = weight.view(-1)[-1:].view(torch.int16)
            bits[0] ^= 1
            with pytest.raises(AxiomError, match=r"frozen base model changed .*\(.* and 0 more"):
                frozen.check(trained)
            bits[0] ^= 1
    frozen.check(trained)
