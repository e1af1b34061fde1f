"""What a resolved model is: a folder in Hugging Face format and where its weights came from."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.weights.cache import cache_dir

Source = Literal["path", "cache", "hub", "wheels"]

ADAPTER = "adapter_config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

POINTER = b"version https://git-lfs"
"""How a file begins that Git LFS has not replaced by what it stands for."""

FLOATS = ("F64", "F32", "F16", "BF16")
"""Formats of stored weights, as safetensors names them; others are quantised."""

OTHER_FORMATS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.h5", "*.msgpack")

JUST_NOW_S = 2.0
"""A file changed so recently may change again within the clock's resolution."""

REMEMBERED_BYTES = 10_000_000
"""A smaller file is hashed anew in no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """The weights of one run: found, whole and identified."""

    name: str
    folder: Path
    """Config, tokenizer and safetensors in Hugging Face format."""
    source: Source
    format: str
    """`safetensors bfloat16`, or `Q4_K_M dequantised` for what came from a GGUF file."""
    sha256: str
    """Of the weights: the GGUF file they were dequantised from, the one safetensors file, or,
    where there are several, of the sorted list of their hashes."""
    revision: str
    """Commit of the hub repository, '' where there is none."""
    hub_id: str = ""
    """The model's name on the hub, '' for weights of one's own."""
    hub_revision: str = ""
    """Its revision; of the published weights, also where these came from a GGUF file."""
    chat_template: str | None = None
    """Text of a template that takes the place of the tokenizer's own (model.chat_template)."""
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    """Values that the template is rendered with (model.chat_template_kwargs)."""


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that make up the model, sorted.

    Raises:
        AxiomError: naming what is missing, damaged, left over or quantised, if the folder is not a
            whole model.
    """
    read_config(folder)
    if (folder / ADAPTER).is_file():  # transformers would put it on without a word
        raise AxiomError(
            f"{folder} holds an adapter ({ADAPTER}) beside the model; move it to a folder of its "
            "own, and type model.adapter= for that folder"
        )
    published_ends(folder)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise AxiomError(f"{folder} has no tokenizer (tokenizer.json)")
    for name in ("tokenizer.json", "tokenizer_config.json", INDEX):
        if (folder / name).is_file():
            refuse_pointer(folder / name)
    listed = _listed(folder)
    names = sorted(set(listed.values())) if listed else [SINGLE]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise AxiomError(
            f"{folder} has no {', '.join(missing)}; weights must be whole and in safetensors "
            f"format{_instead_of_weights(folder)}"
        )
    surplus = sorted({file.name for file in folder.glob("model*.safetensors")} - set(names))
    if surplus:
        raise AxiomError(
            f"{folder} holds {', '.join(surplus)} beside {', '.join(names)}, and "
            f"{'its index' if listed else 'no index'} names them; remove what is not the model's"
        )
    files = [folder / name for name in names]
    for file in files:
        wanted = {tensor for tensor, of in listed.items() if of == file.name}
        _check_header(file, wanted if listed else None)
    return files


def read_config(folder: Path) -> dict[str, Any]:
    """Return the folder's config.json.

    Raises:
        AxiomError: if there is none, it is damaged, or it is of quantised weights.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise AxiomError(
            f"{folder} is not a model in Hugging Face format: it has no config.json"
            f"{_instead_of_config(folder)}"
        )
    refuse_pointer(file)
    config = read_json(file)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise AxiomError(f"{file} names no model_type: it is not a model's configuration")
    quantized = config.get("quantization_config")
    if quantized:
        method = quantized.get("quant_method") if isinstance(quantized, dict) else None
        raise AxiomError(
            f"{folder} holds weights quantised by {method or 'a method it does not name'}; give "
            "the folder of the unquantised model (model.quantization=4bit quantises on loading)"
        )
    return config


def published_ends(folder: Path) -> list[int]:
    """Return the ids of the tokens that end a text by the folder's generation_config.json.

    Raises:
        AxiomError: if it is damaged.
    """
    file = folder / "generation_config.json"
    if not file.is_file():
        return []
    refuse_pointer(file)
    settings = read_json(file)
    ends = settings.get("eos_token_id") if isinstance(settings, dict) else ""
    ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in ends):
        raise AxiomError(f"{file} names {ends} as eos_token_id: must be numbers of tokens")
    return ends


def refuse_pointer(file: Path) -> None:
    """Raise AxiomError if the file is a pointer of Git LFS instead of what it stands for."""
    if first_bytes(file).startswith(POINTER):
        raise AxiomError(f"{file} is a pointer of Git LFS, not the file; type git lfs pull there")


def first_bytes(file: Path) -> bytes:
    """Return how a file begins, which tells what it is.

    Raises:
        AxiomError: if it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(len(POINTER))
    except OSError as error:
        raise AxiomError(f"cannot read {file}: {error.strerror}") from error


def count_parameters(folder: Path) -> int:
    """Return how many numbers a model's weights are, tied ones once, from the files' headers."""
    total = 0
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                total += math.prod(opened.get_slice(name).get_shape())
    return total


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    It is remembered in the cache for as long as the file's place, size and times stay the same.
    A safetensors file is read through for values that are no numbers when it is hashed.

    Raises:
        AxiomError: naming a tensor with such values.
    """
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    record = cache_dir() / "hashes" / f"{hashlib.sha256(repr(key).encode()).hexdigest()}.json"
    with contextlib.suppress(AxiomError):  # not there, or cut off: hashed anew
        known = read_json(record)
        if isinstance(known, dict) and isinstance(known.get("sha256"), str):
            return str(known["sha256"])
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if path.suffix == ".safetensors":
        refuse_broken_values(path)
    settled = time.time() - max(status.st_mtime, status.st_ctime) > JUST_NOW_S
    if settled and status.st_size >= REMEMBERED_BYTES:
        with contextlib.suppress(AxiomError):  # a cache that cannot be written costs time alone
            write_json(record, {"path": key[0], "sha256": found})
    return found


def weights_sha256(folder: Path) -> str:
    """Return the hash that identifies the weights in `folder` (see `ResolvedModel.sha256`)."""
    return files_sha256(weight_files(folder))


def files_sha256(files: list[Path]) -> str:
    """Return the hash of one file, or of the list of the hashes of several."""
    if len(files) == 1:
        return file_sha256(files[0])
    listing = "".join(f"{file_sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def stored_dtype(folder: Path) -> str:
    """Return the number format of the weights as the folder's configuration names it."""
    config = read_config(folder)
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _listed(folder: Path) -> dict[str, str]:
    """Return which file holds which tensor by the folder's index, {} if it has none."""
    if not (folder / INDEX).is_file():
        return {}
    index = read_json(folder / INDEX)
    listed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise AxiomError(f"{folder / INDEX} has no weight_map")
    for name in listed.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise AxiomError(f"{folder / INDEX} names {name!r}, which is no file of the folder")
    return listed


def _check_header(file: Path, wanted: set[str] | None) -> None:
    """Refuse a safetensors file that is cut, quantised, or holds other tensors than the index says.

    Args:
        file: the file.
        wanted: tensors that the index says it holds; None where there is no index.
    """
    refuse_pointer(file)
    try:
        with safe_open(file, framework="pt") as opened:
            formats = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AxiomError(f"{file} is cut short or damaged: {error}; fetch it again") from error
    if wanted is not None and formats.keys() != wanted:
        odd = sorted(formats.keys() ^ wanted)
        raise AxiomError(
            f"{file.parent / INDEX} and {file.name} differ in {len(odd)} tensors: "
            f"{', '.join(odd[:4])}; fetch the folder again"
        )
    stored = {name: kind for name, kind in formats.items() if kind not in FLOATS}
    if stored:
        name, kind = min(stored.items())
        raise AxiomError(
            f"{file} holds {len(stored)} tensors that are no floating-point weights ({name} is "
            f"{kind}); give the folder of the unquantised model"
        )


def refuse_broken_values(file: Path) -> None:
    """Refuse a safetensors file whose tensors are not all of finite floating-point numbers.

    Raises:
        AxiomError: naming a tensor that is not.
    """
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            kind = opened.get_slice(name).get_dtype()
            if kind not in FLOATS:
                raise AxiomError(f"{file}: the tensor {name} is {kind}, no floating-point weights")
            if not torch.isfinite(opened.get_tensor(name)).all():
                raise AxiomError(f"{file}: the tensor {name} holds NaN or infinite values")


def _instead_of_config(folder: Path) -> str:
    """Say what a folder without config.json is, where that can be seen."""
    if (folder / ADAPTER).is_file():
        return "; it is an adapter: type model.adapter= instead of model.path="
    if (folder / "snapshots").is_dir():
        return "; it is a repository in the hub's cache: give one of the folders under snapshots/"
    if found := sorted(file.name for file in folder.glob("*.gguf")):
        return f"; type model.path={folder / found[0]} for the GGUF file in it"
    return ""


def _instead_of_weights(folder: Path) -> str:
    """Name the weights in other formats that a folder holds."""
    found = sorted(file.name for pattern in OTHER_FORMATS for file in folder.glob(pattern))
    if (folder / ADAPTER).is_file():
        return ", and this is an adapter: type model.adapter= instead of model.path="
    if list(folder.glob("model-*-of-*.safetensors")):
        return f", and its shards need {INDEX}"
    return (
        f", and it holds {', '.join(found[:3])}: convert it with save_pretrained" if found else ""
    )
