"""The time that is left, told while most samples are half written."""

from __future__ import annotations

import logging

import pytest

import axiom_rl.core.progress as progress_module
from axiom_rl.core.progress import Progress, worth


@pytest.mark.parametrize(
    ("done", "tokens", "running", "written", "wholes"),
    [
        (0, 0, 0, 0, 0.0),
        (0, 0, 80, 0, 0.0),  # nothing but prompts
        (0, 0, 80, 8_000, 40.0),  # each is taken to be half written
        (10, 800, 80, 8_000, 40.0),  # those that are done were short: they say nothing of the rest
        (400, 64_000, 8, 320, 2.0),  # 160 tokens each: 40 are a quarter
        (2, 300, 8, -120, 0.0),  # what is done was written in the round before
    ],
)
def test_running_samples_count_for_what_is_written(
    done: int, tokens: int, running: int, written: int, wholes: float
) -> None:
    assert worth(done, tokens, running, written) == wholes


def test_what_is_begun_shortens_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress_module, "LOG_SECONDS", 0.0)
    monkeypatch.setattr(Progress, "seconds", 45.0)
    shown = Progress("sampling", 400, "sample")
    with caplog.at_level(logging.INFO):
        shown.update(10, "110 tokens/s", begun=40.0)
        shown.update(0)
    first, second = caplog.messages
    assert first == "sampling: 10 of 400 samples in 45.0 s, about 5 min 15 s left, 110 tokens/s"
    assert "about 29 min 15 s left" in second
