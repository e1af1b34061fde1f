"""Convert a GGUF file, once, to a folder in Hugging Face format with bfloat16 safetensors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from transformers import AutoConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json
from axiom_rl.models.weights.cache import check_free_disk
from axiom_rl.models.weights.gguf.tokenizer import build_tokenizer, generation_config
from axiom_rl.models.weights.gguf.weights import hf_config, parameters, quantization_name, weights

logger = logging.getLogger(__name__)

CONVERTER = 1
"""Part of the cache folder's name: a change in what is written makes a new folder."""

SHARD_BYTES = 1_000_000_000
"""Weights held in memory before they are written."""

BYTES_PER_WEIGHT = 2


def open_gguf(path: Path) -> GGUFReader:
    """Return a reader that maps the file into memory.

    Raises:
        AxiomError: if the file is not a GGUF file, or is cut short.
    """
    try:
        return GGUFReader(path)
    except (ValueError, IndexError) as error:
        raise AxiomError(f"{path} is not a whole GGUF file: {error}") from error


def convert_gguf(path: Path, folder: Path) -> str:
    """Write config, tokenizer and dequantised weights of the GGUF file `path` into `folder`.

    Peak memory is about SHARD_BYTES plus three times the largest tensor in float32.

    Returns:
        The name of the stored format, e.g. Q4_K_M.

    Raises:
        AxiomError: if the file is damaged or of a kind not supported, or the disk too full.
    """
    reader = open_gguf(path)
    count = parameters(reader)
    purpose = f"converting {path.name} to bfloat16"
    check_free_disk(folder.parent, count * BYTES_PER_WEIGHT, purpose)
    logger.info("%s: %.2f billion parameters, once", purpose, count / 1e9)
    fields = hf_config(reader)
    AutoConfig.for_model(**fields).save_pretrained(folder)
    tokenizer = build_tokenizer(reader)
    tokenizer.save_pretrained(folder)
    generation_config(tokenizer).save_pretrained(folder)
    _save_shards(reader, folder)
    return quantization_name(reader)


def _save_shards(reader: GGUFReader, folder: Path) -> None:
    """Write the weights as numbered safetensors files with an index."""
    shard: dict[str, torch.Tensor] = {}
    where: dict[str, str] = {}
    held = total = number = 0

    def write() -> None:
        nonlocal held, number
        number += 1
        file = f"model-{number:05}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        where.update(dict.fromkeys(shard, file))
        shard.clear()
        held = 0

    for name, tensor in weights(reader):
        shard[name] = tensor
        held += tensor.nbytes
        total += tensor.nbytes
        if held >= SHARD_BYTES:
            write()
    if shard:
        write()
    index: dict[str, Any] = {"metadata": {"total_size": total}, "weight_map": where}
    write_json(folder / "model.safetensors.index.json", index)
