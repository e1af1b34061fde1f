"""The merge from files has the weights of PEFT's merge, to the last bit, and never drifts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from test_engine import save_lora
from transformers import AutoModelForCausalLM

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.merge_to_disk import merged_weights


def merged_by_peft(base: Path, adapter: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    merged: Any = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return dict(merged.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"lora_alpha": 3, "use_rslora": True}])
def test_the_merge_is_pefts_to_the_last_bit(
    tiny_model_folder: Path, tmp_path: Path, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    adapter = save_lora(tiny_model_folder, tmp_path / "adapter", **options)
    expected = merged_by_peft(tiny_model_folder, adapter, dtype)
    ours = dict(merged_weights(tiny_model_folder, adapter, dtype))
    base = dict(merged_weights(tiny_model_folder, None, dtype))
    assert ours.keys() == base.keys() <= expected.keys()
    changed = [name for name in ours if not ours[name].equal(base[name].to(ours[name].dtype))]
    assert len(changed) == 2 * 7, "seven linear layers in each of two blocks"
    for name, weight in ours.items():
        assert weight.to(dtype).equal(expected[name]), name


def test_the_base_is_read_and_never_changed(tiny_model_folder: Path, tmp_path: Path) -> None:
    adapter = save_lora(tiny_model_folder, tmp_path / "adapter")
    before = (tiny_model_folder / "model.safetensors").read_bytes()
    for _ in range(3):
        list(merged_weights(tiny_model_folder, adapter, torch.bfloat16))
    assert (tiny_model_folder / "model.safetensors").read_bytes() == before


def test_an_adapter_of_another_model(tiny_model_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    adapter = save_lora(tiny_model_folder, tmp_path / "adapter")
    file = adapter / "adapter_model.safetensors"
    more = {name.replace("layers.0", "layers.7"): half for name, half in load_file(file).items()}
    save_file(more, file)
    with pytest.raises(AxiomError, match=r"has layers that .* lacks: model.layers.7"):
        list(merged_weights(tiny_model_folder, adapter, torch.float32))


@pytest.mark.parametrize(
    "options", [{"use_dora": True}, {"rank_pattern": {"q_proj": 2}}, {"modules_to_save": ["norm"]}]
)
def test_what_is_more_than_two_matrices_is_refused(
    tiny_model_folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    adapter = save_lora(tiny_model_folder, tmp_path / "adapter", **options)
    (key,) = options
    with pytest.raises(AxiomError, match=f"model.lora.{key}=.*sampler=transformers"):
        list(merged_weights(tiny_model_folder, adapter, torch.float32))
