"""LoRA adapters: options checked early, new ones made, trained ones loaded, saved and merged."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftModel
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.load import load_model, load_tokenizer
from axiom_rl.models.weights.cache import write_folder
from axiom_rl.models.weights.source import ResolvedModel

logger = logging.getLogger(__name__)

BASE_RECORD = "base_model.json"
"""Written beside an adapter: which weights it was trained on."""


def check_lora_options(lora: dict[str, Any]) -> LoraConfig:
    """Return the PEFT configuration of the options, for a causal language model.

    Raises:
        AxiomError: for a key that `peft.LoraConfig` does not know, with the near misses, or a
            value that it refuses.
    """
    known = [field.name for field in dataclasses.fields(LoraConfig)]
    for key in lora:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise AxiomError(f"model.lora.{key}: peft.LoraConfig has no such option{hint}")
    try:
        return LoraConfig(**{"task_type": "CAUSAL_LM", **lora})
    except (TypeError, ValueError) as error:
        raise AxiomError(f"model.lora: peft.LoraConfig refuses these options: {error}") from error


def new_lora(model: PreTrainedModel, lora: dict[str, Any]) -> PeftModel:
    """Put a new, trainable adapter on `model`, in place. Seed torch first: its init is random.

    Raises:
        AxiomError: as `check_lora_options`, or if target_modules name no layer of the model.
    """
    options = check_lora_options(lora)
    if getattr(model, "is_loaded_in_4bit", False):
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    try:
        return peft.get_peft_model(model, options)
    except ValueError as error:
        raise AxiomError(f"model.lora does not fit this model: {error}") from error


def trainable_adapter(
    model: PreTrainedModel, lora: dict[str, Any], start: str | Path | None, base: ResolvedModel
) -> PeftModel:
    """Put the adapter in the folder `start` on `model`, or a new one if that is None.

    Raises:
        AxiomError: as `new_lora` and `load_adapter`.
    """
    if start is None:
        return new_lora(model, lora)
    return load_adapter(model, start, base, trainable=True)


def load_adapter(
    model: PreTrainedModel,
    folder: str | Path,
    resolved: ResolvedModel | None = None,
    *,
    trainable: bool = False,
) -> PeftModel:
    """Put a trained adapter on `model`, in place, unmerged.

    Args:
        model: The base model the adapter was trained on.
        folder: Where `save_adapter` (or PEFT) wrote it.
        resolved: The weights of `model`, compared with what the adapter's folder records.
        trainable: True to go on training it.

    Raises:
        AxiomError: if the folder holds no whole adapter, or one of another base model.
    """
    folder = check_adapter_folder(folder)
    if resolved is not None:
        check_same_base(folder, resolved)
    try:
        return PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise AxiomError(
            f"the adapter in {folder} does not fit this model ({reason}); it was trained on "
            f"{_recorded_base(folder)}: choose that with model="
        ) from error


def check_adapter_folder(folder: str | Path) -> Path:
    """Return the folder as a path if it holds a whole LoRA adapter.

    Raises:
        AxiomError: naming what is missing.
    """
    folder = Path(folder).expanduser()
    config = folder / "adapter_config.json"
    if not config.is_file():
        inside = folder / "adapter"
        hint = f"; did you mean {inside}?" if (inside / "adapter_config.json").is_file() else ""
        raise AxiomError(f"model.adapter: {folder} has no adapter_config.json{hint}")
    if read_json(config).get("peft_type") != "LORA":
        raise AxiomError(f"model.adapter: {folder} is not a LoRA adapter")
    weights = folder / "adapter_model.safetensors"
    try:
        with safe_open(weights, framework="pt"):
            return folder
    except (FileNotFoundError, SafetensorError) as error:
        raise AxiomError(
            f"model.adapter: {weights} is missing or damaged: {error}; name another checkpoint"
        ) from error


def save_adapter(model: PeftModel, folder: Path, resolved: ResolvedModel) -> None:
    """Write the adapter to a new folder, whole or not at all, with a record of its base model.

    Raises:
        AxiomError: if the folder exists and is not empty, or the disk is full.
    """

    def build(temporary: Path) -> None:
        model.save_pretrained(str(temporary), selected_adapters=["default"])
        record = dataclasses.asdict(resolved)
        del record["folder"], record["source"]  # of one machine, not of the weights
        write_json(temporary / BASE_RECORD, record)

    write_folder(folder, build)


def load_merged(
    resolved: ResolvedModel,
    adapter: str | Path,
    config: ModelConfig,
    *,
    dtype: torch.dtype | None = None,
) -> PreTrainedModel | PeftModel:
    """Load the pristine base model with a trained adapter merged into its weights.

    The same three calls of plain transformers and PEFT, so the same weights to the last bit. A
    base in 4 bits keeps the adapter beside it: merging would round most of it away.

    Raises:
        AxiomError: as `load_model` and `load_adapter`.
    """
    folder = check_adapter_folder(adapter)
    model, _tokenizer = load_model(resolved, config, dtype=dtype)
    adapted = load_adapter(model, folder, resolved)
    if config.quantization == "4bit":
        return adapted
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


def export_merged(
    resolved: ResolvedModel, adapter: str | Path, out: Path, config: ModelConfig
) -> None:
    """Write base model and adapter, merged, as a new folder in Hugging Face format.

    The weights are merged in the format they are stored in (bfloat16), on the CPU, whatever
    the config says of quantization and device.

    Raises:
        AxiomError: as `load_merged`; or if `out` exists and is not empty, or the disk is full.
    """
    plain = dataclasses.replace(config, quantization="none", device="cpu", dtype="bfloat16")
    model = load_merged(resolved, adapter, plain)

    def build(temporary: Path) -> None:
        model.save_pretrained(str(temporary))
        load_tokenizer(resolved).save_pretrained(temporary)

    write_folder(out, build)


def check_same_base(folder: Path, resolved: ResolvedModel) -> None:
    """Refuse an adapter that was trained on other weights than these, where its folder says so.

    Raises:
        AxiomError: naming both models.
    """
    record = folder / BASE_RECORD
    if record.is_file() and read_json(record)["sha256"] != resolved.sha256:
        raise AxiomError(
            f"the adapter in {folder} was trained on {_recorded_base(folder)}, and this run has "
            f"other weights: {resolved.name} ({resolved.format}); choose the same with model="
        )


def _recorded_base(folder: Path) -> str:
    record = folder / BASE_RECORD
    if record.is_file():
        fields = read_json(record)
        return f"{fields['name']} ({fields['format']})"
    config = read_json(folder / "adapter_config.json")
    return str(config.get("base_model_name_or_path") or "a model it does not name")
