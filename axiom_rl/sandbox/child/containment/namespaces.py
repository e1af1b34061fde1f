"""Namespaces: a process tree, a network and a machine name of the server's own.

The server becomes process 1 of its tree, so nothing inside can signal it, and the kernel ends
everything inside when it ends. The process that made the namespaces stays outside and waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import socket
from pathlib import Path
from types import FrameType

from .. import state  # noqa: TID252 (its name differs where it runs)
from . import kernel

MOUNT, UTS, IPC, USER, PROCESS, NETWORK = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
KINDS = ("user", "net", "ipc", "uts", "mnt")
"""As the kernel names them; the new process tree shows only once it has its first process."""
NOBODY = 65534
RARE_USERS, RARE_SMALL_USERS = 0x7A00_0000, 61_000
"""Numbers of users that no system gives out, in a large and in a small user namespace."""
MOST_PROCESSES = 300
"""Processes and threads of one server, its candidate included."""
HOST_NAME = "sandbox"


def enter() -> str:
    """Put this process's next child into new namespaces; returns `on` or why it could not be.

    The kernel only lets a process without threads do this. It is tried in a throw-away child first:
    a process that gets only half of it can start no children any more.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, _enter().encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    state = os.read(reader, 1000).decode() or "the attempt ended the process"
    os.close(reader)
    return _enter() if state == "on" else state


def _enter() -> str:
    before = _identities()
    reader, writer = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(writer)
        os._exit(_map_users(reader))
    try:
        kernel.unshare(USER | PROCESS | NETWORK | IPC | UTS | MOUNT)
        os.write(writer, b"!")
    except OSError as error:
        return f"refused: {error.strerror}"
    finally:
        os.close(reader)
        os.close(writer)
        refused = os.waitpid(mapper, 0)[1]
    if refused:
        return f"refused: {os.strerror(os.waitstatus_to_exitcode(refused))} (user map)"
    shared = [kind for kind, name in _identities().items() if before[kind] == name]
    return f"self-test failed: {', '.join(shared)} shared" if shared else "on"


def _map_users(reader: int) -> int:
    """From outside, map the user into the namespace of our parent; returns 0 or the errno.

    Only a process outside may map two users at a time.
    """
    user, group, parent = os.geteuid(), os.getegid(), os.getppid()
    if not os.read(reader, 1):
        return errno.ECANCELED
    users = f"{user} {user} 1" + (f"\n{NOBODY} {NOBODY} 1" if user == 0 else "")
    maps = {"setgroups": "deny", "uid_map": users, "gid_map": f"{group} {group} 1"}
    try:
        for name, text in maps.items():
            Path(f"/proc/{parent}/{name}").write_text(text, encoding="ascii")
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def fork_inside() -> None:
    """Go on in a child, process 1 of the new tree; this process waits for its end and leaves."""
    inner = os.fork()
    if inner == 0:
        if os.geteuid() == 0:
            os.setresuid(NOBODY, -1, -1)
        _limit_processes()
        kernel.die_with_parent()
        with contextlib.suppress(OSError):  # without it the machine's name stays readable
            socket.sethostname(HOST_NAME)
        return

    def kill_inner(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(inner, signal.SIGKILL)

    signal.signal(signal.SIGTERM, kill_inner)
    state.close_from(3)
    _, status = os.waitpid(inner, 0)
    os._exit(min(255, abs(os.waitstatus_to_exitcode(status))))


def count_by_a_user_of_our_own() -> bool:
    """Without namespaces: have threads counted apart from everybody's; False where that fails.

    The kernel counts by the real user, over the whole machine, and never refuses root. Root takes
    a real user that nobody else is; a user without rights cannot.
    """
    if os.geteuid() != 0:
        return False
    for user in (RARE_USERS + os.getpid(), RARE_SMALL_USERS + os.getpid() % 4000):
        with contextlib.suppress(OSError):  # not of this user namespace, or no right to
            os.setresuid(user, -1, -1)
            _limit_processes()
            return True
    return False


def _limit_processes() -> None:
    """Bound the threads of a candidate: those of our real user, of which this process is one.

    In a user namespace only its own are counted. The kernel never refuses root, so root has taken
    another real user; the effective one, by which files are opened, stays.
    """
    state.set_limit(resource.RLIMIT_NPROC, MOST_PROCESSES)


def _identities() -> dict[str, Path]:
    return {kind: Path(f"/proc/self/ns/{kind}").readlink() for kind in KINDS}
