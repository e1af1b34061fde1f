"""The cache of converted models: whole or not at all, built by one run at a time."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from safetensors import SafetensorError

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights import cache
from axiom_rl.models.weights.cache import build_once, cache_dir, check_free_disk, write_folder

KILLED_WHILE_BUILDING = """
import os, signal, sys
from pathlib import Path
from axiom_rl.models.weights.cache import build_once

def build(folder):
    (folder / "half").write_text("half a model")
    os.kill(os.getpid(), signal.SIGKILL)

build_once(Path(sys.argv[1]), build)
"""

BUILDS_SLOWLY = """
import sys, time
from pathlib import Path
from axiom_rl.models.weights.cache import build_once

def build(folder):
    with (Path(sys.argv[1]).parent / "builds").open("a") as file:
        file.write("built\\n")
    time.sleep(0.3)
    (folder / "whole").write_text("a model")

print((build_once(Path(sys.argv[1]), build) / "whole").read_text())
"""


def test_a_run_killed_while_building_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    target = tmp_path / "models" / "tiny"
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_BUILDING, str(target)], check=False)
    assert killed.returncode == -9
    assert not target.exists()

    build_once(target, lambda folder: (folder / "whole").write_text("a model"))

    assert [file.name for file in target.iterdir()] == ["whole"]
    assert [entry.name for entry in target.parent.iterdir() if entry.is_dir()] == ["tiny"]


def test_two_runs_at_once_build_once_and_both_get_it(tmp_path: Path) -> None:
    target = tmp_path / "tiny"
    command = [sys.executable, "-c", BUILDS_SLOWLY, str(target)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate()[0] for run in runs] == ["a model\n", "a model\n"]
    assert (tmp_path / "builds").read_text() == "built\n"


def test_a_failed_build_is_removed_and_the_next_one_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "tiny"

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(target, fails)
    assert not target.exists() and not list(tmp_path.glob(".tiny.tmp-*"))
    assert build_once(target, lambda folder: (folder / "whole").touch()) == target


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O: No space left")],
)
def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path, error: Exception) -> None:
    def fills_the_disk(folder: Path) -> None:
        raise error

    with pytest.raises(AxiomError, match=r"cannot write .*No space left.*nothing unfinished"):
        build_once(tmp_path / "tiny", fills_the_disk)
    with pytest.raises(AxiomError, match=r"cannot write .*No space left"):
        write_folder(tmp_path / "merged", fills_the_disk)
    assert not (tmp_path / "tiny").exists() and not (tmp_path / "merged").exists()


def test_too_little_free_disk_is_known_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage(10, 9, 1_000_000_000))
    check_free_disk(tmp_path / "not" / "there", 1_000_000_000, "converting")
    with pytest.raises(
        AxiomError, match=r"converting needs 2\.5 GB .* 1\.0 GB are free.*AXIOM_RL_C"
    ):
        check_free_disk(tmp_path / "not" / "there", 2_500_000_000, "converting")


def test_write_folder_refuses_a_folder_in_use_and_fills_an_empty_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_folder(out, lambda folder: (folder / "file").touch())
    assert (out / "file").exists()
    with pytest.raises(AxiomError, match="not empty"):
        write_folder(out, lambda folder: None)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXIOM_RL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_dir() == Path("/elsewhere/axiom-rl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "axiom-rl"
    monkeypatch.setenv("AXIOM_RL_CACHE", "~/mine")
    assert cache_dir() == Path.home() / "mine"
