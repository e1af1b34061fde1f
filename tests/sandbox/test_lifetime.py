"""When the program that uses the sandbox ends, however it ends, nothing of the sandbox stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pools import is_gone, tree_below, wait_until

SCRIPT = """
import sys, threading
from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.verify import Verifier

problem = Problem(id="p", type="none", difficulty=1, split="train", title="p", statement="",
    entry_point="f", public_tests=(), hidden_tests=(TestCase(args=(), expected=1),))
candidates = [(problem, "def f():\\n    while True: pass")] * 4
with Verifier(load_config("sandbox.servers=2", "sandbox.time_limit_s=60").sandbox) as verifier:
    threading.Timer(0.1, lambda: print("busy", flush=True)).start()
    verifier.verify(candidates)
"""


@contextmanager
def busy_program() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "busy\n", program.stderr.read()  # type: ignore[union-attr]
            below = tree_below(program.pid)
            assert len(below) >= 4  # two servers, two candidates
            yield program, below
        finally:
            program.kill()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGINT)),
    ],
)
def test_nothing_stays(number: int) -> None:
    with busy_program() as (program, below):
        os.kill(program.pid, number)
        _, errors = program.communicate(timeout=10)
        assert wait_until(lambda: all(is_gone(pid) for pid in below), 3)
    assert program.returncode != 0
    # A terminal's Ctrl-C goes to every process of the foreground group; servers are in none.
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)


def test_the_verifier_needs_no_torch() -> None:
    code = "import sys; from axiom_rl.verify import Verifier; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
