"""The warm server: one request at a time, one forked child per candidate.

Single-threaded. It measures CPU time, wall time and memory from outside, kills what goes over, and
sends back the bytes that the child wrote into a memory file. A request is a `HEAD` with the limits
and a `marshal` of program and arguments (the parent is trusted); an answer is an `ANSWER` and those
bytes. Programs, arguments and results pass through the server in pages of their own that are
unmapped afterwards, never through its heap: a child is a copy of the server, and could search it
for what an earlier candidate of the same problem wrote.
"""

from __future__ import annotations

import _socket
import errno
import gc
import importlib
import json
import marshal
import math
import mmap
import os
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from . import library, runner, state
from .exchange import Exchange, UnsharedPages
from .watch import PARENT_GONE, Watch

if sys.platform == "linux":
    from .containment.layers import Layers

ANSWER = struct.Struct("<BBiddQQ?")
"""The kind, and an End."""
LENGTH = struct.Struct("<I")
HELLO, ENDED, FAULT = 0, 1, 2
RECORD = state.CHANNEL
"""The descriptor of a candidate's record; the channel is closed by putting it there."""
STAGE = struct.Struct("<?i")
"""Whether the candidate's part has begun, and the errno of what kept it from beginning."""
NO_ROOM = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What the system says while it has no process, descriptor or memory to give."""
NO_ROOM_EXIT = 75
""""Try again later", the exit status of a server that found no room to start in."""

WARM_UP_RUNS = 20
USUAL_MODULES = """
    abc array ast base64 bisect calendar cmath collections collections.abc contextlib copy
    dataclasses datetime decimal enum fractions functools heapq inspect io itertools json keyword
    math numbers operator pprint queue random re statistics string struct textwrap threading time
    timeit traceback types typing unicodedata warnings weakref
""".split()  # noqa: SIM905
"""What candidates import; loaded once, so that a child finds them in memory.

Not what is rarely used and brings shared libraries with it (hashlib, secrets, zlib, tempfile): each
library is five mappings, which every fork copies. A candidate that imports them loads them itself.
"""
SAMPLE = """
from collections import defaultdict

def f(n):
    seen = defaultdict(list)
    for i in range(n):
        seen[i % 3].append(i)
    return sorted(map(len, seen.values()))
"""


class End(NamedTuple):
    """How a candidate ended; the order of the fields is that of ANSWER."""

    why: int = 0
    """Why it was killed, if it was (see `watch`)."""
    status: int = 0
    """Of wait4; an errno in a fault."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak: int = 0
    """Resident memory at most, in units of ru_maxrss."""
    printed: int = 0
    """Bytes."""
    crowded: bool = False
    """Whether others kept the machine busy meanwhile."""


HEAD = struct.Struct("<ddddQQQIIIQ")


class ChildLimits(NamedTuple):
    """What goes before each program; the order of the fields is that of HEAD."""

    cpu_s: float
    spare_s: float
    """CPU seconds more on a crowded machine: a first judgement, which a second one may follow."""
    wall_s: float
    """While the machine is not crowded."""
    hard_s: float
    """Wall seconds in any case."""
    memory: int
    """Bytes of address space beyond the server's own."""
    output: int
    """Bytes printed at most."""
    result: int
    """Bytes of returned values at most."""
    tests: int
    """How many there are."""
    size: int
    """Bytes of the program that follows, code and entry point."""
    arguments: int
    """Bytes of the tests' arguments behind it, each with its length, marshalled apart so that every
    test gets fresh ones."""
    record: int
    """Bytes of the whole record at most."""


WARM_UP = marshal.dumps((SAMPLE, "f"))
WARM_UP_ARGUMENTS = (LENGTH.pack(len(marshal.dumps((9,)))) + marshal.dumps((9,))) * 3
WARM_UP_LIMITS = ChildLimits(
    *(1.0, 0.0, 3.0, 9.0), *(2**28, 2**20, 2**20), *(3, len(WARM_UP), len(WARM_UP_ARGUMENTS), 2**20)
)
STANDING_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_STACK: 64 << 20,
}
"""The same for every candidate, and so set once."""


PER_CANDIDATE = (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_AS)


class _Server:
    """The state of this process: its socket, its layers, and what a bare child weighs."""

    def __init__(self, channel: socket.socket, settings: dict[str, Any]) -> None:
        self.channel = channel
        self.serves = False
        """Whether the hello was sent, after which requests may come."""
        self.without: list[str] = settings["without"]
        self.layers: Layers | None = None
        if sys.platform == "linux":
            self.layers = Layers(self.without)
            self.layers.enter_namespaces()
        _preload(settings["paths"], settings["preload"])
        library.adapt()
        if "rlimits" not in self.without:
            for kind, value in STANDING_LIMITS.items():
                state.set_limit(kind, value)
        self.watch = Watch(self.channel)
        self.stage = mmap.mmap(-1, STAGE.size)
        """Shared with a child until its candidate begins: whether it did, or what hindered it."""
        self.argument_pages, self.record_pages = UnsharedPages(), UnsharedPages()
        self.vm_bytes = _address_space()
        self.most = [state.hard_limit(kind) for kind in PER_CANDIDATE]
        if self.layers is not None:
            limit = partial(self._limit, WARM_UP_LIMITS)
            self.layers.lock(settings["readable"], limit, self.watch)

    def serve(self) -> None:
        """Warm up, say hello, then answer requests until the parent is gone."""
        peaks: list[int] = []
        for _ in range(WARM_UP_RUNS):
            with mmap.mmap(-1, len(WARM_UP)) as program:
                program[:] = WARM_UP
                arguments = self.argument_pages.take(len(WARM_UP_ARGUMENTS))
                arguments[: len(WARM_UP_ARGUMENTS)] = WARM_UP_ARGUMENTS
                pages = program, arguments
                self._judge(WARM_UP_LIMITS, pages, lambda end, _: peaks.append(end.peak))
                self.argument_pages.give_back(arguments, len(WARM_UP_ARGUMENTS))
        gc.collect()
        gc.freeze()
        states = self.layers.states if self.layers is not None else {}
        body = json.dumps({"peak": peaks[-1] if peaks else 0, "layers": states}).encode()
        self._send(LENGTH.pack(ANSWER.size + len(body)) + ANSWER.pack(HELLO, *End()) + body)
        self.serves = True
        head = bytearray(HEAD.size)
        while True:
            self._receive(memoryview(head))
            limits = ChildLimits(*HEAD.unpack(head))
            with mmap.mmap(-1, limits.size) as program:
                arguments = self.argument_pages.take(limits.arguments)
                for part, size in ((program, limits.size), (arguments, limits.arguments)):
                    with memoryview(part) as view:
                        self._receive(view[:size])
                self._judge(limits, (program, arguments), self._answer)
                self.argument_pages.give_back(arguments, limits.arguments)

    def _judge(
        self,
        limits: ChildLimits,
        pages: tuple[mmap.mmap, mmap.mmap],
        answer: Callable[[End, Exchange], object],
    ) -> None:
        """Run one candidate to its end; `answer` gets how it ended and what it answered.

        Args:
            limits: of this candidate.
            pages: the program, and the arguments of its tests.
            answer: takes the outcome.
        """
        program, arguments = pages
        printed = -1
        exchange = None
        try:
            printed = _memory_file()
            self.stage[:] = STAGE.pack(False, 0)
            ours, theirs = _socket.socketpair()  # without Python's objects around them
            exchange = Exchange(
                *(ours, arguments, limits.arguments),
                *(self.record_pages, limits.record, LENGTH.size + ANSWER.size),
            )
            started = time.monotonic()
            pid = os.fork()
            if pid == 0:
                self._become_candidate(limits, program, printed, theirs.fileno())
            theirs.close()
            why, (_, status, usage) = self.watch.wait(
                pid,
                limits.cpu_s,
                limits.wall_s,
                started,
                spare_s=limits.spare_s,
                hard_s=limits.hard_s,
                exchange=exchange,
            )
            wall = time.monotonic() - started
            exchange.drain()
            self.watch.kill_strays()
            begun, hindrance = STAGE.unpack(self.stage[:])
            if not begun and why != PARENT_GONE:
                raise OSError(hindrance or errno.EAGAIN, "a child ended before its candidate began")
            cpu, size = usage.ru_utime + usage.ru_stime, os.fstat(printed).st_size
            crowded = self.watch.was_crowded
            answer(End(why, status, cpu, wall, usage.ru_maxrss, size, crowded), exchange)
        except OSError as error:
            if not self.serves:
                raise
            fault = ANSWER.pack(FAULT, *End(status=error.errno or 0))
            self._send(LENGTH.pack(ANSWER.size) + fault)
        finally:
            if exchange is not None:
                exchange.close()
            if printed >= 0:
                os.close(printed)

    def _become_candidate(
        self, limits: ChildLimits, program: mmap.mmap, printed: int, talk: int
    ) -> None:
        """Turn this forked process into the candidate; never returns."""
        leave = os._exit
        try:
            os.close(0)
            os.open(os.devnull, os.O_RDONLY)  # of its own: flags of a shared one outlive us
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            os.dup2(talk, RECORD)
            state.close_from(RECORD + 1)
            self._limit(limits)
            state.size_stacks(limits.memory)
            random.seed(0)  # after a fork Python seeds it anew; verdicts must not depend on chance
            if self.layers is not None:
                self.layers.lock_child()
            self.stage[:] = STAGE.pack(True, 0)
            self.stage.close()
            code, entry_point = marshal.loads(program)
            receive, write = runner.argument_reader(RECORD), runner.frame_writer(RECORD)
            runner.run(code, entry_point, limits.tests, limits.result, receive, write)
            leave(0)
        except BaseException as error:  # noqa: BLE001 (nothing may return into the server's code)
            if not self.stage.closed:
                self.stage[:] = STAGE.pack(False, getattr(error, "errno", None) or 0)
            leave(70)
        finally:
            leave(71)

    def _limit(self, limits: ChildLimits) -> None:
        if "rlimits" in self.without:
            return
        most = self.most
        _set(resource.RLIMIT_FSIZE, min(limits.output, most[0]))
        # Where we cannot read a child's CPU clock this limit ends it; elsewhere it stands behind.
        seconds = math.ceil(limits.cpu_s + limits.spare_s) + (2 if self.watch.reads_clocks else 0)
        _set(resource.RLIMIT_CPU, min(seconds, most[1]), min(seconds + 1, most[1]))
        _set(resource.RLIMIT_AS, min(self.vm_bytes + limits.memory, most[2]))

    def _receive(self, view: memoryview) -> None:
        """Fill `view` from the socket."""
        done = 0
        while done < len(view):
            count = self.channel.recv_into(view[done:])
            if not count:
                os._exit(0)  # the parent is gone
            done += count

    def _answer(self, end: End, exchange: Exchange) -> None:
        """Send how a candidate ended and what it answered."""
        head = LENGTH.pack(ANSWER.size + exchange.length) + ANSWER.pack(ENDED, *end)
        with exchange.with_head(head) as answer:
            self._send(answer)

    def _send(self, data: bytes | memoryview) -> None:
        try:
            self.channel.sendall(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                os._exit(0)
            raise


def main() -> None:
    """Serve the pool at the other end of standard input; never returns."""
    channel = state.take_channel()
    try:
        state.reset()
        settings = json.loads(_receive_settings(channel))
        state.forget_the_start()
        _Server(channel, settings).serve()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(NO_ROOM_EXIT)


def _receive_settings(channel: socket.socket) -> bytes:
    """Return the first message: what is to be preloaded, read and left out, as JSON."""
    data = b""
    while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
        part = channel.recv(65536)
        if not part:
            os._exit(0)  # the parent is gone
        data += part
    return data[LENGTH.size :]


def _preload(paths: list[str], modules: list[str]) -> None:
    """Import what candidates use; `paths` are there for these imports alone."""
    sys.path += paths
    for name in [*USUAL_MODULES, *modules]:
        importlib.import_module(name)
    for path in paths:
        sys.path.remove(path)
    sys.path_importer_cache.clear()


def _set(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit that is known to be within the hard one; some systems refuse some of them."""
    try:
        resource.setrlimit(kind, (soft, soft if hard is None else hard))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


def _memory_file() -> int:
    """Return a descriptor of an empty file without a name, in memory where there is such a file."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("candidate")
    tempfile = importlib.import_module("tempfile")  # it brings the libraries of every compression
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _address_space() -> int:
    """Bytes of address space this process has now; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        return int(pages) * resource.getpagesize()
    except FileNotFoundError:
        return 0
