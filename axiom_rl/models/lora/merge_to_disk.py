"""The exact merge of a pristine base model and a LoRA adapter, weight by weight, from their files.

The base is read from disk each time and never changed, so nothing drifts over any number of merges.
The arithmetic is that of PEFT's own merge: the same weights to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.models.weights.source import weight_files

PREFIX = "base_model.model."
"""Of every name in an adapter that PEFT saved."""


def merged_weights(
    base: Path, adapter: Path | None, dtype: torch.dtype
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of every weight of the base model, the adapter added where it has one.

    Args:
        base: folder of the base model in Hugging Face format.
        adapter: folder that PEFT saved; None gives the base model as it is.
        dtype: number format of the sum; weights without an adapter keep the one they are stored in.

    Raises:
        AxiomError: if the adapter is not plain LoRA, or has a layer that the base lacks.
    """
    deltas = {} if adapter is None else _deltas(adapter)
    for file in weight_files(base):
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (no mapping: it has no iterator)
                weight = stored.get_tensor(name)
                pair = deltas.pop(name, None)
                yield name, weight if pair is None else _add(weight.to(dtype, copy=True), *pair)
    if deltas:
        raise AxiomError(
            f"the adapter in {adapter} has layers that {base.name} lacks: {min(deltas)}; choose "
            "the model that it was trained on with model="
        )


def _add(
    weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scaling: float
) -> torch.Tensor:
    weight += (up @ down) * scaling  # in float32, rounded once: as PEFT does it
    return weight


def _deltas(adapter: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor, float]]:
    """Return A (rank, in), B (out, rank) and the scaling by the name of the weight they change."""
    options = read_json(adapter / "adapter_config.json")
    check_plain_lora(options)
    rank, alpha = int(options["r"]), float(options["lora_alpha"])
    scaling = alpha / rank**0.5 if options.get("use_rslora") else alpha / rank
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as stored:
        halves = {name.removeprefix(PREFIX): stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    return {
        name.replace(".lora_A.weight", ".weight"): (
            half.float(),
            halves[name.replace("lora_A", "lora_B")].float(),
            scaling,
        )
        for name, half in halves.items()
        if name.endswith(".lora_A.weight")
    }


class MergingWorker:
    """What vLLM's worker gains (its `worker_extension_cls`): weights replaced in place."""

    def load_merged(self, base: str, adapter: str | None, dtype: str) -> None:
        """Fill the worker's model with base and adapter, merged; None gives the pristine base."""
        weights = merged_weights(
            Path(base), Path(adapter) if adapter else None, getattr(torch, dtype)
        )
        runner: Any = getattr(self, "model_runner")  # noqa: B009 (the worker's, not this class's)
        runner.reload_weights(weights_iterator=weights)
