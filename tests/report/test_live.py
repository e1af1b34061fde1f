"""The page of a run that goes on: when it is written, what it says, and that it does no harm."""

from __future__ import annotations

import logging
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fake_grpo import make_grpo_run
from fake_run import make_run

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.report.live import EVERY_S, SHARE, LivePage, write_live
from axiom_rl.report.page import write_report
from axiom_rl.stages.opening import _reported


@dataclass
class Clock:
    """A clock that writing moves."""

    costs: list[float]
    now: float = 1000.0
    writes: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def write(self, _folder: Path) -> None:
        self.writes.append(self.now)
        self.now += self.costs[min(len(self.writes), len(self.costs)) - 1]


def go_on(live: LivePage, clock: Clock, seconds: float) -> None:
    """Publish every second, as a quick sampler does."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 1.0
        live()


@pytest.mark.parametrize("costs", [[0.01], [0.4], [2.0], [2.0, 5.0, 12.0], [0.01, 30.0, 0.01]])
def test_pages_are_a_minute_apart_and_take_a_hundredth_of_the_time(
    costs: list[float], tmp_path: Path
) -> None:
    clock = Clock(costs)
    live = LivePage(tmp_path, clock.write, clock)
    go_on(live, clock, 8 * 3600)
    gaps = [b - a for a, b in zip(clock.writes, clock.writes[1:], strict=False)]
    assert min(gaps) >= EVERY_S and clock.writes[0] >= 1000 + EVERY_S
    spent = sum(costs[min(i, len(costs) - 1)] for i in range(len(clock.writes)))
    assert spent <= SHARE * (clock.now - 1000)
    if costs == [0.01]:
        assert max(gaps) <= EVERY_S + 1, "a page that costs nothing comes every minute"


def test_the_first_page_of_a_run_with_much_to_read_waits_longer(tmp_path: Path) -> None:
    (tmp_path / "completions").mkdir()
    with (tmp_path / "completions" / "grpo.jsonl").open("wb") as file:
        file.truncate(200_000_000)  # 41 s or so
    clock = Clock([30.0])
    go_on(LivePage(tmp_path, clock.write, clock), clock, 6000)
    assert clock.writes and clock.writes[0] >= 1000 + 4000


def test_a_page_that_cannot_be_written_is_said_once_and_disturbs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, tries = Clock([0.0]), []

    def fail(folder: Path) -> None:
        tries.append(folder)
        raise [AxiomError("the disk is full"), ValueError("odd"), MemoryError()][len(tries) % 3]

    go_on(LivePage(tmp_path, fail, clock), clock, 600)
    assert len(tries) > 3
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1 and "the run goes on" in warnings[0].getMessage()

    def stop(_folder: Path) -> None:
        raise KeyboardInterrupt

    clock = Clock([0.0])
    with pytest.raises(KeyboardInterrupt):
        go_on(LivePage(tmp_path, stop, clock), clock, 600)


def test_a_live_page_says_that_it_is_not_final_and_the_final_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", finished=False)
    write_live(run)
    text = (run / "report.html").read_text()
    assert "Not final: the run goes on. Written on 20" in text and f"resume={run}" in text
    assert '<body data-reload="60">' in text
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in text
    assert not (run / "report.md").exists() and not (run / "charts").exists(), "those come last"
    write_report(run)
    text = (run / "report.html").read_text()
    assert "Not final" not in text and "data-reload=" not in text and 'http-equiv="ref' not in text
    write_live(run)
    with pytest.raises(KeyboardInterrupt), _reported(load_config(), run):  # a run that is stopped
        raise KeyboardInterrupt
    assert "Not final" not in (run / "report.html").read_text()


@pytest.mark.slow
def test_no_page_is_too_early_and_no_random_number_is_taken(tmp_path: Path) -> None:
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    (tmp_path / "new").mkdir()
    write_live(tmp_path / "new")
    assert "No evaluation has finished" in (tmp_path / "new" / "report.html").read_text()
    state = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    run = make_grpo_run(tmp_path / "grpo", steps=3, finished=False)
    write_live(run)
    assert state == before
    assert re.search("3 steps of GRPO", (run / "report.html").read_text())
