"""What the two filters decide, on both machines, without loading them."""

from __future__ import annotations

import errno

import pytest
from bpf import decide

from axiom_rl.sandbox.child.seccomp import (
    ALLOW,
    AUDIT_ARCH,
    ERRNO,
    KILL,
    X32_BIT,
    child_filter,
    server_filter,
)
from axiom_rl.sandbox.child.syscalls import ALLOWED, JUDGED, KILLED, MISSING, NUMBERS, SERVER_ONLY

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
        ("clone", (17,), EPERM),  # a process
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
