"""A run shows itself while it draws, measures and trains, and a page that fails does it no harm."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
from scripted_run import Stage

import axiom_rl.report.live
import axiom_rl.stages.opening
from axiom_rl.report.live import LivePage
from axiom_rl.run.folder import DONE, open_run
from axiom_rl.run.tracking import Tracker, read_metrics


def test_a_run_publishes_wherever_something_comes_out(
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[int, int, int]] = []

    def fail(folder: Path) -> None:
        evaluations = len(list(folder.glob("evaluation/*.json")))
        steps = len(read_metrics(folder, "train"))
        drawn = len(list(folder.glob("completions/*.jsonl")))
        seen.append((drawn, evaluations, steps))
        raise ValueError("no page today")

    monkeypatch.setattr(axiom_rl.report.live, "EVERY_S", 0.0)
    monkeypatch.setattr(axiom_rl.report.live, "SHARE", math.inf)
    monkeypatch.setattr(axiom_rl.stages.opening, "LivePage", lambda folder: LivePage(folder, fail))
    folder = stage.run(tmp_path / "run", "trainer.iterations=1")
    assert seen[0] == (1, 0, 0), "while the first samples are drawn"
    assert any(evaluations and not steps for _drawn, evaluations, steps in seen)
    steps = len(read_metrics(folder, "train"))
    assert {count for *_others, count in seen} >= set(range(1, steps + 1)), "at each step"
    assert DONE in open_run(folder, Tracker(folder)).finished and stage.reports == [folder]
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert sum("no page today" in text for text in said) == 1
