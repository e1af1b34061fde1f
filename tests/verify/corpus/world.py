"""A world around the verifier in which every trace of an attack shows."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import axiom_rl.types

PATIENCE_S = 3.0
"""How long processes and descriptors may take to be gone after a verdict."""


def descendants(root: int) -> set[int]:
    """Return the process ids below `root`, zombies included."""
    found: set[int] = set()
    todo = [root]
    while todo:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{todo.pop()}/task").iterdir():
                below = set(map(int, (thread / "children").read_text().split()))
                found |= below
                todo += below
    return found


def footprint() -> tuple[int, int]:
    """How many processes are below this one, and how many descriptors it has."""
    return len(descendants(os.getpid())), len(list(Path("/proc/self/fd").iterdir()))


def settles(measure: Callable[[], Any], wanted: Any) -> Any:
    """Measure until it is `wanted` or patience ends; return the last measure."""
    end = time.monotonic() + PATIENCE_S
    while (seen := measure()) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    return seen


class World:
    """What attacks aim at: files, sockets, this process; `state` is what they could change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = f"axiom-attack-{os.getpid()}"
        self.signals: list[int] = []
        (folder / "empty").mkdir()
        (folder / "file.txt").write_text("a file of the user")
        (folder / "planted_module.py").write_text("")
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "socket"))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0{self.token}-listens")
        for listener in (self.unix, self.abstract):
            listener.listen()
        for each in self.sockets:
            each.setblocking(False)

    @property
    def sockets(self) -> list[socket.socket]:
        return [self.tcp, self.udp, self.unix, self.abstract]

    @property
    def context(self) -> dict[str, Any]:
        """What the attackers are told."""
        return {
            "parent": os.getpid(),
            "folder": str(self.folder),
            "file": str(self.folder / "file.txt"),
            "project": axiom_rl.types.__file__,
            "packages": str(Path(pytest.__file__).parent.parent),
            "port": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "unix": str(self.folder / "socket"),
            "abstract": f"\0{self.token}-listens",
            "token": self.token,
        }

    def visits(self) -> list[str]:
        """Return the sockets at which somebody knocked."""
        seen = []
        for name, listener in (("tcp", self.tcp), ("unix", self.unix), ("abstract", self.abstract)):
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                seen.append(name)
        with contextlib.suppress(BlockingIOError):
            seen.append(f"udp {self.udp.recv(100)!r}")
        return seen

    def litter(self) -> list[str]:
        """Return the files of the attackers, wherever they could have put them."""
        library = Path(os.__file__).parent
        places = [Path(p) for p in ("/", "/tmp", "/dev/shm", "/var/tmp")]
        places += [Path.home(), Path.cwd(), library]
        found = [entry for place in places if place.is_dir() for entry in place.iterdir()]
        return [str(entry) for entry in found if self.token in entry.name]

    def state(self) -> dict[str, Any]:
        """Return everything that an attack could have changed."""
        entries = [self.folder, *sorted(self.folder.rglob("*"))]
        stats = [(str(entry), os.lstat(entry)) for entry in entries]
        return {
            "files": [
                (n, s.st_mode, s.st_size, s.st_mtime_ns, s.st_uid, s.st_nlink) for n, s in stats
            ],
            "litter": self.litter(),
            "visits": self.visits(),
            "signals": list(self.signals),
            "limits": [resource.getrlimit(kind) for kind in range(16)],
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
            "cores": os.sched_getaffinity(0),
            "oom": Path("/proc/self/oom_score_adj").read_text(),
            "ipc": [
                len(Path(f"/proc/sysvipc/{n}").read_text().split("\n"))
                for n in ("shm", "sem", "msg")
            ],
        }

    def close(self) -> None:
        for each in self.sockets:
            each.close()
