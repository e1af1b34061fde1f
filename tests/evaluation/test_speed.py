"""The estimate before the first sample: from the newest run of this model on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fake_run import BASIC, MODEL, evaluation

from axiom_rl.core.files import write_json, write_text
from axiom_rl.evaluation.score import write_evaluation
from axiom_rl.evaluation.speed import Speed, last_speed
from axiom_rl.run.folder import machine
from axiom_rl.run.tracking import Tracker

NAME = str(MODEL["name"])


def run(outputs: Path, place: str, speed: float, age: int, **here: Any) -> Path:
    """Leave a run that drew 20 samples of 100 tokens each."""
    folder = outputs / place
    session = machine() | {"model": MODEL} | here
    write_json(folder / "environment.json", {"schema": 2, "sessions": [session]})
    write_evaluation(folder / "evaluation" / "before.json", evaluation(dict.fromkeys(BASIC, 0.5)))
    tracker = Tracker(folder)
    tracker.log("timing", 0, name="evaluate", tokens=2000, tokens_per_second=speed)
    for split, tests in (("train", "fresh tests"), ("train", "hidden tests"), ("test", "x")):
        tracker.log("evaluate", 0, split=split, tests=tests, samples=10)
    os.utime(folder / "metrics.jsonl", (age, age))
    return folder


def test_the_newest_run_of_this_model_here_tells(tmp_path: Path) -> None:
    assert last_speed(tmp_path / "none", NAME, "transformers") is None
    run(tmp_path, "train/a", 50.0, 1)
    run(tmp_path, "train_sweep/time/0", 100.0, 3)
    run(tmp_path, "train/b", 70.0, 2)
    run(tmp_path, "train/elsewhere", 999.0, 4, cpu="another")
    run(tmp_path, "train/other", 999.0, 5, model=MODEL | {"name": "another"})
    write_text(run(tmp_path, "train/damaged", 999.0, 6) / "environment.json", "{")
    speed = last_speed(tmp_path, NAME, "transformers")
    assert speed == Speed(tokens_per_second=100.0, tokens_per_sample=100.0)
    assert last_speed(tmp_path, NAME, "vllm") is None


@pytest.mark.parametrize(
    ("samples", "limit", "said"), [(80, 320, "1 min 20 s"), (80, 50, "40.0 s")]
)
def test_the_estimate_is_of_all_samples_within_the_limit(
    samples: int, limit: int, said: str
) -> None:
    text = Speed(tokens_per_second=100.0, tokens_per_sample=100.0).text(samples, limit)
    assert text == f"about {said} at the speed of the last run here (100 tokens/s)"
