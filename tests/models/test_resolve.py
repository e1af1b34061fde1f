"""Where a model's weights are looked for, in which order, and how its absence is told."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from axiom_rl.config import GgufConfig, ModelConfig, WheelFile, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights import mirrors as wheels
from axiom_rl.models.weights import resolve as resolving
from axiom_rl.models.weights.gguf.convert import convert_gguf
from axiom_rl.models.weights.resolve import as_resolved, resolve
from axiom_rl.models.weights.source import file_sha256, files_sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def pinned(model_config: ModelConfig, tiny_gguf: Path) -> ModelConfig:
    """A configuration whose wheels carry the tiny model."""
    part = WheelFile(package="tiny", version="1.0", member="x", sha256="0" * 64, bytes=1)
    model_config.gguf = GgufConfig(
        file=tiny_gguf.name,
        sha256=file_sha256(tiny_gguf),
        bytes=tiny_gguf.stat().st_size,
        quantization="Q8_0",
        repo="",
        revision=COMMIT,
        wheels=[part],
    )
    return model_config


@pytest.fixture
def fetch(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Fetching the wheels, replaced by a copy."""
    replaced = Mock(side_effect=lambda gguf, out: shutil.copy(tiny_gguf, out))
    monkeypatch.setattr(resolving, "check_reachable", lambda gguf: None)
    monkeypatch.setattr(resolving, "fetch_gguf", replaced)
    return replaced


def put_in_hub_cache(config: ModelConfig, folder: Path) -> Path:
    """Lay a folder out as the hub's client does."""
    from huggingface_hub import constants

    repository = Path(constants.HF_HUB_CACHE) / f"models--{config.hub_id.replace('/', '--')}"
    config.revision = COMMIT
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    return snapshot


def test_a_folder_given_by_path_goes_before_everything(
    pinned: ModelConfig, tiny_model_folder: Path, fetch: Mock
) -> None:
    pinned.path = str(tiny_model_folder)
    resolved = resolve(pinned)
    assert (resolved.source, resolved.folder) == ("path", tiny_model_folder)
    assert resolved.format == "safetensors float32"
    assert resolved.sha256 == file_sha256(tiny_model_folder / "model.safetensors")
    fetch.assert_not_called()


def test_a_gguf_file_given_by_path_is_converted_once(
    model_config: ModelConfig, tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_config.path = str(tiny_gguf)
    first = resolve(model_config)
    assert first.source == "path" and first.folder.is_relative_to(own_cache)
    assert first.format == "Q8_0 dequantised" and first.sha256 == file_sha256(tiny_gguf)
    monkeypatch.setattr(resolving, "convert_gguf", lambda *_: pytest.fail("converted twice"))
    assert resolve(model_config) == first


def test_wheels_come_last_and_then_the_cache(pinned: ModelConfig, fetch: Mock) -> None:
    first = resolve(pinned)
    assert (first.source, first.revision) == ("wheels", COMMIT)
    assert pinned.gguf is not None and first.sha256 == pinned.gguf.sha256
    assert not list(first.folder.glob("*.gguf"))
    second = resolve(pinned)
    assert second.source == "cache" and second.folder == first.folder
    assert fetch.call_count == 1


def test_the_hubs_local_cache_goes_before_the_converted_one_and_the_wheels(
    pinned: ModelConfig, tiny_model_folder: Path, fetch: Mock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    resolve(pinned)  # from now on converted, too
    assert caplog.text.count("these weights are Q8_0 dequantised, not the published ones") == 1
    caplog.clear()
    snapshot = put_in_hub_cache(pinned, tiny_model_folder)
    resolved = resolve(pinned)
    assert (resolved.source, resolved.folder, resolved.revision) == ("cache", snapshot, COMMIT)
    assert resolved.hub_id == pinned.hub_id
    assert fetch.call_count == 1 and "dequantised" not in caplog.text


def test_the_hub_goes_before_the_converted_cache(
    pinned: ModelConfig, tiny_model_folder: Path, fetch: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(pinned)
    monkeypatch.setattr(resolving, "fetch_snapshot", lambda *_: tiny_model_folder)
    assert resolve(pinned).source == "hub"


def test_half_a_download_in_the_hubs_cache_is_passed_over(
    pinned: ModelConfig, tiny_model_folder: Path, fetch: Mock
) -> None:
    (put_in_hub_cache(pinned, tiny_model_folder) / "model.safetensors").unlink()
    assert resolve(pinned).source == "wheels"


def test_a_conversion_that_fails_leaves_no_folder(
    pinned: ModelConfig, fetch: Mock, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(resolving, "convert_gguf", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            resolve(pinned)
    assert not [path for path in (own_cache / "models").iterdir() if path.is_dir()]
    assert resolve(pinned).source == "wheels"


def test_what_was_tried_and_what_to_type_is_told(
    model_config: ModelConfig, own_cache: Path
) -> None:
    with pytest.raises(AxiomError) as caught:
        resolve(model_config)
    message = str(caught.value)
    for part in (
        "nobody/nothing cannot be had",
        "converted cache: no GGUF file is pinned",
        "hub cache: not in the hub's local cache",
        "hub: HF_HUB_OFFLINE is set",
        "wheels: no wheels carry this model",
        "model.path=FOLDER",
        "model=smollm2-135m",
        str(own_cache),
    ):
        assert part in message


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.touch(), "neither a folder nor a .gguf file"),
        (lambda path: path.mkdir(), "has no config.json"),
        (lambda path: path.write_bytes(b"PK"), "neither a folder nor a .gguf file"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "Git LFS"),
        (lambda path: os.mkfifo(path), "neither a folder nor a file"),
    ],
)
def test_a_wrong_path_is_an_error_at_once(
    model_config: ModelConfig, tmp_path: Path, make: object, complaint: str
) -> None:
    path = tmp_path / "model"
    make(path)
    model_config.path = str(path)
    with pytest.raises(AxiomError, match=complaint):
        resolve(model_config)


def test_a_folder_with_a_missing_shard_or_tokenizer_is_an_error(
    model_config: ModelConfig, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    model_config.path = str(folder)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(AxiomError, match=r"has no model-00002\.safetensors"):
        resolve(model_config)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(AxiomError, match="has no tokenizer"):
        resolve(model_config)


def test_the_hash_of_several_files_depends_on_each(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        file.write_text(file.name)
    before = files_sha256(files)
    files[1].write_text("changed")
    assert before != files_sha256(files) != file_sha256(files[0])


@pytest.mark.slow
def test_an_index_that_hangs_costs_its_time_limit(
    silent_server: str, pinned: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", silent_server)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(wheels, "PROBE_S", 3.0)
    assert pinned.gguf is not None
    start = time.monotonic()
    with pytest.raises(AxiomError, match="package index"):
        wheels.check_reachable(pinned.gguf)
    assert time.monotonic() - start < 4.5


OTHER = "Qwen/Qwen2.5-0.5B-Instruct"


def test_a_changed_id_or_revision_never_meets_another_ones_mirror(
    tiny_gguf: Path, tiny_model_folder: Path, fetch: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = load_config().model
    assert default.gguf is not None
    built = resolving.converted_folder(default.gguf.file, default.gguf.sha256)
    built.mkdir(parents=True)
    convert_gguf(tiny_gguf, built)
    record = {"name": "x", "format": "Q4_K_M dequantised", "sha256": "0", "revision": ""}
    (built / resolving.RECORD).write_text(json.dumps(record))
    mine = resolve(default)
    assert (mine.source, mine.name, mine.folder) == ("cache", default.name, built)
    assert mine.hub_id == default.hub_id

    for override in (f"model.hub_id={OTHER}", "model.revision=main"):
        with pytest.raises(
            AxiomError, match=r"converted cache: .*gguf is of Qwen/Qwen2\.5-Coder-0"
        ):
            resolve(load_config(override).model)
    fetch.assert_not_called()

    asked = load_config(f"model.hub_id={OTHER}", f"model.revision={COMMIT}").model
    put_in_hub_cache(asked, tiny_model_folder)
    found = resolve(asked)
    assert (found.name, found.hub_id, found.revision) == ("Qwen2.5-0.5B-Instruct", OTHER, COMMIT)
    refs = main_of(asked)
    refs.write_text(COMMIT)
    assert resolve(load_config(f"model.hub_id={OTHER}").model) == found  # main, not the preset's
    named = load_config(f"model.hub_id={OTHER}", f"model.revision={COMMIT}", "model.name=mine")
    assert resolve(named.model).name == "mine"
    refs.unlink()
    with pytest.raises(AxiomError, match=rf"only at {COMMIT}: type model\.revision={COMMIT}"):
        resolve(load_config(f"model.hub_id={OTHER}").model)


def main_of(config: ModelConfig) -> Path:
    """Where the hub's cache notes the commit of main."""
    from huggingface_hub import constants

    repository = Path(constants.HF_HUB_CACHE) / f"models--{config.hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(exist_ok=True)
    return repository / "refs" / "main"


@pytest.mark.parametrize("preset", ["qwen2.5-coder-0.5b", "llama-3.2-1b"])
def test_a_path_of_ones_own_is_named_by_its_folder_or_file(
    preset: str,
    tiny_model_folder: Path,
    tiny_gguf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "mein Modell ü"
    shutil.copytree(tiny_model_folder, folder)
    link = tmp_path / "linked"
    link.symlink_to(folder)
    hub_like = tmp_path / "models--Acme--Coder-1B" / "snapshots" / COMMIT
    shutil.copytree(tiny_model_folder, hub_like)
    monkeypatch.chdir(folder)
    for path, name in (
        (folder, folder.name),
        (link, "linked"),
        (Path(), folder.name),
        (tiny_gguf, tiny_gguf.stem),
        (hub_like, "Coder-1B"),
    ):
        config = load_config(f"model={preset}").model
        config.path = str(path)
        resolved = resolve(config)
        assert resolved.name == name
        assert resolved.hub_id == ("Acme/Coder-1B" if path == hub_like else "")
        assert resolved.revision == (COMMIT if path == hub_like else "")
    recorded = as_resolved(config, resolved)  # as config.yaml holds it
    assert (recorded.name, recorded.hub_id, recorded.gguf) == ("Coder-1B", "Acme/Coder-1B", None)
    assert resolve(recorded) == resolved  # on resume
    config.name = "mine"
    assert resolve(config).name == "mine"


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("hub_id", "./here", "has the form OWNER/MODEL"),
        ("hub_id", "{folder}", r"is a place on this disk: type model\.path="),
        ("hub_id", "not a name", "has the form OWNER/MODEL"),
        ("hub_id", "a/b/c", "has the form OWNER/MODEL"),
        ("hub_id", "", "has the form OWNER/MODEL"),
        ("path", "Qwen/Qwen2.5-0.5B-Instruct", r"type model\.hub_id=Qwen/Qwen2\.5-0\.5B-Instruct"),
        ("path", "{folder}/model.safetensors", r"is one file of a model \(type model\.path=\S+\)"),
    ],
)
def test_a_path_for_an_id_and_the_other_way_round_are_told(
    model_config: ModelConfig, tiny_model_folder: Path, key: str, value: str, complaint: str
) -> None:
    setattr(model_config, key, value.format(folder=tiny_model_folder))
    with pytest.raises(AxiomError, match=complaint) as caught:
        resolve(model_config)
    assert "\n" not in str(caught.value)


ASK = """
from axiom_rl.config import load_config
from axiom_rl.models.weights.gguf.convert import convert_gguf
from axiom_rl.models.weights.resolve import as_resolved, resolve
resolve(load_config().model)
"""


@pytest.mark.slow
def test_the_whole_error_comes_within_20_seconds(silent_server: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": silent_server,
        "HF_HOME": str(tmp_path),
        "PIP_INDEX_URL": silent_server,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(tmp_path),
        "AXIOM_RL_CACHE": str(tmp_path),
    }
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False
    )
    assert "cannot be had here" in done.stderr and "model.path=FOLDER" in done.stderr
    assert time.monotonic() - start < 20
