"""benchmarks/gpu.sh: rows come in order, one that fails is marked, and the others still run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from axiom_rl.config import GrpoConfig, load_config

ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    "tests",
    "tests with vLLM",
    "default job, sampler=transformers",
    "default job, sampler=vllm",
    "sampling",
    "GRPO step, ours",
    "GRPO, 12 GB preset",
]


def run(tmp_path: Path, python: str, *arguments: str, **more: str) -> tuple[int, list[list[str]]]:
    """Return the exit status, and the cells of each row of the table."""
    (tmp_path / "python").write_text(f"#!/bin/sh\n{python}\n")
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *arguments],
        env=os.environ | {"PYTHON": str(tmp_path / "python"), "OUT": str(tmp_path / "out")} | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[4:]]
    return done.returncode, [row for row in cells if row[0] in ROWS]


@pytest.mark.parametrize("arguments", [(), ("--small",)])
def test_all_rows_in_order(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    says = "echo '12 passed'; echo 'pass@1 55.0% -> 87.5%'; echo 'peak 9.10 GB'"
    status, rows = run(tmp_path, says, *arguments)
    assert status == 0
    assert [row[0] for row in rows] == ROWS
    assert [row[1] for row in rows if row[1]] == [
        *["12 passed"] * 2,
        *["pass@1 55.0% -> 87.5%"] * 2,
        "peak 9.10 GB",
    ]


def test_rows_that_fail_are_marked_and_counted(tmp_path: Path) -> None:
    """`-c` asks for vLLM; `- FOLDER` reads the evaluations."""
    fails = 'case "$1" in -c) exit 0;; -m) echo 3 failed; exit 1;; *memory_cap*) exit 9;; esac'
    status, rows = run(tmp_path, fails)
    assert status == 3
    assert [row[0] for row in rows if "FAILED" in row[1]] == [ROWS[0], ROWS[1], ROWS[6]]
    assert rows[0][1] == "FAILED (1), see tests.log: 3 failed"


def test_some_rows(tmp_path: Path) -> None:
    status, rows = run(tmp_path, "exit 0", STEPS="cap grpo")
    assert (status, [row[0] for row in rows]) == (0, ROWS[5:])


def test_the_tests_that_it_names_are_there() -> None:
    script = (ROOT / "benchmarks" / "gpu.sh").read_text(encoding="utf-8")
    named = re.findall(r"tests/[\w/]+\.py", script)
    assert named and all((ROOT / name).is_file() for name in named), named


def test_the_capped_job_is_the_preset() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from memory_cap import SHORT  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    trainer = load_config(*SHORT).trainer
    assert isinstance(trainer, GrpoConfig)
    preset = load_config("trainer=grpo_12gb").trainer.args
    assert {**trainer.args, "max_steps": preset["max_steps"]} == preset
