"""Whatever state the program that uses the sandbox is in, candidates find the same."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only")

PROBE = """
import os, resource, signal, sys, threading
def open_descriptors():
    found = []
    for start in (0, 1 << 16):
        for number in range(start, start + 20000):
            try:
                os.fstat(number)
                found.append(number)
            except OSError:
                pass
    return found
go = threading.Event()
threads = [threading.Thread(target=go.wait) for _ in range(120)]
for each in threads: each.start()
go.set()
for each in threads: each.join()
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
limits = ["RLIMIT_" + name for name in ("CORE", "DATA", "FSIZE", "NOFILE", "SIGPENDING", "STACK")]
return {
    "descriptors": open_descriptors(),
    "umask": os.umask(0),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "dispositions": [int(signal.getsignal(n) == signal.SIG_DFL) for n in range(1, 32) if n != 14],
    "priority": os.getpriority(os.PRIO_PROCESS, 0) <= 0 or "low",
    "scheduler": os.sched_getscheduler(0),
    "limits": {n: list(resource.getrlimit(getattr(resource, n))) for n in limits},
    "environment": sorted(n for n in os.environ if n != "LC_CTYPE"),
    "folder": os.getcwd(),
    "arguments": sys.argv,
    "standard_input": sys.stdin.read(),
    "machine": os.uname().release,
}
"""
PROGRAM = """
import os, resource, signal, socket, sys
sys.path.insert(0, sys.argv[1])
{state}
from pools import LIMITS, open_pool, request, same
from dataclasses import replace
from axiom_rl.sandbox.base import Ending
pool = open_pool({servers})
probe = request(sys.argv[2], replace(LIMITS, cpu_s=5.0))
outcomes = [pool.submit(probe, same).result() for _ in range(2)]
assert all(outcome.ending is Ending.EXITED for outcome in outcomes), outcomes
size = int.from_bytes(outcomes[-1].frames[:4], "little")
print(outcomes[-1].frames[4:4 + size].decode())
print(pool.report.level)
pool.close()
signal.setitimer(signal.ITIMER_REAL, 0)
"""
MANY_DESCRIPTORS = """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for number in range({count}):
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), {inheritable})
"""
FAR_DESCRIPTORS = """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for number in (1023, 1024, 1025, 4999, 65535, 65536, 70000):
    if number < hard: os.dup2(0, number, inheritable=True)
pair = socket.socketpair()
for number in range(3, 1100):
    try: os.fstat(number)
    except OSError: os.dup2(pair[0].fileno(), number)
"""
STATES = {
    "5000 descriptors": MANY_DESCRIPTORS.format(count=5000, inheritable=False),
    "5000 inheritable descriptors": MANY_DESCRIPTORS.format(count=5000, inheritable=True),
    "far descriptors": FAR_DESCRIPTORS,
    "a limit lowered after": MANY_DESCRIPTORS.format(count=2000, inheritable=True)
    + "resource.setrlimit(resource.RLIMIT_NOFILE, (4000, hard))",
    "no standard descriptors": "os.close(0); os.close(2)",
    "stack of 256 MiB": "resource.setrlimit(resource.RLIMIT_STACK, (256 << 20, -1))",
    "small soft limits": "for name in ('CORE', 'STACK', 'DATA', 'FSIZE', 'SIGPENDING'):\n"
    "    kind = getattr(resource, 'RLIMIT_' + name)\n"
    "    hard = resource.getrlimit(kind)[1]\n"
    "    resource.setrlimit(kind, (1 << 28 if hard < 0 else min(hard, 1 << 28), hard))",
    "blocked signals": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "ignored signals": "for number in signal.valid_signals() - {9, 19, 2}:\n"
    "    signal.signal(number, signal.SIG_IGN)",
    "everything else": """
import ctypes
os.umask(0o777)
os.environ.update(LC_ALL="tr_TR", TZ="Asia/Kolkata", PYTHONHASHSEED="7", PYTHONMALLOC="debug")
os.environ.update(PYTHONPATH="/tmp", MALLOC_ARENA_MAX="64", PYTHONWARNINGS="error", DEBUG="1")
os.nice(7)
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.chdir("/usr")
ctypes.CDLL(None).personality(0x0040000 | 0x0020000)
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
""",
}


QUICK = ("5000 descriptors", "blocked signals", "everything else")


def found_in(state: str, servers: int = 1) -> tuple[dict[str, object], str]:
    """What a candidate finds, and the level, with a pool opened in this state."""
    command = [sys.executable, "-c", PROGRAM.format(state=state, servers=servers)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [*command, str(Path(__file__).parent), PROBE],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    frame, level = ended.stdout.splitlines()
    tree = json.loads(frame)
    assert tree[0] == "v", tree
    found = dict(tree[1]["d"])
    # A process without rights cannot raise its own priority again.
    if found["priority"] == "low" and os.geteuid() != 0:
        found["priority"] = True
    return found, level


@pytest.fixture(scope="module")
def usual() -> tuple[dict[str, object], str]:
    return found_in("")


def test_the_usual_state(usual: tuple[dict[str, object], str]) -> None:
    found, _ = usual
    assert found["descriptors"] == [0, 1, 2, 3]
    assert found["umask"] == 0o022
    assert found["blocked"] == []
    assert found["arguments"] == ["solution.py"]
    assert found["standard_input"] == ""


@pytest.mark.parametrize(
    "state",
    [pytest.param(state, marks=[] if state in QUICK else pytest.mark.slow) for state in STATES],
)
def test_no_state_passes_to_candidates(state: str, usual: tuple[dict[str, object], str]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if "descriptors" in state and hard < 5200:
        pytest.skip(f"the hard limit of descriptors is {hard}")
    assert found_in(STATES[state]) == usual
