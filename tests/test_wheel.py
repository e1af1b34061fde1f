"""What `pip install .` leaves is the whole program: its options travel with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_an_installed_wheel_lists_problems_from_an_empty_folder(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, place, empty = (tmp_path / name for name in ("wheels", "place", "empty"))
    empty.mkdir()
    subprocess.run([*pip, "wheel", "--no-deps", "-w", wheels, ROOT], check=True, cwd=tmp_path)
    (wheel,) = wheels.glob("axiom_rl-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", place, wheel], check=True)
    for program in (
        [sys.executable, place / "bin" / "axiom-rl"],
        [sys.executable, "-m", "axiom_rl"],
    ):
        done = subprocess.run(
            [*program, "stage=list", "problems=hard"],
            capture_output=True,
            text=True,
            cwd=empty,
            env=os.environ | {"PYTHONPATH": str(place)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "edit_distance" in done.stdout + done.stderr
    where = "import axiom_rl.config as c; print(c.CONF_DIR)"
    done = subprocess.run(
        [sys.executable, "-c", where],
        capture_output=True,
        text=True,
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(place)},
    )
    assert Path(done.stdout.strip()) == place / "axiom_rl" / "conf"
