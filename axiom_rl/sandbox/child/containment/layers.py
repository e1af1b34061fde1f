"""Puts the layers on, and tests each in a throw-away child: a layer counts only if it holds."""

from __future__ import annotations

import _thread
import errno
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from ..watch import THREAD_KILL, Watch  # noqa: TID252 (its name differs where it runs)
from . import kernel, landlock, namespaces, root
from .seccomp import ChildFilter, load_server_filter

ON = "on"
LEFT_OUT = "left out"

THREAD_TEST_S = 10.0

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
        # The kernel bounds nobody who has privileges.
        self._kernel_counts = state == ON or (
            "privileges" not in self._without and namespaces.count_by_a_user_of_our_own()
        )

    def lock(self, readable: list[str], limit: Callable[[], None], watch: Watch) -> None:
        """Put on everything that children inherit, then test every layer.

        Args:
            readable: what stays readable besides the standard library.
            limit: sets the resource limits of a candidate in a child.
            watch: what waits for candidates, and ends those of too many threads.
        """
        if self.states["namespaces"] == ON or "root" in self._without:
            self._put_on("root", lambda: root.enter(readable))
        else:
            self.states["root"] = "needs namespaces"
        self._put_on("privileges", kernel.drop_privileges)
        self._put_on("landlock", lambda: landlock.restrict(readable))
        self._put_on("seccomp", self._load_filters)
        for name in ("rlimits", "threads"):
            self.states[name] = LEFT_OUT if name in self._without else ON
        self._test(limit)
        if self.states["threads"] == ON and not (
            (self._kernel_counts and self._bounds_threads(limit, watch))
            or self._bounds_threads(limit, watch, namespaces.MOST_PROCESSES)
        ):
            self.states["threads"] = "self-test failed"

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
            "root": [(_cannot_see_this_file, 0)],
            "privileges": [(lambda: not kernel.has_privileges(), 0)],
            "landlock": [(_cannot_read, 0), (_cannot_write, 0)],
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
        status = os.waitpid(self._try(check, limit), 0)[1]
        return os.WTERMSIG(status) == ending if os.WIFSIGNALED(status) else status == ending == 0

    def _bounds_threads(self, limit: Callable[[], None], watch: Watch, most: int = 0) -> bool:
        """Whether a child that starts threads without end is refused some, or killed for them.

        Where the kernel does not count them for us, the watch does, and `most` is not 0.
        """
        watch.most_threads = most
        pid = self._try(_is_refused_threads, limit)
        why, (_, status, _) = watch.wait(pid, THREAD_TEST_S, THREAD_TEST_S, time.monotonic())
        return why == THREAD_KILL or status == 0

    def _try(self, check: Check, limit: Callable[[], None]) -> int:
        """Start a child under all layers that exits with 0 if the check holds; return its id."""
        pid = os.fork()
        if pid == 0:
            leave = os._exit
            try:
                limit()
                self.lock_child()
                leave(0 if check() else 1)
            finally:
                leave(2)
        return pid


def _is_child_of_init() -> bool:
    return os.getppid() == 1


def _cannot_see_this_file() -> bool:
    return not Path(__file__).exists() and not Path("/proc/1").exists()


def _cannot_read() -> bool:
    """Of what there is in a root of our own, too, as far as it is in no rule."""
    listed = _is_refused(lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY), errno.EACCES)
    return listed and _is_refused(lambda: os.open(__file__, os.O_RDONLY))


def _cannot_write() -> bool:
    written = _is_refused(lambda: os.open("/dev/zero", os.O_WRONLY), errno.EACCES)
    return written and _is_refused(lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR))


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


def _is_refused_threads() -> bool:
    _thread.stack_size(64 << 10)
    try:
        for _ in range(2 * namespaces.MOST_PROCESSES):
            _thread.start_new_thread(time.sleep, (THREAD_TEST_S,))
        time.sleep(1)  # until the watch comes by
    except RuntimeError:
        return True
    return False


REFUSALS = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EROFS)


def _is_refused(call: Callable[[], object], *numbers: int) -> bool:
    try:
        call()
    except OSError as error:
        return error.errno in (numbers or REFUSALS)
    return False
