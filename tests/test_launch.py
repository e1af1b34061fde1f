"""The command line: what goes wrong is said in one line, quickly, with exit status 2."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from axiom_rl.cli import main
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.stages import run_stage

ROOT = Path(__file__).resolve().parent.parent
CPU_S = 3.0
"""Processor seconds until an error before torch; on an idle machine, about as long to wait for."""


@dataclass(frozen=True)
class Done:
    status: int
    output: str
    cpu_s: float


def launch(*arguments: str, folder: Path, run_dir: bool = True) -> Done:
    """Run launch.py from another folder, as a user may."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    target = [f"hydra.run.dir={folder}/run"] if run_dir else []
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments, *target],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime
    return Done(done.returncode, done.stdout + done.stderr, spent)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["problms=hard"], ["unknown key problms", "problems"]),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (["problems.types=[two_summ]"], ["two_summ", "did you mean two_sum?"]),
                (["trainer=sft"], ["trainer=sft needs trainer.solutions"]),
                (["sampler.n=many"], ["sampler.n", "many"]),
                (
                    ["stage=evaluate", "stage.split=test"],
                    ["the test split is empty", "problems.sizes.test"],
                ),
                (["trainer=sft", "trainer.solutions=no.jsonl"], ["no such file: no.jsonl"]),
                (["stage=compare"], ["stage.runs"]),
            )
        ),
    ],
    ids=lambda value: value[-1][:30],
)
def test_errors_before_torch(arguments: list[str], said: list[str], tmp_path: Path) -> None:
    done = launch(*arguments, folder=tmp_path)
    assert done.status == 2
    for text in said:
        assert text in done.output
    assert "Traceback" not in done.output
    assert done.cpu_s < CPU_S
    assert [*tmp_path.iterdir()] == [], "a refusal leaves nothing behind"


def test_resume_of_a_folder_that_is_none(tmp_path: Path) -> None:
    done = launch("resume=nowhere", folder=tmp_path, run_dir=False)
    assert done.status == 2
    assert "resume=nowhere: no config.yaml there; give a run folder" in done.output
    assert [*tmp_path.iterdir()] == [], "no folder is made for a typo"


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    done = launch("seed=1", folder=tmp_path)
    assert done.status == 2
    assert "holds a run already: go on with it by resume=" in done.output
    assert (tmp_path / "run" / "config.yaml").read_text() == "seed: 0\n"


def test_help_names_the_groups_and_explains_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for group in ("model", "problems", "sampler", "sandbox", "trainer", "stage", "tracking"):
        assert f"\n  {group} " in said
    assert "qwen2.5-coder-0.5b" in said and "base_" not in said
    assert main(["--help", "trainer=grpo"]) == 0
    keys = capsys.readouterr().out
    assert "trainer.rewards={binary: 1.0}" in keys and "axiom_rl.rewards.register" in keys
    assert main(["--help", "trainer=gpro"]) == 2
    assert "did you mean grpo" in capsys.readouterr().err


def test_list_prints_the_problems(tmp_path: Path) -> None:
    listed = launch("stage=list", folder=tmp_path)
    assert [*tmp_path.iterdir()] == [], "a list leaves nothing behind"
    assert listed.status == 0 and listed.output.splitlines()[0].split()[:2] == ["type", "train"]
    assert "two_sum" in listed.output and "remove_duplicates" in listed.output
    assert listed.cpu_s < CPU_S


def test_list_shows_one_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = "stage.show=fizzbuzz/d1/train/s0/0"
    run_stage(load_config("stage=list", asked), tmp_path)
    assert "'FizzBuzz'" in capsys.readouterr().out
    with pytest.raises(AxiomError, match="fizzbuzz"):
        run_stage(load_config("stage=list", asked.replace("zz", "z", 1)), tmp_path)
