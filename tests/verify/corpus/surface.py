"""Attacks on what a candidate was born with and on rarely used parts of the kernel.

Descriptors of any number, the command line, state that passes from one process to the next, and
socket families and flags that no honest program needs.
"""

from __future__ import annotations

from corpus.attack import DENIED, Attack, T, escape
from corpus.forging import SEARCH
from corpus.kernel import CALL

DESCRIPTORS = [
    escape(
        "far_descriptors",
        "finds an open descriptor of any number",
        """
import os
def solve(c):
    for far in (0, 1 << 16, 1 << 19, 1 << 20, (1 << 31) - 5000):
        for fd in range(far + 4, far + 4900):
            try:
                os.fstat(fd)
                return "escaped"
            except (OSError, OverflowError):
                pass
""",
        *DENIED,
        T,
    ),
    escape(
        "far_descriptors_polled",
        "asks the kernel for every descriptor at once",
        """
import select
def solve(c):
    for fds in (range(4, 64), ):
        poll = select.poll()
        for fd in fds: poll.register(fd)
        if any(not event & select.POLLNVAL for _, event in poll.poll(0)): return "escaped"
""",
    ),
    escape(
        "far_descriptors_named",
        "lists its descriptors in /proc and /dev",
        """
import os
def solve(c):
    for folder in ("/proc/self/fd", "/dev/fd", "/proc/thread-self/fd", "/proc/1/fd"):
        try:
            if any(int(name) > 3 for name in os.listdir(folder)): return "escaped"
        except OSError:
            pass
""",
    ),
    escape(
        "descriptor_of_a_shut_channel",
        "reads and writes everything above its record",
        """
import os
def solve(c):
    for fd in range(4, 2000):
        for deed in (lambda: os.read(fd, 1), lambda: os.write(fd, b""), lambda: os.dup(fd)):
            try:
                deed()
                return "escaped"
            except OSError:
                pass
""",
    ),
]

START = [
    escape(
        "command_line",
        "reads what it was started with",
        """
import sys
def solve(c):
    words = " ".join([*sys.argv, *sys.orig_argv, sys.executable])
    if str(c["parent"]) in words or "axiom" in words or len(sys.argv) > 1: return "escaped"
""",
    ),
    escape(
        "command_line_in_memory",
        "searches its stack for the command line",
        SEARCH
        + """
def solve(c):
    libc.getenv.restype = ctypes.c_void_p
    near = libc.getenv(b"PYTHONHASHSEED")
    below = near - (near & 4095)
    near = range(below - (4 << 12), below + 4096, 4096)
    text = b"".join(ctypes.string_at(at, 4096) for at in near if is_there(at))
    if re.search(rb"child.server|sys.path.append|preload", text): return "escaped"
""",
    ),
    escape(
        "main_module",
        "looks into the module that started it",
        """
import __main__
def solve(c):
    return "escaped" if any(not name.startswith("__") for name in vars(__main__)) else None
""",
    ),
    escape(
        "host_in_environment",
        "looks for paths of the host in the environment",
        """
import os
def solve(c):
    return "escaped" if any("/" in v.strip("/") for v in os.environ.values()) else None
""",
    ),
    escape(
        "inherited_signals",
        "finds signals that somebody before it blocks",
        """
import signal
def solve(c):
    return "escaped" if signal.pthread_sigmask(signal.SIG_BLOCK, ()) else None
""",
    ),
]

SOCKETS = [
    escape(
        f"socket_pair_{name}",
        f"makes a pair of sockets of the family {name}",
        f"{CALL}\ndef solve(c):\n    pair = (ctypes.c_int * 2)()\n"
        f"    for kind in (1, 2, 3, 5):\n"
        f"        if call(53, 199, {family}, kind, 0, pair) == 0: return 'escaped'\n",
    )
    for name, family in [
        ("inet", 2),
        ("netlink", 16),
        ("packet", 17),
        ("rds", 21),
        ("bluetooth", 31),
        ("tipc", 30),
        ("alg", 38),
        ("vsock", 40),
        ("kcm", 41),
        ("smc", 43),
        ("xdp", 44),
    ]
] + [
    escape(
        "out_of_band_sent",
        "sends a byte out of band",
        """
import socket
def solve(c):
    a, b = socket.socketpair()
    return "escaped" if a.send(b"x", socket.MSG_OOB) else None
""",
    ),
    escape(
        "out_of_band_received",
        "reads a byte out of band",
        f"{CALL}\n"
        """
import socket
def solve(c):
    a, b = socket.socketpair()
    room = ctypes.create_string_buffer(16)
    for flags in (1, 1 | 2, 1 | 64, 0x2000, 0x4000000, 0x20000000):
        if call(45, 207, a.fileno(), room, 1, flags, 0, 0) < 0:
            if ctypes.get_errno() == errno.EPERM: continue
        return "escaped"
""",
    ),
    escape(
        "socket_settings",
        "asks the packet filter through a socket",
        f"{CALL}\n"
        """
import socket
def solve(c):
    a, b = socket.socketpair()
    room, size = ctypes.create_string_buffer(256), ctypes.c_int(256)
    for level in (0, 6, 17, 41, 270, 283):
        call(55, 209, a.fileno(), level, 64, room, ctypes.byref(size))
        if ctypes.get_errno() != errno.EPERM: return "escaped"
""",
    ),
    escape(
        "descriptor_by_message",
        "sends a descriptor through a socket pair",
        """
import os, socket
def solve(c):
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [0])
    return "escaped"
""",
    ),
]

SURFACE: list[Attack] = [*DESCRIPTORS, *START, *SOCKETS]
