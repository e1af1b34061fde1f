"""What the two filters decide, on both machines, without loading them."""

from __future__ import annotations

import errno

import pytest
from bpf import decide

from axiom_rl.sandbox.child.containment.seccomp import (
    ALLOW,
    AUDIT_ARCH,
    ERRNO,
    KILL,
    X32_BIT,
    child_filter,
    server_filter,
)
from axiom_rl.sandbox.child.containment.syscalls import (
    ALLOWED,
    JUDGED,
    KILLED,
    MISSING,
    NUMBERS,
    SERVER_ONLY,
)

MACHINES = sorted(NUMBERS)
EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
PLACEHOLDER = 0xFFFFFFFF
"""Stands for the child's own pid until the child fills it in."""


def ask(machine: str, name: str, *arguments: int) -> int:
    """The stricter of what both parts say, as the kernel would have it."""
    number = NUMBERS[machine][name]
    first = decide(server_filter(machine), machine, number, *arguments)
    second = decide(child_filter(machine), machine, number, *arguments)
    rank = {KILL: 0, ALLOW: 2}
    return min((first, second), key=lambda action: rank.get(action, 1))


@pytest.mark.parametrize("machine", MACHINES)
def test_lists(machine: str) -> None:
    numbers = NUMBERS[machine]
    for names, action in ((ALLOWED, ALLOW), (KILLED, KILL), (MISSING, ENOSYS)):
        for name in names:
            if name in numbers:
                assert ask(machine, name) == action, name


@pytest.mark.parametrize("machine", MACHINES)
def test_every_other_number_is_denied(machine: str) -> None:
    known = set(NUMBERS[machine].values())
    for number in set(range(600)) - known:
        assert decide(server_filter(machine), machine, number) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_other_architectures_are_killed(machine: str) -> None:
    number = NUMBERS[machine]["getpid"]
    for arch in (0x40000003, 0x40000028, *AUDIT_ARCH.values()):
        wanted = ALLOW if arch == AUDIT_ARCH[machine] else KILL
        assert decide(server_filter(machine), machine, number, arch=arch) == wanted


def test_x32_numbers_are_killed() -> None:
    assert decide(server_filter("x86_64"), "x86_64", X32_BIT | 39) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "action"),
    [
        ("clone", (0x00010000 | 0x0F00,), ALLOW),  # a thread
        ("clone", (0x3D0F00,), ALLOW),  # glibc's
        ("clone", (0x7D0F00,), ALLOW),  # musl's
        ("clone", (17,), EPERM),  # a process
        ("clone", (0x3D0F00 & ~0x400,), EPERM),  # descriptors of its own
        ("clone", (0x3D0F00 & ~0x200,), EPERM),  # a folder of its own
        ("clone", (0x3D0F00 & ~0x800,), EPERM),  # signal handlers of its own
        ("clone", (0x3D0F00 & ~0x100,), EPERM),  # memory of its own
        ("clone", (0x3D0F00 | 9,), EPERM),  # SIGKILL at its end
        ("clone", (0x3D0F00 | 0x80000000,), EPERM),  # an I/O context of its own
        ("clone", (0x3D0F00 | 0x20000,), EPERM),  # a mount namespace
        ("clone", (0x3D0F00 | 0x1000,), EPERM),  # a handle on it
        ("clone", (0x3D0F00 | 1 << 32,), EPERM),
        ("close_range", (4, 99, 0), ALLOW),
        ("close_range", (4, 99, 4), ALLOW),
        ("close_range", (4, 99, 2), EPERM),  # a descriptor table of its own
        ("close_range", (4, 99, 6), EPERM),
        ("timer_create", (0, 0, 0x1234), ALLOW),
        ("timer_create", (0, 0x1234, 0x1234), EPERM),  # a signal of its choice
        ("timer_create", (0, 1 << 32, 0x1234), EPERM),
        ("socketpair", (1, 1, 0), ALLOW),
        ("socketpair", (30, 1, 0), KILL),  # TIPC
        ("socketpair", (16, 3, 0), KILL),
        ("recvfrom", (3, 0x1234, 1, 0x2), ALLOW),
        ("recvfrom", (3, 0x1234, 1, 0x1), EPERM),  # out of band
        ("sendto", (3, 0x1234, 1, 0x1, 0, 0), EPERM),
        ("sendto", (3, 0x1234, 1, 0x4000, 0, 0), ALLOW),
        ("sendto", (3, 0x1234, 1, 0x4000000, 0, 0), EPERM),  # zero copy
        ("getsockopt", (3, 1, 3), ALLOW),
        ("getsockopt", (3, 0, 64), EPERM),  # of the packet filter
        ("kill", (PLACEHOLDER, 15), ALLOW),
        ("kill", (PLACEHOLDER, 9), EPERM),
        ("kill", (1, 15), EPERM),
        ("kill", (0, 15), EPERM),
        ("tgkill", (PLACEHOLDER, 77, 6), ALLOW),
        ("tgkill", (77, 77, 6), EPERM),
        ("tkill", (77, 6), EPERM),
        ("prctl", (15, 0), ALLOW),
        ("prctl", (1, 0), EPERM),  # its parent-death signal
        ("prctl", (22, 2), EPERM),
        ("prlimit64", (0, 7, 0, 0x7FFF_0000_0000), ALLOW),
        ("prlimit64", (0, 7, 0x7FFF_0000_0000, 0), ERRNO),
        ("prlimit64", (0, 7, 0x1234, 0), ERRNO),
        ("prlimit64", (1, 7, 0, 0), EPERM),
        ("setrlimit", (7, 0x1234), ERRNO),
        ("seccomp", (1, 0, 0x1234), KILL),
        ("memfd_create", (0x1234, 0), EPERM),
        ("pidfd_open", (1, 0), EPERM),
        ("socket", (1, 1, 0), EPERM),
        ("socket", (2, 1, 0), KILL),
        ("socket", (16, 3, 0), KILL),
        ("sendto", (3, 0x1234, 1, 0, 0, 0), ALLOW),
        ("sendto", (3, 0x1234, 1, 0, 0x1234, 16), EPERM),
        ("sendto", (3, 0x1234, 1, 0, 0x1234_0000_0000, 16), EPERM),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (1, 0x5412), EPERM),  # TIOCSTI
        ("fcntl", (1, 3), ALLOW),
        ("fcntl", (1, 8, 1), EPERM),  # F_SETOWN
    ],
)
def test_arguments(machine: str, name: str, arguments: tuple[int, ...], action: int) -> None:
    assert ask(machine, name, *arguments) == action


def test_the_server_may_do_its_work() -> None:
    for machine in MACHINES:
        for name in [*JUDGED, *SERVER_ONLY]:
            number = NUMBERS[machine][name]
            assert decide(server_filter(machine), machine, number) == ALLOW
