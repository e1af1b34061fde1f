"""Puts the layers on, and tests each in a throw-away child: a layer counts only if it holds."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
from collections.abc import Callable

from . import kernel, landlock, namespaces
from .seccomp import ChildFilter, load_server_filter

ON = "on"
LEFT_OUT = "left out"

Check = Callable[[], bool]


class Layers:
    """The layers of this server process, by name, with `on` or why they are off."""

    def __init__(self, without: list[str]) -> None:
        self._without = without
        self._child_filter: ChildFilter | None = None
        self.states: dict[str, str] = {}

    def enter_namespaces(self) -> None:
        """Go on inside new namespaces where the machine allows them; first of all, small."""
        kernel.die_with_parent()
        state = LEFT_OUT if "namespaces" in self._without else namespaces.enter()
        self.states["namespaces"] = state
        if state == ON:
            namespaces.fork_inside()
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # strays come to us, and are killed

    def lock(self, readable: list[str], limit: Callable[[], None]) -> None:
        """Put on everything that children inherit, then test every layer.

        Args:
            readable: what stays readable besides the standard library.
            limit: sets the resource limits of a candidate in a child.
        """
        self._put_on("privileges", kernel.drop_privileges)
        self._put_on("landlock", lambda: landlock.restrict(readable))
        self._put_on("seccomp", self._load_filters)
        self.states["rlimits"] = LEFT_OUT if "rlimits" in self._without else ON
        self._test(limit)

    def lock_child(self) -> None:
        """Put on what each child needs for itself."""
        kernel.die_with_parent()
        if self._child_filter is not None:
            self._child_filter.load(os.getpid())

    def _put_on(self, name: str, layer: Callable[[], object]) -> None:
        self.states[name] = LEFT_OUT
        if name in self._without:
            return
        try:
            layer()
            self.states[name] = ON
        except (OSError, KeyError) as error:
            self.states[name] = f"refused: {error}"

    def _load_filters(self) -> None:
        child_filter = ChildFilter()
        load_server_filter()
        self._child_filter = child_filter

    def _test(self, limit: Callable[[], None]) -> None:
        tests: dict[str, list[tuple[Check, int]]] = {
            "namespaces": [(_is_child_of_init, 0)],
            "privileges": [(lambda: not kernel.has_privileges(), 0)],
            "landlock": [(_cannot_read_this_file, 0), (_cannot_create_a_file, 0)],
            "seccomp": [(_opens_a_socket, signal.SIGSYS), (_cannot_fork_or_signal, 0)],
            "rlimits": [(_cannot_take_too_much, 0)],
        }
        for name, checks in tests.items():
            if self.states[name] == ON and not all(
                self._ends_with(ending, check, limit) for check, ending in checks
            ):
                self.states[name] = "self-test failed"

    def _ends_with(self, ending: int, check: Check, limit: Callable[[], None]) -> bool:
        """Whether a child under all layers ends with this signal, or well where it is 0."""
        pid = os.fork()
        if pid == 0:
            leave = os._exit
            try:
                limit()
                self.lock_child()
                leave(0 if check() else 1)
            finally:
                leave(2)
        status = os.waitpid(pid, 0)[1]
        return os.WTERMSIG(status) == ending if os.WIFSIGNALED(status) else status == ending == 0


def _is_child_of_init() -> bool:
    return os.getppid() == 1


def _cannot_read_this_file() -> bool:
    return _is_refused(lambda: os.open(__file__, os.O_RDONLY))


def _cannot_create_a_file() -> bool:
    return _is_refused(lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR))


def _opens_a_socket() -> bool:
    socket.socket().close()
    return False


def _cannot_fork_or_signal() -> bool:
    return _is_refused(os.fork) and _is_refused(lambda: os.kill(os.getppid(), 0))


def _cannot_take_too_much() -> bool:
    try:
        mmap.mmap(-1, 1 << 40).close()
    except OSError as error:
        return error.errno == errno.ENOMEM
    return False


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT)
    return False
