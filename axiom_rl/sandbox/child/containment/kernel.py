"""The few kernel calls that Python's standard library lacks, by ctypes; Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION_3 = 0x20080522
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPGET = {"x86_64": 125, "aarch64": 90}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class KernelRefusal(OSError):
    """The kernel refused a call; `strerror` says which and why."""


def syscall(name: str, number: int, *arguments: object) -> int:
    """Make a raw system call.

    Raises:
        KernelRefusal: naming the call.
    """
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    return _checked(name, result)


def prctl(option: int, value: int = 0) -> int:
    """Call prctl with one value; raises KernelRefusal."""
    zero = ctypes.c_ulong(0)
    result = _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)
    return _checked(f"prctl({option})", result)


def unshare(flags: int) -> None:
    """Call unshare; raises KernelRefusal."""
    _checked("unshare", _libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    """Call mount; raises KernelRefusal."""
    text = [part.encode() if part is not None else None for part in (source, target, kind)]
    data = options.encode() if options is not None else None
    _checked(f"mount {target}", _libc.mount(*text, ctypes.c_ulong(flags), data))


def unmount(target: str, flags: int) -> None:
    """Call umount2; raises KernelRefusal."""
    _checked(f"umount {target}", _libc.umount2(target.encode(), ctypes.c_int(flags)))


def machine() -> str:
    """Return the processor's name as the tables here use it."""
    name = platform.machine()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name.lower(), name)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def drop_privileges() -> None:
    """Give up every capability and the way to get new ones; nobody may look into this process."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    syscall("capset", CAPSET[machine()], header, (ctypes.c_uint32 * 6)())


def has_privileges() -> bool:
    """Whether any capability is left, or new ones could be had."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    syscall("capget", CAPGET[machine()], header, sets)
    return any(sets) or prctl(PR_GET_NO_NEW_PRIVS) != 1 or prctl(PR_GET_DUMPABLE) != 0


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise KernelRefusal(number, f"{name}: {os.strerror(number)}")
    return result
