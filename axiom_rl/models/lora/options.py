"""LoRA adapters: options checked early, new ones made, trained ones loaded, saved and merged."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any

import peft
import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from axiom_rl.config import ModelConfig
from axiom_rl.config.lora_options import check_lora_options
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.load import choose_device, choose_dtype, load_model, load_tokenizer
from axiom_rl.models.lora.card import describe_adapter, describe_merged
from axiom_rl.models.lora.fit import (
    BASE_RECORD,
    CONFIG,
    WEIGHTS,
    check_adapter_fits,
    check_new_layers,
    lora_config,
    recorded_base,
    refusing_instead,
)
from axiom_rl.models.weights.cache import write_folder
from axiom_rl.models.weights.source import ResolvedModel

logger = logging.getLogger(__name__)

RECORDED = ("name", "format", "sha256", "revision", "hub_id", "hub_revision")
"""What an adapter's folder says of the weights it was trained on; nothing of one machine."""


def new_lora(model: PreTrainedModel, lora: dict[str, Any]) -> PeftModel:
    """Put a new, trainable adapter on `model`, in place. Seed torch first: its init is random.

    The base keeps its number formats, 4 bits or not: PEFT's preparation for 4 bits would cast
    embeddings, head and norms to float32, and with them everything that is computed.

    Raises:
        AxiomError: for options that a run cannot honour or that do not fit the model.
    """
    options = lora_config(lora)
    try:
        with refusing_instead():
            adapted: Any = peft.get_peft_model(model, options)
    except (ValueError, re.error) as error:
        raise AxiomError(f"model.lora does not fit this model: {error}") from error
    check_new_layers(adapted)
    return adapted  # type: ignore[no-any-return]


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
        AxiomError: if the folder holds no whole adapter, one of another base model, or one that is
            more than LoRA on linear layers.
    """
    folder = check_adapter_folder(folder)
    if resolved is not None:
        check_same_base(folder, resolved)
    check_adapter_fits(model.config, folder)
    adapted = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    # As for a new adapter; with the id of a repository PEFT asks the hub at each checkpoint.
    adapted.peft_config["default"].base_model_name_or_path = str(model.name_or_path)
    return adapted


def check_adapter_folder(folder: str | Path) -> Path:
    """Return the folder as a path if it holds a whole LoRA adapter that a run can honour.

    Raises:
        AxiomError: naming what is missing, or the option that is not supported.
    """
    folder = Path(folder).expanduser()
    config = folder / CONFIG
    if not config.is_file():
        inside = folder / "adapter"
        hint = f"; did you mean {inside}?" if (inside / CONFIG).is_file() else ""
        raise AxiomError(f"model.adapter: {folder} has no {CONFIG}{hint}")
    options = read_json(config)
    if not isinstance(options, dict) or options.get("peft_type") != "LORA":
        raise AxiomError(f"model.adapter: {folder} is not a LoRA adapter")
    check_lora_options(options, source=f"model.adapter: {config}")
    weights = folder / WEIGHTS
    try:
        with safe_open(weights, framework="pt"):
            return folder
    except (OSError, SafetensorError) as error:
        raise AxiomError(
            f"model.adapter: {weights} is missing or damaged: {error}; name another checkpoint"
        ) from error


def save_adapter(model: PeftModel, folder: Path, resolved: ResolvedModel, how: str = "") -> None:
    """Write the adapter to a new folder, whole or not at all, with its card and base model.

    Args:
        model: base model with the adapter on it.
        folder: to make.
        resolved: the weights of the base.
        how: it was trained, for the card.

    Raises:
        AxiomError: if the folder exists and is not empty, or the disk is full.
    """

    def build(temporary: Path) -> None:
        model.save_pretrained(
            str(temporary), selected_adapters=["default"], save_embedding_layers=False
        )
        record = {key: getattr(resolved, key) for key in RECORDED}
        four_bit = getattr(model, "is_loaded_in_4bit", False)
        record["quantization"] = "4bit" if four_bit else "none"
        write_json(temporary / BASE_RECORD, record)
        describe_adapter(temporary, resolved, how)

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
    trained = _quantization_of(folder)
    if trained not in ("", config.quantization):
        logger.warning(
            "%s was trained with model.quantization=%s and is used with %s: its scores differ a "
            "little",
            folder,
            trained,
            config.quantization,
        )
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

    The weights are those that an evaluation with this `config` has, in the same number format
    (model.dtype), so that the same is exported that was scored. 4 bits are the exception: the
    adapter is merged into the weights that they were made from, which the log says.

    Raises:
        AxiomError: as `load_merged`; or if `out` exists and is not empty, or the disk is full.
    """
    dtype = choose_dtype(config.dtype, choose_device(config.device))
    plain = dataclasses.replace(config, quantization="none", device="cpu")
    model = load_merged(resolved, adapter, plain, dtype=dtype)
    logger.info("merged in %s", str(dtype).removeprefix("torch."))

    def build(temporary: Path) -> None:
        model.save_pretrained(str(temporary))
        load_tokenizer(resolved).save_pretrained(temporary)
        describe_merged(temporary, resolved)

    write_folder(out, build)


def warn_of_another_base(folder: Path, resolved: ResolvedModel) -> None:
    """Say so if an adapter that others made names another model of the hub than this one.

    No more than that: one model has several names there, and its weights are recorded nowhere.
    """
    named = recorded_base(folder)
    is_hub_id = named.count("/") == 1 and not named.startswith((".", "/", "~"))
    if (folder / BASE_RECORD).is_file() or not is_hub_id or not resolved.hub_id:
        return
    if named.lower() != resolved.hub_id.lower():
        logger.warning(
            "the adapter in %s says that it was trained on %s, and this run has %s: if these are "
            "not the same weights, every score of the run is of neither",
            folder,
            named,
            resolved.hub_id,
        )


def _quantization_of(folder: Path) -> str:
    """Return none or 4bit, as recorded when the adapter was saved; '' where nothing is."""
    record = folder / BASE_RECORD
    return str(read_json(record).get("quantization", "")) if record.is_file() else ""


def check_same_base(folder: Path, resolved: ResolvedModel) -> None:
    """Refuse an adapter that was trained on other weights than these, where its folder says so.

    Raises:
        AxiomError: naming both models.
    """
    record = folder / BASE_RECORD
    if record.is_file() and read_json(record).get("sha256") != resolved.sha256:
        raise AxiomError(
            f"the adapter in {folder} was trained on {recorded_base(folder)}, and this run has "
            f"other weights: {resolved.name} ({resolved.format}); choose the same with model="
        )
