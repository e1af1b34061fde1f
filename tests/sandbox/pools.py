"""A plain pool, programs for it, and a look at what it leaves behind."""

from __future__ import annotations

import contextlib
import marshal
import time
from collections.abc import Callable
from pathlib import Path

from axiom_rl.sandbox.base import Limits, Outcome, RunRequest
from axiom_rl.sandbox.pool import Canary, ServerPool
from axiom_rl.sandbox.process import ServerSettings

LIMITS = Limits(cpu_s=1.0, memory_bytes=256 << 20, output_bytes=1 << 20, result_bytes=1 << 20)


def request(body: str, limits: Limits = LIMITS, *arguments: object) -> RunRequest:
    """A program whose function has this body, called once."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return RunRequest(f"def f(*args):\n{lines}", "f", (marshal.dumps(arguments),), limits)


def is_well(outcome: Outcome) -> bool:
    return b'["v", 1,' in outcome.frames


CANARY: Canary = (request("return 1"), is_well)


def open_pool(servers: int = 1, settings: ServerSettings | None = None) -> ServerPool:
    return ServerPool(servers, settings or ServerSettings(), (CANARY,), 1 << 24)


def processes_of(pool: ServerPool) -> list[int]:
    """Every process of the pool: each server, the outermost first, then its candidate."""
    servers = [slot.server.process.pid for slot in pool._slots]
    return [pid for server in servers for pid in (server, *tree_below(server))]


def same(outcome: Outcome) -> Outcome:
    """Judge nothing."""
    return outcome


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found


def tree_below(pid: int) -> list[int]:
    """Every process below `pid`, the outermost first."""
    below = children_of(pid)
    return below + [deeper for child in below for deeper in tree_below(child)]


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
