"""Stages with a scripted policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted_run import Stage

import axiom_rl.run.folder
import axiom_rl.stages.opening
from axiom_rl.run.tracking import Tracker


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """A tiny model is faster on one thread, and leaves the other cores alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stage(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(
        (
            "problems.types=[reverse_string,is_palindrome,fizzbuzz]",
            f"model.path={tiny_model_folder}",
            *("model.dtype=float32", "model.device=cpu", "sandbox=debug", "sampler.n=4"),
            *("trainer.max_attempts=8", "trainer.args.num_train_epochs=2"),
            *("trainer.args.learning_rate=1e-2", "trainer.iterations=2", "model.lora.r=4"),
        )
    )
    monkeypatch.setattr(axiom_rl.stages.opening, "_sampler_loader", lambda *_: made.load)
    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", made.report)
    finish, log = axiom_rl.run.folder.Run.finish, Tracker.log

    def finish_or_stop(run: axiom_rl.run.folder.Run, phase: str) -> None:
        made.stop(f"before {phase} is recorded")
        finish(run, phase)
        made.stop(f"after {phase}")

    def log_or_stop(tracker: Tracker, phase: Any, iteration: int, **numbers: Any) -> None:
        log(tracker, phase, iteration, **numbers)
        made.stop(f"{phase} {iteration} step {numbers.get('step')}")

    monkeypatch.setattr(axiom_rl.run.folder.Run, "finish", finish_or_stop)
    monkeypatch.setattr(Tracker, "log", log_or_stop)
    return made
