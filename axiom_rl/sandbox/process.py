"""One server process as the pool sees it: started by exec, spoken to without blocking, killed.

The process is never forked from this one, which may have threads, CUDA, secrets and the expected
values: `subprocess` starts a fresh interpreter with a constructed environment and no descriptor
but its socket.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from axiom_rl.sandbox import child
from axiom_rl.sandbox.base import SandboxUnavailableError
from axiom_rl.sandbox.child.server import NO_ROOM, NO_ROOM_EXIT
from axiom_rl.sandbox.wire import LENGTH, ProtocolError

BOOT = (
    "import sys; sys.path.append(sys.argv[1]); import child.server; sys.path.pop(); "
    "child.server.main()"
)
"""The folder is appended, so that no file in it can stand before a standard module."""
PYTHON_OPTIONS = ("-s", "-S", "-P", "-B")
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the same order of sets in every server
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "HOME": "/",  # without it, Python asks the user database
    "MALLOC_ARENA_MAX": "2",  # one for each thread would use up the address space
    "OMP_NUM_THREADS": "1",  # a library that starts threads could not be forked
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
INHERITED = ("LD_LIBRARY_PATH",)
"""Where set, the interpreter itself may not start without it (clusters with modules)."""
CLOSE_SECONDS = 2.0
READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What every server of a pool is started with."""

    preload: tuple[str, ...] = ()
    """Modules outside the standard library, imported before candidates run."""
    without: tuple[str, ...] = ()
    """Layers left out; for tests and the benchmark."""
    wrapper: tuple[str, ...] = ()
    """Command put before the interpreter, e.g. bubblewrap with its options."""


class NoRoomError(SandboxUnavailableError):
    """The system has no process, descriptor or memory to give just now."""


class ServerProcess:
    """A running server and the bytes on their way to and from it."""

    def __init__(self, settings: ServerSettings, largest_message: int) -> None:
        """Start the process; messages above `largest_message` bytes break the protocol.

        Raises:
            SandboxUnavailableError: if it cannot be started or a preloaded module is missing.
        """
        self._largest = largest_message
        self._buffer = bytearray(READ_BYTES)
        self._inbox = bytearray()
        self._outbox = bytearray()
        command, options = _command(settings)
        with contextlib.ExitStack() as stack:
            try:
                self._errors = stack.enter_context(tempfile.TemporaryFile())
                self.channel, theirs = socket.socketpair()
                stack.enter_context(self.channel)
                with theirs:
                    self.process = _start(command, theirs, self._errors)
            except OSError as error:
                kind = NoRoomError if error.errno in NO_ROOM else SandboxUnavailableError
                raise kind(f"cannot start a sandbox server: {error}") from error
            stack.pop_all()
        self.channel.setblocking(False)
        self.queue(LENGTH.pack(len(options)) + options)

    @property
    def is_closed(self) -> bool:
        """Whether `close` has been called."""
        return self.channel.fileno() < 0

    @property
    def has_output(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._outbox)

    def queue(self, message: bytes) -> None:
        """Put a framed message behind what waits to be written, and write what fits."""
        self._outbox += message
        self.write()

    def write(self) -> None:
        """Write as much as the socket takes; a broken socket shows when it is read."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._outbox:
                del self._outbox[: self.channel.send(self._outbox)]

    def read(self) -> list[bytes]:
        """Return the complete messages that have come.

        Raises:
            ProtocolError: at the end of the stream, or for a message that is too large.
        """
        try:
            count = self.channel.recv_into(self._buffer)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            count = 0
        if not count:
            raise ProtocolError("the server is gone")
        self._inbox += memoryview(self._buffer)[:count]
        return self._complete_messages()

    def _complete_messages(self) -> list[bytes]:
        messages = []
        while len(self._inbox) >= LENGTH.size:
            size = LENGTH.unpack_from(self._inbox)[0]
            if size > self._largest:
                raise ProtocolError(f"a message of {size} bytes")
            end = LENGTH.size + size
            if len(self._inbox) < end:
                break
            messages.append(bytes(self._inbox[LENGTH.size : end]))
            del self._inbox[:end]
        return messages

    def last_words(self) -> str:
        """Return the end of what the process wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-1500:]

    def close(self) -> None:
        """End the process and everything in it, and wait until it is gone."""
        with contextlib.suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        if not self._ends_within(CLOSE_SECONDS):
            self.kill()
        self.channel.close()
        self._errors.close()

    def kill(self) -> None:
        """Kill the process, its session and its namespace, and wait for its end.

        From the inside out: the outermost process, bubblewrap or ours, reaps what is inside and
        leaves. Killed first, it would leave an orphan that no one may ever reap.
        """
        with contextlib.suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        if not self._ends_within(CLOSE_SECONDS / 10):
            self._signal_group(signal.SIGCONT)
            for inside in _children_of(self.process.pid):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(inside, signal.SIGKILL)
            self._ends_within(CLOSE_SECONDS / 2)
        self._signal_group(signal.SIGKILL)
        self.process.wait()

    @property
    def found_no_room(self) -> bool:
        """Whether the process ended because the system had no room for it."""
        return self.process.returncode == NO_ROOM_EXIT

    def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def _children_of(pid: int) -> list[int]:
    """Return the children of a process without threads; none where the kernel does not tell."""
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(child) for child in listed.split()]
    return []


def _start(
    command: list[str], channel: socket.socket, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a server; its channel is its standard input, whatever number it has here."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.Popen(
        command,
        env=ENVIRONMENT | inherited,
        cwd="/",
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )


def _command(settings: ServerSettings) -> tuple[list[str], bytes]:
    """Return the command line, and the settings that go over the server's channel."""
    paths, readable = _preload_places(settings.preload)
    options = {
        "preload": list(settings.preload),
        "paths": paths,
        "readable": readable,
        "without": list(settings.without),
    }
    folder = Path(child.__file__).resolve().parent.parent
    command = [sys.executable, *PYTHON_OPTIONS, "-c", BOOT, str(folder)]
    if settings.wrapper:
        reaper = str(folder / "child" / "reaper.py")
        command = [sys.executable, *PYTHON_OPTIONS, reaper, *settings.wrapper, *command]
    return command, json.dumps(options).encode()


def _preload_places(modules: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the folders to import `modules` from, and the folders that stay readable after."""
    paths: list[str] = []
    readable: list[str] = []
    for name in modules:
        top = name.partition(".")[0]
        spec = importlib.util.find_spec(top)
        if spec is None or spec.origin is None:
            raise SandboxUnavailableError(
                f"sandbox.preload: there is no module {name}; install it or leave it out"
            )
        origin = Path(spec.origin)
        home = origin.parent.parent if spec.submodule_search_locations else origin.parent
        if str(home) not in paths:
            paths.append(str(home))
        readable += [str(place) for place in (origin.parent, home / f"{top}.libs") if place != home]
    return paths, readable
