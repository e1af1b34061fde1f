"""Attacks on oneself: every way to end, stop or starve one's own process, to look like our fault.

Whatever a candidate does to itself is its own verdict, never `sandbox_fault`.
"""

from __future__ import annotations

from corpus.attack import Attack, M, R, T, V, W, forge
from corpus.kernel import CALL

OWN = (R, V, W, T)
"""Any verdict of its own."""


def _end(name: str, tries: str, body: str, *more: object) -> Attack:
    """Do something to oneself, then answer wrongly; `x` is a number."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return forge(
        name,
        tries,
        f"{CALL}\nimport signal, sys, threading, time\ndef solve(x):\n{lines}    return 0\n",
        *OWN,
        M,
    )


TIMER = """
event = (ctypes.c_int * 16)(0, 0, {number}, {how}, {thread})
timer = ctypes.c_int()
if call(222, 107, 0, event, ctypes.byref(timer)) == 0:
    call(223, 110, timer.value, 0, (ctypes.c_long * 4)(0, 0, 0, 1000), 0)
    end = time.time() + 0.1
    while time.time() < end: pass
"""
"""A POSIX timer (`sigevent`: value, signal, how, thread) that sends a signal at once."""

SIGNALS = [
    _end(
        "kill_by_readable_socket",
        "asks for SIGKILL as soon as a socket of its own can be read",
        """
import fcntl, os, socket
a, b = socket.socketpair()
fcntl.fcntl(a, 10, 9)  # F_SETSIG
fcntl.fcntl(a, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
b.send(b"x")
time.sleep(0.05)
""",
    ),
    *(
        _end(
            f"timer_{name.lower()}",
            f"has a timer of the kernel send it {name}",
            TIMER.format(number=number, how=0, thread=0),
        )
        for name, number in [("SIGKILL", 9), ("SIGSTOP", 19), ("SIGSYS", 31), ("SIGXCPU", 24)]
    ),
    _end(
        "timer_sigkill_to_a_thread",
        "has a timer of the kernel send SIGKILL to one thread",
        TIMER.format(number=9, how=4, thread="threading.get_native_id()"),
    ),
    _end(
        "timer_sigkill_from_a_thread",
        "starts the timer from a thread and on its CPU clock",
        """
def work():
    event = (ctypes.c_int * 16)(0, 0, 9, 0)
    timer = ctypes.c_int()
    if call(222, 107, 3, event, ctypes.byref(timer)) == 0:
        call(223, 110, timer.value, 0, (ctypes.c_long * 4)(0, 0, 0, 1000), 0)
    while True: pass
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
""",
    ),
    *(
        _end(
            f"itimer_{name}",
            f"lets an interval timer end it ({name})",
            f"signal.setitimer(signal.ITIMER_{name.upper()}, 0.001)\nwhile True: pass",
        )
        for name in ("real", "virtual", "prof")
    ),
    _end("alarm_by_default", "lets alarm() end it", "signal.alarm(1)\ntime.sleep(5)"),
    _end(
        "parent_death_signal",
        "asks for SIGKILL when its parent's thread ends",
        "call(157, 167, 1, 9, 0, 0, 0)",
    ),
    *(
        _end(
            f"kill_{who}",
            f"sends SIGKILL to {words}",
            f"call(62, 129, {target}, 9)",
        )
        for who, words, target in [
            ("itself", "itself", "os.getpid()"),
            ("its_group", "its process group", "0"),
            ("everybody", "all that it may", "-1"),
            ("its_group_by_number", "its process group by number", "-os.getpgrp()"),
        ]
    ),
    _end(
        "tgkill_itself",
        "sends SIGKILL to its thread",
        "call(234, 131, os.getpid(), os.getpid(), 9)",
    ),
    _end(
        "tkill_a_thread",
        "sends SIGKILL to another thread of its own",
        """
t = threading.Thread(target=time.sleep, args=(1,), daemon=True)
t.start()
call(200, 130, t.native_id, 9)
call(234, 131, os.getpid(), t.native_id, 9)
""",
    ),
    _end(
        "queue_sigkill",
        "queues SIGKILL to itself",
        "call(129, 138, os.getpid(), 9, (ctypes.c_int * 32)(9, 0, -1))",
    ),
    _end(
        "queue_sigkill_to_a_thread",
        "queues SIGKILL to its thread",
        "call(297, 240, os.getpid(), os.getpid(), 9, (ctypes.c_int * 32)(9, 0, -1))",
    ),
    _end(
        "sigkill_by_handle",
        "sends SIGKILL to a handle on itself",
        """
fd = call(434, 434, os.getpid(), 0)
call(424, 424, fd, 9, 0, 0)
""",
    ),
    _end(
        "sigkill_by_async_io",
        "has the kernel send SIGKILL when its pipe becomes ready",
        """
r, w = os.pipe()
for command, value in ((8, os.getpid()), (10, 9), (15, 0)):
    call(72, 25, r, command, value)
call(72, 25, r, 4, 0o20000 | 0o4000)
os.write(w, b"x")
time.sleep(0.01)
""",
    ),
    _end(
        "sigkill_by_socket",
        "has the kernel send SIGKILL when its socket becomes ready",
        """
import socket
a, b = socket.socketpair()
for command in (0x8901, 0x8902):
    call(16, 29, a.fileno(), command, (ctypes.c_int * 1)(os.getpid()))
call(16, 29, a.fileno(), 0x5452, (ctypes.c_int * 1)(1))
b.send(b"x")
""",
    ),
    _end(
        "sigkill_by_a_folder",
        "has the kernel send SIGKILL when a folder changes",
        """
fd = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
call(72, 25, fd, 10, 9)
call(72, 25, fd, 1026, 0x80000003)
""",
    ),
    _end(
        "sigkill_at_the_end_of_a_thread",
        "makes a thread whose end sends SIGKILL",
        "call(56, 220, 0x10f00 | 9, 0, 0, 0, 0)",
    ),
    _end(
        "out_of_processor_time",
        "lowers its own limit of CPU seconds",
        """
call(160, 164, 0, (ctypes.c_ulong * 2)(0, 0))
call(302, 261, 0, 0, (ctypes.c_ulong * 2)(0, 0), 0)
while True: pass
""",
    ),
    _end(
        "out_of_real_time",
        "lowers its limit of real-time seconds",
        "call(302, 261, 0, 15, (ctypes.c_ulong * 2)(1, 1), 0)\nwhile True: pass",
    ),
    _end(
        "out_of_descriptors",
        "lowers its limit of descriptors",
        "call(302, 261, 0, 7, (ctypes.c_ulong * 2)(0, 0), 0)\nos.pipe()",
    ),
    _end(
        "stopped_thread",
        "stops itself from a thread while it loops",
        """
threading.Thread(target=os.kill, args=(os.getpid(), 19)).start()
while True: pass
""",
    ),
    *(
        _end(
            f"raises_{name.lower()}",
            f"ends by {name}",
            f"signal.signal({number}, signal.SIG_DFL)\nos.kill(os.getpid(), {number})",
        )
        for name, number in [
            ("SIGILL", 4),
            ("SIGTRAP", 5),
            ("SIGABRT", 6),
            ("SIGBUS", 7),
            ("SIGFPE", 8),
            ("SIGSEGV", 11),
            ("SIGPIPE", 13),
            ("SIGALRM", 14),
            ("SIGIO", 29),
            ("SIGPWR", 30),
            ("SIGRTMAX", 64),
        ]
    ),
]

FAULTS = [
    _end(
        "breakpoint",
        "runs a breakpoint of the processor",
        """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x00\\x00\\x20\\xd4" if ARM else b"\\xcc")
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
""",
    ),
    _end(
        "unmapped_library",
        "unmaps the C library under its feet",
        """
at = ctypes.cast(libc.read, ctypes.c_void_p).value & ~4095
libc.munmap(ctypes.c_void_p(at - (1 << 20)), ctypes.c_size_t(2 << 20))
""",
    ),
    _end(
        "no_memory_left",
        "takes away all access to its heap",
        """
libc.sbrk.restype = ctypes.c_void_p
top = libc.sbrk(0) & ~4095
libc.mprotect(ctypes.c_void_p(top - (1 << 20)), ctypes.c_size_t(1 << 20), 0)
return [object() for _ in range(100000)] and 0
""",
    ),
    _end(
        "alternate_stack_overflow",
        "overflows its stack with a signal stack too small to say so",
        """
import faulthandler
faulthandler.enable()
sys.setrecursionlimit(1 << 30)
def deep(n): return sorted([n], key=deep)
deep(0)
""",
    ),
    _end(
        "main_thread_leaves",
        "ends its main thread alone, while another stays",
        """
threading.Thread(target=time.sleep, args=(60,)).start()
call(60, 93, 0)
""",
    ),
    _end(
        "main_thread_leaves_a_loop",
        "ends its main thread alone, while another computes",
        """
def loop():
    while True: pass
threading.Thread(target=loop).start()
call(60, 93, 0)
""",
    ),
    _end(
        "exit_from_a_thread",
        "ends the process from a thread in the middle of a test",
        """
threading.Thread(target=os._exit, args=(0,)).start()
time.sleep(1)
""",
    ),
    *(
        _end(
            f"exit_status_{status}",
            f"leaves with status {status}, which ours or a shell's could be",
            f"os._exit({status})",
        )
        for status in (70, 71, 75, 137, 255)
    ),
]

ITSELF: list[Attack] = [*SIGNALS, *FAULTS]
