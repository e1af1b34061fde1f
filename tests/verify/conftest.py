"""A verifier to attack, and a world around it in which every trace of an attack shows."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from corpus.attack import SECRET
from corpus.world import World

from axiom_rl.config import load_config
from axiom_rl.verify import Verifier


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    watched = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGIO, signal.SIGCONT)
    before = [signal.signal(number, lambda n, _: made.signals.append(n)) for number in watched]
    yield made
    for number, handler in zip(watched, before, strict=True):
        signal.signal(number, handler)
    made.close()


@pytest.fixture(scope="session")
def verifier() -> Iterator[Verifier]:
    """A verifier at the default isolation, started by a process that holds a secret."""
    os.environ["AXIOM_TEST_SECRET"] = SECRET
    with Verifier(load_config("sandbox.servers=1").sandbox) as started:
        yield started
    del os.environ["AXIOM_TEST_SECRET"]
