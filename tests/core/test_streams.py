"""What is printed when nobody reads any more: `| head`, or a stream that was closed."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOWN = "from axiom_rl.core.progress import show; show('a'); show('b' * 99999); show('c')"
LOGGED = """
import logging, sys
from axiom_rl.core.progress import BesideBars
log = logging.getLogger("axiom_rl")
log.addHandler(BesideBars(sys.stdout))
log.setLevel("INFO")
for number in range(3):
    log.info("line %d of %s", number, "x" * 99999)
"""


@pytest.mark.parametrize("program", [SHOWN, LOGGED], ids=["show", "log"])
def test_a_reader_that_has_gone_is_no_error(program: str) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-c", f"{program}\nimport sys; print('the end', file=sys.stderr)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert ran.stdout is not None
    ran.stdout.close()
    assert ran.communicate(timeout=60)[1] == "the end\n"
    assert ran.returncode == 0


def test_a_closed_stream_is_no_error() -> None:
    closed = f"import sys; sys.stdout = None; {SHOWN}"
    done = subprocess.run([sys.executable, "-c", closed], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
