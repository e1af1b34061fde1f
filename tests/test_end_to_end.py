"""The real loop on a real model: python launch.py model=smollm2-135m, reduced, in a subprocess."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.gold.store import read_solutions
from axiom_rl.run.folder import read_sessions
from axiom_rl.run.tracking import read_metrics

ROOT = Path(__file__).resolve().parent.parent
TYPES = ("reverse_string", "is_palindrome", "max_subarray")
REDUCED = (
    "model=smollm2-135m",
    f"problems.types=[{','.join(TYPES)}]",
    *("sampler.n=4", "sampler.max_new_tokens=128", "trainer.iterations=1"),
    *("trainer.max_attempts=16", "trainer.args.num_train_epochs=1"),
)


def launch(*arguments: str, timeout_s: float) -> str:
    """Run launch.py as a user does; the hub is left alone, so that the wheel is the source."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a second look at a finished run must leave as it is."""
    changing = {"report.html", "report.md", "launch.log", "wandb.json"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in changing
    }


@pytest.mark.slow
def test_one_command_measures_trains_and_measures_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    launch(*REDUCED, f"hydra.run.dir={folder}", timeout_s=1800)

    before, after = (read_evaluation(folder / f"evaluation/{n}.json") for n in ("before", "after"))
    assert before.samples == after.samples == 4 * len(TYPES)
    assert {score.type for score in after.per_problem.values()} == set(TYPES)
    assert before.model["format"] == "Q4_1 dequantised" and before.model["adapter"] is None
    assert after.model["adapter"] and before.tests_sha256 == after.tests_sha256

    gold = read_solutions(folder / "solutions" / "iter_1.jsonl")
    assert gold and all(item.passed_tests == item.total_tests >= 5 for item in gold)
    passed = {
        (row["problem_id"], row["code"])
        for name in ("before", "attempts_1")
        for row in _rows(folder, name)
        if row["hidden"]["passed"]
    }
    assert {(item.problem_id, item.solution_code) for item in gold} <= passed

    metrics = read_metrics(folder)
    losses = [row["loss"] for row in metrics if row["phase"] == "train"]
    assert losses and all(loss > 0 for loss in losses)
    timed = {row["name"]: row for row in metrics if row["phase"] == "timing"}
    assert timed.keys() == {"evaluate", "collect", "train"}
    assert timed["evaluate"]["tokens"] > 0 and timed["train"]["peak_memory_gb"] < 6

    weights = read_json(folder / "adapter" / "adapter_config.json")
    assert (weights["peft_type"], weights["r"]) == ("LORA", 16)
    (session,) = read_sessions(folder)
    assert session["packages"]["trl"] and session["model"]["sha256"]
    for name in ("report.md", "report.html"):
        assert "SmolLM2-135M-Instruct" in (folder / name).read_text(encoding="utf-8")

    left = contents(folder)
    launch(f"resume={folder}", timeout_s=300)
    assert contents(folder) == left, "a finished run was done again"


def _rows(folder: Path, phase: str) -> list[dict[str, Any]]:
    path = folder / "completions" / f"{phase}.jsonl"
    return list(read_jsonl(path)) if path.exists() else []
