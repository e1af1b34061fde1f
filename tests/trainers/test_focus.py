"""Expert iteration with a curriculum: more samples where the model is weak, also after a stop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scripted_run import Stage, Stopped

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.gold.store import read_solutions
from axiom_rl.run.tracking import read_metrics

FOCUS = (
    "trainer.problems_per_iteration=9",
    *("trainer.curriculum.focus=1", "trainer.curriculum.window=1"),
    *("trainer.args.num_train_epochs=1", "trainer.args.warmup_steps=0"),
)


def drawn(folder: Path, iteration: int) -> Counter[str]:
    """Samples by type that the curriculum asked for."""
    rows = read_jsonl(folder / "completions" / f"focus_{iteration}.jsonl")
    return Counter(row["problem_id"].partition("/")[0] for row in rows)


def outcome(folder: Path) -> dict[str, Any]:
    collected = [row for row in read_metrics(folder) if row["phase"] == "collect"]
    return {
        "drawn": [drawn(folder, iteration) for iteration in (1, 2)],
        "state": [read_json(folder / f"checkpoints/curriculum_{k}.json") for k in (1, 2)],
        "solutions": [
            item.solution_code for item in read_solutions(folder / "solutions" / "iter_2.jsonl")
        ],
        "adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
        "collected": [{k: v for k, v in row.items() if k != "time"} for row in collected],
    }


@pytest.mark.usefixtures("recwarn")
@pytest.mark.slow
def test_weak_problems_get_more_samples_and_a_stopped_run_draws_the_same(
    stage: Stage, tmp_path: Path
) -> None:
    whole = stage.run(tmp_path / "whole", *FOCUS)
    # pass rates before: reverse 3 of 4 (weight 0.25), the others 0 (weight 1): 9 draws of 4 samples
    assert drawn(whole, 1) == {"reverse_string": 4, "is_palindrome": 16, "fizzbuzz": 16}
    # after iteration 1: reverse 3 of 4, palindrome 4 of 4 (0.1 at least), fizzbuzz 2 of 4
    second = drawn(whole, 2)
    assert second["fizzbuzz"] > second["is_palindrome"]
    assert not (whole / "completions" / "attempts_1.jsonl").exists(), "the curriculum decides alone"
    first = next(row for row in read_metrics(whole) if row["phase"] == "collect")
    assert first["draws"] == {"reverse_string": 1, "is_palindrome": 4, "fizzbuzz": 4}
    assert first["samples"] == 12 + 36
    solved = {
        s.problem_id.partition("/")[0] for s in read_solutions(whole / "solutions/iter_1.jsonl")
    }
    assert solved == {"reverse_string", "is_palindrome"}, "found by the samples of the curriculum"

    asked = sorted(stage.drawn)
    stage.drawn.clear()
    stage.stops = ["draw 0/focus_1 fizzbuzz 9", "after collect/2"]
    for _ in range(len(stage.stops)):
        with pytest.raises(Stopped):
            stage.run(tmp_path / "stopped", *FOCUS)
    stage.run(tmp_path / "stopped", *FOCUS)
    assert outcome(tmp_path / "stopped") == outcome(whole)
    assert sorted(stage.drawn) == asked, "a sample was lost or drawn twice"


@pytest.mark.usefixtures("recwarn")
def test_gold_of_the_curriculum_meets_fresh_tests_too(stage: Stage, tmp_path: Path) -> None:
    """Else false gold counts programs as true that no fresh test has seen."""
    types = "problems.types=[is_palindrome]"
    folder = stage.run(tmp_path / "run", *FOCUS, types, "trainer.iterations=1")
    rows = list(read_jsonl(folder / "completions" / "focus_1.jsonl"))
    passed = [row for row in rows if row["hidden"]["passed"]]
    assert len(passed) == 1 and passed[0]["fresh"]["passed"], "its sixth sample"
    (gold,) = read_jsonl(folder / "evaluation" / "gold_1.jsonl")
    assert gold["fresh_passed"] is True


def test_impossible_curricula_are_refused() -> None:
    for override in (
        "trainer.problems_per_iteration=0",
        "trainer.curriculum.kind=random",
        "trainer.curriculum.focus=-1",
    ):
        with pytest.raises(AxiomError, match=f"{override.split('=')[0]}=.*must be"):
            load_config(override)
