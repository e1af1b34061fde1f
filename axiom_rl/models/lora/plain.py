"""Which LoRA adapters are two matrices per layer, the kind that vLLM takes and the merge knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axiom_rl.core.errors import AxiomError

PLAIN: Mapping[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none",),
    "lora_bias": (False, None),
    "fan_in_fan_out": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layer_replication": (None, []),
}
"""Options of peft.LoraConfig, and the values with which an adapter is two matrices per layer."""


def check_plain_lora(options: Mapping[str, Any]) -> None:
    """Refuse adapters that are more than two matrices per layer.

    Args:
        options: of peft.LoraConfig, as in `model.lora` or an adapter_config.json.

    Raises:
        AxiomError: naming the option.
    """
    for key, plain in PLAIN.items():
        if options.get(key, plain[0]) not in plain:
            raise AxiomError(
                f"model.lora.{key}={options[key]}: vLLM samples plain LoRA adapters; type "
                "sampler=transformers"
            )
