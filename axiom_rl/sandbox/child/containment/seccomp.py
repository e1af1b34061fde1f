"""The system call filter, in two parts, as classic BPF.

The server loads the first part once, and every child inherits it: it holds the long lists. The
second part is short and loaded by each child, because the server itself must fork: in a candidate,
threads may be started and processes may not, and only its own pid may be signalled.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

from . import kernel
from .syscalls import (
    ALLOWED,
    FCNTLS,
    IOCTLS,
    JUDGED,
    KILLED,
    MISSING,
    NUMBERS,
    PRCTLS,
    SERVER_ONLY,
)

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
"""Calls of the x32 interface of x86-64 carry this bit, and would slip past a list of numbers."""
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
SHARED = (0x100, 0x200, 0x400, 0x800, 0x10000)
"""What a thread shares: memory, folder, descriptors, signal handlers, process. A descriptor table
for each thread would hold memory that no limit counts."""
THREAD_FLAGS = sum(SHARED) | 0x40000 | 0x80000 | 0x100000 | 0x200000 | 0x400000
"""Of clone, all that C libraries start threads with: no signal at its end, no new namespace."""
CLOSE_ON_EXEC = 4
"""A flag of close_range; the other one makes a descriptor table of the thread's own."""
MESSAGE_FLAGS = 0x2 | 0x20 | 0x40 | 0x80 | 0x100 | 0x4000 | 0x8000
"""Peek, truncate, do not wait, end of record, wait for all, no signal, more; not out of band."""
SIGKILL = 9
AF_UNIX = 1
SOL_SOCKET = 1

# Opcodes of classic BPF: LD|W|ABS, JMP|JA, JMP|JEQ, JMP|JGE, JMP|JSET (with constants), RET.
_LOAD, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data: nr, arch, instruction pointer, args[6]
_INSTRUCTION = struct.Struct("<HBBI")
_OWN_PID = 0xFFFFFFFF
"""Stands in the second part for the child's pid, filled in by the child."""


def _argument(index: int, *, high: bool = False) -> int:
    """Return the offset of a 64-bit argument's low or high half (both machines: little endian)."""
    return 16 + 8 * index + (4 if high else 0)


class _Program:
    """Instructions under construction."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((_LOAD, 0, 0, offset))

    def give(self, action: int) -> None:
        self.code.append((_RETURN, 0, 0, action))

    def unless(self, test: int, value: int, action: int) -> None:
        """Give `action` where the test fails."""
        self.code.append((test, 1, 0, value))  # holds: jump over the one return behind
        self.give(action)

    def when(self, test: int, value: int, action: int) -> None:
        """Give `action` where the test holds."""
        self.code.append((test, 0, 1, value))
        self.give(action)

    def when_any(self, values: Iterable[int], action: int) -> None:
        """Give `action` for any of the values; one return stands behind all of them."""
        listed = sorted(values)
        # Jumps are relative: value k of n skips the n - 1 - k tests behind it and the jump, to the
        # return. 255 is the furthest a test can jump, so a list has at most that many values.
        for place, value in enumerate(listed):
            self.code.append((_IF_EQUAL, len(listed) - place, 0, value))
        self.code.append((_JUMP, 0, 0, 1))  # none: over the return
        self.give(action)

    def for_call(self, number: int | None, body: _Program) -> None:
        """Run `body`, which must end in a return, for this system call."""
        if number is not None:
            self.code.append((_IF_EQUAL, 0, len(body.code), number))
            self.code += body.code

    def assembled(self) -> bytes:
        return b"".join(_INSTRUCTION.pack(*instruction) for instruction in self.code)


def server_filter(machine: str) -> bytes:
    """Return the first part: lists for every process of the server.

    Raises:
        KeyError: on a machine other than x86_64 and aarch64.
    """
    numbers = NUMBERS[machine]
    program = _Program()
    program.load(_ARCH)
    # First the machine: a 32-bit call on x86-64 (int 0x80) has numbers of another table.
    program.unless(_IF_EQUAL, AUDIT_ARCH[machine], KILL)
    program.load(_NUMBER)
    if machine == "x86_64":
        program.when(_IF_AT_LEAST, X32_BIT, KILL)
    program.when_any(_numbers(numbers, KILLED), KILL)
    # ENOSYS, not EPERM: the C library then takes its older call, which is filtered too.
    program.when_any(_numbers(numbers, MISSING), ERRNO | errno.ENOSYS)
    program.for_call(numbers["ioctl"], _only(1, IOCTLS))
    program.for_call(numbers["fcntl"], _only(1, FCNTLS))
    program.for_call(numbers["close_range"], _only(2, [0, CLOSE_ON_EXEC]))
    program.for_call(numbers["sendto"], _without_address())
    program.for_call(numbers["recvfrom"], _plain_message())
    program.for_call(numbers["getsockopt"], _only(1, [SOL_SOCKET]))
    program.for_call(numbers["socket"], _no_socket())
    program.for_call(numbers["socketpair"], _unix_alone())
    program.for_call(numbers["timer_create"], _without_event())
    program.when_any(_numbers(numbers, [*ALLOWED, *JUDGED, *SERVER_ONLY]), ALLOW)
    program.give(ERRNO | errno.EPERM)
    return program.assembled()


def child_filter(machine: str) -> bytes:
    """Return the second part: what a candidate may not do although the server may."""
    numbers = NUMBERS[machine]
    program = _Program()
    program.load(_NUMBER)
    # Both filters run at each call, and the stricter action counts (kill, then errno, then allow).
    program.when(_IF_EQUAL, numbers["seccomp"], KILL)
    program.when_any(_numbers(numbers, ["memfd_create", "pidfd_open"]), ERRNO | errno.EPERM)
    program.for_call(numbers["clone"], _threads_only())
    program.for_call(numbers["kill"], _own_pid(signal_index=1))
    program.for_call(numbers["tgkill"], _own_pid(signal_index=2))
    program.for_call(numbers["tkill"], _own_pid(signal_index=1))
    program.for_call(numbers["prctl"], _only(0, PRCTLS))
    program.for_call(numbers["prlimit64"], _pretend_limit())
    program.when(_IF_EQUAL, numbers["setrlimit"], ERRNO)
    program.give(ALLOW)
    return program.assembled()


class ChildFilter:
    """The second part, ready to be loaded by a fresh child with its own pid filled in."""

    def __init__(self) -> None:
        machine = kernel.machine()
        code = child_filter(machine)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._header = _header(self._code)
        self._number = NUMBERS[machine]["seccomp"]
        size = _INSTRUCTION.size
        self._pid_places = [
            place + 4
            for place in range(0, len(code), size)
            if _INSTRUCTION.unpack_from(code, place)[3] == _OWN_PID
        ]

    def load(self, pid: int) -> None:
        """Filter this process from now on; there is no way back."""
        for place in self._pid_places:
            struct.pack_into("<I", self._code, place, pid)
        kernel.syscall("seccomp", self._number, 1, 0, self._header)  # 1: SECCOMP_SET_MODE_FILTER


def load_server_filter() -> None:
    """Load the first part into this process.

    Raises:
        OSError: where the kernel refuses.
        KeyError: on a machine without a table of system calls.
    """
    machine = kernel.machine()
    code = server_filter(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    kernel.syscall("seccomp", NUMBERS[machine]["seccomp"], 1, 0, _header(buffer))


class _FilterHeader(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _header(code: ctypes.Array[ctypes.c_char]) -> object:
    length = ctypes.sizeof(code) // _INSTRUCTION.size
    return ctypes.byref(_FilterHeader(length, ctypes.addressof(code)))


def _numbers(table: dict[str, int], names: Iterable[str]) -> list[int]:
    return [table[name] for name in names if name in table]


def _only(index: int, values: Iterable[int]) -> _Program:
    """Allow the call for these values of an argument that the kernel reads as 32 bits."""
    program = _Program()
    program.load(_argument(index))
    program.when_any(values, ALLOW)
    program.give(ERRNO | errno.EPERM)
    return program


def _without_address() -> _Program:
    """Allow sending on a connected pair, not to an address: a socket's path is in no namespace."""
    program = _Program()
    for high in (False, True):
        program.load(_argument(4, high=high))
        program.unless(_IF_EQUAL, 0, ERRNO | errno.EPERM)
    program.code += _plain_message().code
    return program


def _plain_message() -> _Program:
    """Allow the usual flags of a message: those of other kinds reach rarely used parts."""
    program = _Program()
    program.load(_argument(3))
    program.when(_IF_ANY_BIT, ~MESSAGE_FLAGS & 0xFFFFFFFF, ERRNO | errno.EPERM)
    program.give(ALLOW)
    return program


def _unix_alone() -> _Program:
    """Kill for a pair of any family but the one that never leaves the machine."""
    program = _Program()
    program.load(_argument(0))
    program.when(_IF_EQUAL, AF_UNIX, ALLOW)
    program.give(KILL)
    return program


def _without_event() -> _Program:
    """Allow the timer that sends SIGALRM; another could send SIGKILL, which we would take for ours.

    What it sends stands in memory, where a filter cannot look.
    """
    program = _Program()
    for high in (False, True):
        program.load(_argument(1, high=high))
        program.unless(_IF_EQUAL, 0, ERRNO | errno.EPERM)
    program.give(ALLOW)
    return program


def _no_socket() -> _Program:
    """Kill for a network socket; a unix socket fails, since the C library looks up users by one."""
    program = _Program()
    program.load(_argument(0))
    program.when(_IF_EQUAL, AF_UNIX, ERRNO | errno.EPERM)
    program.give(KILL)
    return program


def _threads_only() -> _Program:
    program = _Program()
    # clone's flags are 64 bits, and a load takes 32: both halves are looked at.
    program.load(_argument(0, high=True))
    program.unless(_IF_EQUAL, 0, ERRNO | errno.EPERM)
    program.load(_argument(0))
    program.when(_IF_ANY_BIT, ~THREAD_FLAGS & 0xFFFFFFFF, ERRNO | errno.EPERM)
    for flag in SHARED:  # JSET holds where any bit is set, so each bit is asked for by itself
        program.unless(_IF_ANY_BIT, flag, ERRNO | errno.EPERM)
    program.give(ALLOW)
    return program


def _own_pid(signal_index: int) -> _Program:
    """Allow signals to oneself, but SIGKILL, which then means the server or a lack of memory."""
    program = _Program()
    # The kernel reads pid and signal as 32 bits, so the low halves are all there is.
    program.load(_argument(signal_index))
    program.when(_IF_EQUAL, SIGKILL, ERRNO | errno.EPERM)
    program.load(_argument(0))
    program.when(_IF_EQUAL, _OWN_PID, ALLOW)
    program.give(ERRNO | errno.EPERM)
    return program


def _pretend_limit() -> _Program:
    """Reading one's limits works; setting them seems to, so that the usual idioms do not fail."""
    program = _Program()
    program.load(_argument(0))
    program.unless(_IF_EQUAL, 0, ERRNO | errno.EPERM)  # of pid 0, itself
    for high in (False, True):
        program.load(_argument(2, high=high))
        program.unless(_IF_EQUAL, 0, ERRNO)  # a new limit: errno 0, which reads as success
    program.give(ALLOW)
    return program
