"""Parts of the standard library that probe the machine, made to work where that is forbidden.

They would look for a network card, files of the host or named semaphores, and fail or be killed for
it, in programs that only use threads and guess types.
"""

from __future__ import annotations

import _multiprocessing  # type: ignore[import-not-found]
import importlib
import mimetypes
import sys
import threading
from typing import Any

NODE = 0x0300_0000_0001
"""The machine's number in uuid1(); its multicast bit says that it is of no network card."""
RECURSIVE = 0


class SemLock:
    """`_multiprocessing.SemLock` for one process, since a candidate has no other.

    Thread pools, `multiprocessing.dummy` and its queues are built on it. The kernel's is named, and
    lies in a file that a candidate may not make.
    """

    SEM_VALUE_MAX = 2**31 - 1

    def __init__(self, kind: int, value: int, maxvalue: int, _name: str, _unlink: bool) -> None:
        self.kind, self.maxvalue, self.name, self.handle = kind, maxvalue, None, id(self)
        self._value, self._held, self._owner = value, 0, 0
        self._changed = threading.Condition(threading.Lock())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take one unit; False if there is none in time."""
        me = threading.get_ident()
        with self._changed:
            if self.kind != RECURSIVE or not self._held or self._owner != me:
                wait = (None if timeout is None else max(0.0, timeout)) if block else 0.0
                if not self._changed.wait_for(lambda: self._value > 0, wait):
                    return False
                self._value -= 1
            self._held, self._owner = self._held + 1, me
            return True

    def release(self) -> None:
        """Give one unit back."""
        with self._changed:
            if self.kind == RECURSIVE:
                if not self._held or self._owner != threading.get_ident():
                    raise AssertionError("attempt to release recursive lock not owned by thread")
                if self._held > 1:
                    self._held -= 1
                    return
            elif self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            self._value += 1
            self._held -= 1
            self._changed.notify()

    def __enter__(self) -> bool:
        """Take one unit."""
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        """Give it back."""
        self.release()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        self._held = 0


def adapt() -> None:
    """Put these parts in place; before candidates run, and once."""
    _multiprocessing.SemLock = SemLock
    mimetypes.knownfiles.clear()
    missing: Any = None
    sys.modules.setdefault("_uuid", missing)  # two shared libraries that only ask the machine
    plain: Any = importlib.import_module("uuid")
    if sys.modules["_uuid"] is None:
        del sys.modules["_uuid"]
    plain._generate_time_safe = plain._UuidCreate = None
    plain._node = NODE
