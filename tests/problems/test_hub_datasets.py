"""Data sets of the hub where the hub is out of reach, hangs, or is off."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from axiom_rl.problems.sources import hub


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen and say nothing: the system itself completes a connection that nobody accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("how", ["refuses", "hangs", "is_off"])
def test_a_hub_that_does_not_answer_is_asked_once(
    how: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import datasets
    from huggingface_hub import constants

    asked: list[tuple[bool, bool]] = []

    def load(*_given: object) -> dict[str, object]:
        asked.append((datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE))
        raise ConnectionError("not in the cache")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(hub, "REACH_S", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", how == "is_off")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with silent_server() as address:
        monkeypatch.setattr(
            constants, "ENDPOINT", "http://127.0.0.1:9" if how == "refuses" else address
        )
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            hub.read_dataset("openai/openai_humaneval", None)
    assert asked == [(True, True)], "the cache alone is asked"
    assert time.monotonic() - started < 3.0
    assert (how == "is_off") == constants.HF_HUB_OFFLINE and not datasets.config.HF_HUB_OFFLINE
    assert "Retrying" not in "".join(capfd.readouterr())
