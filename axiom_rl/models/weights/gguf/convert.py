"""Convert a GGUF file, once, to a folder in Hugging Face format with bfloat16 safetensors."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from transformers import AutoConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json
from axiom_rl.models.weights.cache import check_free_disk
from axiom_rl.models.weights.check import model_of, one_line, require_shapes
from axiom_rl.models.weights.gguf.fields import hf_config
from axiom_rl.models.weights.gguf.metadata import metadata
from axiom_rl.models.weights.gguf.tokenizer import build_tokenizer, generation_config
from axiom_rl.models.weights.gguf.weights import (
    is_tied,
    parameters,
    quantization_name,
    shapes,
    weights,
)
from axiom_rl.models.weights.source import refuse_pointer

logger = logging.getLogger(__name__)

CONVERTER = 2
"""Part of the cache folder's name: a change in what is written makes a new folder."""

PINNED_CONVERTER = 1
"""The same for pinned files, which version 1 wrote as version 2 does: they are kept."""

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
"""How llama.cpp names the parts of a split file."""

SHARD_BYTES = 1_000_000_000
"""Weights held in memory before they are written."""

BYTES_PER_WEIGHT = 2


def gguf_parts(path: Path) -> list[Path]:
    """Return the files that make up a GGUF model: the one given, or all parts of a split one.

    Raises:
        AxiomError: naming the parts that are missing.
    """
    named = PART.fullmatch(path.name)
    if named is None:
        return [path]
    count = int(named["count"])
    parts = [
        path.with_name(f"{named['stem']}-{number:05}-of-{count:05}.gguf")
        for number in range(1, count + 1)
    ]
    missing = [part.name for part in parts if not part.is_file()]
    if missing or path not in parts:
        what = ", ".join(missing) or "no part of that number"
        raise AxiomError(f"{path} is one of {count} parts of a model, and beside it is no {what}")
    return parts


def open_gguf(path: Path) -> GGUFReader:
    """Return a reader that maps the file into memory; of a split file, with all parts' tensors.

    Raises:
        AxiomError: if a file is not a GGUF file or is cut short, or the parts do not make a whole.
    """
    parts = gguf_parts(path)
    readers = [_open(part) for part in parts]
    whole = readers[0]
    for number, (part, reader) in enumerate(zip(parts, readers, strict=True)):
        count = metadata(reader, "split.count", 1)
        if (metadata(reader, "split.no", 0), count or 1) != (number, len(parts)):
            raise AxiomError(
                f"{part} is part {metadata(reader, 'split.no', 0) + 1} of {count} by its own "
                "fields; parts are found by their names, NAME-00001-of-00002.gguf and so on"
            )
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    names = [tensor.name for tensor in tensors]
    if len(names) != len(set(names)):
        raise AxiomError(f"{path}: two of its parts hold a tensor of the same name")
    if metadata(whole, "split.tensors.count", len(names)) != len(names):
        raise AxiomError(f"{path}: its parts hold {len(names)} tensors, other than its fields say")
    whole.tensors = tensors
    return whole


def _open(path: Path) -> GGUFReader:
    refuse_pointer(path)
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
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
    fields = check_gguf(reader, path)
    count = parameters(reader)
    purpose = f"converting {path.name} to bfloat16"
    check_free_disk(folder.parent, count * BYTES_PER_WEIGHT, purpose)
    logger.info("%s: %.2f billion parameters, once", purpose, count / 1e9)
    config = AutoConfig.for_model(**fields)
    config.save_pretrained(folder)
    tokenizer = build_tokenizer(reader)
    tokenizer.save_pretrained(folder)
    generation_config(tokenizer, reader).save_pretrained(folder)
    _save_shards(reader, folder)
    return quantization_name(reader)


def check_gguf(reader: GGUFReader, path: Path) -> dict[str, Any]:
    """Return the configuration of a file whose every field and tensor is accounted for.

    Raises:
        AxiomError: naming what is missing, left over or not supported.
    """
    fields = hf_config(reader, tied=is_tied(reader))
    with one_line(path):
        model = model_of(AutoConfig.for_model(**fields))
    require_shapes(shapes(reader), model, str(path))
    return fields


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
