"""Every file of conf/model composes, and what it pins is well formed."""

from __future__ import annotations

import re

import pytest

from axiom_rl.config import CONF_DIR, load_config
from axiom_rl.models.lora.fit import lora_config

PRESETS = sorted(file.stem for file in (CONF_DIR / "model").glob("*.yaml"))


def test_the_models_of_the_readme_are_there() -> None:
    assert PRESETS == [
        "llama-3.2-1b",
        "qwen2.5-coder-0.5b",
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder-7b",
        "qwen3-0.6b",
        "smollm2-135m",
    ]
    assert load_config().model.name == "Qwen2.5-Coder-0.5B-Instruct"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_composes_and_pins_what_it_names(preset: str) -> None:
    model = load_config(f"model={preset}").model
    assert re.fullmatch("[0-9a-f]{40}", model.revision)
    assert model.hub_id.endswith(model.name)
    assert lora_config(model.lora).target_modules == "all-linear"
    assert (model.lora["r"], model.lora["lora_alpha"], model.lora["lora_dropout"]) == (16, 32, 0.0)
    if model.gguf is None:
        return
    assert model.gguf.file.endswith(".gguf") and re.fullmatch("[0-9a-f]{64}", model.gguf.sha256)
    assert len({wheel.package for wheel in model.gguf.wheels}) == len(model.gguf.wheels)
    for wheel in model.gguf.wheels:
        assert re.fullmatch("[0-9a-f]{64}", wheel.sha256)
        assert wheel.member.startswith(wheel.package.replace("-", "_") + "/")
    # the wheels are archives of the file's parts, which hardly compress
    assert 0.9 < sum(wheel.bytes for wheel in model.gguf.wheels) / model.gguf.bytes < 1.0


def test_a_single_lora_option_can_be_set_and_another_added() -> None:
    lora = load_config("model.lora.r=8", "+model.lora.use_rslora=true").model.lora
    assert lora["r"] == 8 and lora["use_rslora"] is True and lora["lora_alpha"] == 32
