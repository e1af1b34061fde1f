"""Attacks on other processes and on the kernel's surface, by system calls made through ctypes.

Each call is made so that a kernel that lets it through does no harm: signals are 0 or ones with a
harmless handler in the parent, and calls that would change the machine get arguments it refuses.
`reached` counts a call as let through also where it fails for its arguments' sake.
"""

from corpus.attack import DENIED, Attack, M, O, R, T, V, W, escape

CALL = """
import ctypes, errno, os
ARM = os.uname().machine == "aarch64"
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *args):
    libc.syscall.restype = ctypes.c_long
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return libc.syscall(ctypes.c_long(arm if ARM else x86), *words)
def done(result):
    return "escaped" if result >= 0 else None
def reached(result):
    refused = (errno.EPERM, errno.EACCES, errno.ENOSYS)
    return "escaped" if result >= 0 or ctypes.get_errno() not in refused else None
"""


def _call(name: str, tries: str, verdict: str, x86: int, arm: int, *args: str) -> Attack:
    """Make one system call; `c` is the context, `room` a kilobyte of zeros."""
    code = f"""{CALL}
def solve(c):
    room = ctypes.create_string_buffer(1024)
    return {verdict}(call({x86}, {arm}, {", ".join(args)}))
"""
    return escape(name, tries, code)


SIGNALS = [
    _call("signal_parent", "signals the parent", "done", 62, 129, "c['parent']", "10"),
    _call(
        "signal_parent_nothing",
        "asks whether the parent lives",
        "done",
        62,
        129,
        "c['parent']",
        "0",
    ),
    _call("signal_server", "signals its server", "done", 62, 129, "os.getppid()", "0"),
    _call("kill_server", "kills its server", "done", 62, 129, "os.getppid()", "9"),
    _call("stop_server", "stops its server", "done", 62, 129, "os.getppid()", "19"),
    _call("signal_everyone", "signals every process", "done", 62, 129, "-1", "0"),
    _call("signal_init", "signals process 1", "done", 62, 129, "1", "0"),
    _call("signal_thread", "signals the parent by tkill", "done", 200, 130, "c['parent']", "10"),
    _call(
        "signal_group_thread",
        "signals the parent by tgkill",
        "done",
        234,
        131,
        "c['parent']",
        "c['parent']",
        "10",
    ),
    _call(
        "queue_signal",
        "queues a signal with forged origin",
        "reached",
        129,
        138,
        "c['parent']",
        "10",
        "room",
    ),
    _call("open_pidfd", "opens a handle on the parent", "done", 434, 434, "c['parent']", "0"),
    _call(
        "steal_descriptor",
        "takes a descriptor out of another process",
        "reached",
        438,
        438,
        "1",
        "0",
        "0",
    ),
    escape(
        "signal_by_async_io",
        "has the kernel signal the parent when a pipe becomes ready",
        """
import fcntl, os
def solve(c):
    r, w = os.pipe()
    fcntl.fcntl(r, fcntl.F_SETOWN, c["parent"])
    fcntl.fcntl(r, 10, 10)
    fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(w, b"x")
    return None
""",
    ),
    _call(
        "limit_parent",
        "lowers the parent's limit of descriptors",
        "done",
        302,
        261,
        "c['parent']",
        "7",
        "(ctypes.c_ulong * 2)(8192, 1 << 16)",
        "0",
    ),
    _call(
        "limit_server",
        "lowers its server's limit of descriptors",
        "done",
        302,
        261,
        "os.getppid()",
        "7",
        "(ctypes.c_ulong * 2)(3, 3)",
        "0",
    ),
    _call(
        "parents_limits",
        "reads the parent's limits",
        "done",
        302,
        261,
        "c['parent']",
        "7",
        "0",
        "room",
    ),
    _call("renice_parent", "makes the parent slow", "done", 141, 140, "0", "c['parent']", "1"),
    _call("renice_user", "makes all processes of the user slow", "done", 141, 140, "2", "0", "0"),
    _call(
        "pin_parent", "pins the parent to one core", "reached", 203, 122, "c['parent']", "0", "room"
    ),
    _call(
        "schedule_parent",
        "changes how the parent is scheduled",
        "reached",
        144,
        119,
        "c['parent']",
        "99",
        "room",
    ),
    _call(
        "io_priority",
        "lowers the parent's priority for disks",
        "reached",
        251,
        30,
        "1",
        "c['parent']",
        "65535",
    ),
]

MEMORY = [
    _call(
        "trace_parent",
        "attaches a debugger to the parent",
        "reached",
        101,
        117,
        "16",
        "c['parent']",
        "0",
        "0",
    ),
    _call(
        "trace_server",
        "attaches a debugger to its server",
        "reached",
        101,
        117,
        "16",
        "os.getppid()",
        "0",
        "0",
    ),
    _call("trace_me", "asks its server to trace it", "reached", 101, 117, "0", "0", "0", "0"),
    _call(
        "read_parent",
        "reads the parent's memory",
        "reached",
        310,
        270,
        "c['parent']",
        "room",
        "1",
        "room",
        "1",
        "0",
    ),
    _call(
        "write_server",
        "writes to its server's memory",
        "reached",
        311,
        271,
        "os.getppid()",
        "room",
        "1",
        "room",
        "1",
        "0",
    ),
    _call(
        "compare_processes",
        "compares kernel objects of processes",
        "reached",
        312,
        272,
        "os.getpid()",
        "os.getppid()",
        "0",
        "0",
        "0",
    ),
    _call(
        "advise_parent",
        "drops the parent's memory",
        "reached",
        440,
        440,
        "-1",
        "room",
        "1",
        "4",
        "0",
    ),
    _call(
        "move_pages", "moves the parent's memory", "reached", 256, 238, "c['parent']", "0", "0", "0"
    ),
    _call("userfaultfd", "handles page faults itself", "reached", 323, 282, "1"),
    _call("shmget", "makes System V shared memory", "done", 29, 194, "0", "4096", "0o1600"),
    _call("semget", "makes System V semaphores", "done", 64, 190, "0", "1", "0o1600"),
    _call("msgget", "makes a System V queue", "done", 68, 186, "0", "0o1600"),
    _call(
        "mq_open", "makes a message queue", "reached", 240, 180, "b'/axiom'", "0o102", "0o600", "0"
    ),
    _call("secret_memory", "makes memory the kernel cannot see", "done", 447, 447, "0"),
    escape(
        "run_from_memory_file",
        "runs a program from a memory file",
        CALL
        + """
def solve(c):
    fd = os.memfd_create("program")
    os.write(fd, b"#!/bin/sh\\ntouch " + c["folder"].encode() + b"/ran\\n")
    argv = (ctypes.c_char_p * 2)(b"program", None)
    result = call(322, 281, fd, b"", argv, 0, 0x1000)
    return reached(result)
""",
    ),
    escape(
        "sealed_result",
        "seals, grows and maps the files it was born with, to change them after its end",
        """
import fcntl, os
def solve(c):
    sealed = 0
    for fd in range(1, 8):
        try:
            fcntl.fcntl(fd, 1033, 0x1F)
            sealed += 1
        except OSError:
            pass
        try:
            os.ftruncate(fd, 1 << 40)
            return "escaped"
        except OSError:
            pass
    return sealed
""",
        *DENIED,
        O,
    ),
]

SURFACE = [
    _call(name, tries, "reached", *numbers, *args)
    for name, tries, numbers, args in [
        ("io_uring", "makes an io_uring", (425, 425), ("8", "room")),
        ("bpf", "loads a program into the kernel", (321, 280), ("0", "room", "128")),
        ("perf_events", "opens performance counters", (298, 241), ("room", "0", "-1", "-1", "0")),
        ("keyctl", "joins a session keyring", (250, 219), ("1", "0")),
        (
            "add_key",
            "stores a key in the kernel",
            (248, 217),
            ("b'user'", "b'x'", "b'y'", "1", "-2"),
        ),
        (
            "mount",
            "mounts a file system",
            (165, 40),
            ("b'none'", "b'/tmp'", "b'nothing'", "0", "0"),
        ),
        ("open_tree", "clones a mount", (428, 428), ("-100", "b'/'", "1")),
        ("new_mount_api", "opens a file system by name", (430, 430), ("b'nothing'", "0")),
        ("pivot_root", "changes the root", (155, 41), ("b'/nowhere'", "b'/nowhere'")),
        ("unmount", "unmounts a file system", (166, 39), ("b'/nowhere'", "0")),
        ("unshare", "makes a user namespace", (272, 97), ("0x10000000",)),
        ("unshare_network", "makes a network namespace", (272, 97), ("0x40000000",)),
        ("setns", "enters another namespace", (308, 268), ("-1", "0")),
        ("fanotify", "watches the file system", (300, 262), ("0", "0")),
        ("open_by_handle", "opens files by handle", (304, 265), ("-100", "room", "0")),
        ("swap", "turns on swap", (167, 224), ("b'/nowhere'", "0")),
        ("load_module", "loads a kernel module", (175, 105), ("room", "1", "b''")),
        ("load_module_file", "loads a kernel module from a file", (313, 273), ("-1", "b''", "0")),
        ("kexec", "loads another kernel", (246, 104), ("0", "-1", "0", "0")),
        ("reboot", "reboots the machine", (169, 142), ("0", "0", "0", "0")),
        ("host_name", "renames the machine", (170, 161), ("room", "-1")),
        ("set_clock", "sets the clock", (227, 112), ("-1", "room")),
        ("adjust_clock", "adjusts the clock", (305, 266), ("-1", "room")),
        ("kernel_log", "reads the kernel's log", (103, 116), ("3", "room", "64")),
        ("io_ports", "opens the ports of the machine", (172, 1000), ("3",)),
        ("quota", "asks for quotas", (179, 60), ("0", "0", "0", "0")),
        ("accounting", "writes process accounting", (163, 89), ("b'/nowhere'",)),
        ("change_root", "changes its root by system call", (161, 51), ("b'/'",)),
        ("set_capabilities", "asks for capabilities", (126, 91), ("0", "0")),
        ("become_root", "becomes root", (105, 146), ("0",)),
        ("change_groups", "drops its groups", (116, 159), ("0", "0")),
        ("clone3", "makes a process by clone3", (435, 435), ("room", "0")),
        ("socket_call", "makes a socket by system call", (41, 198), ("2", "1", "0")),
        ("process_release", "reaps the memory of a dying process", (448, 448), ("-1", "0")),
        ("lookup_cookie", "uses a call that no longer exists", (212, 18), ("0", "0", "0")),
        ("name_space_of_future", "uses a number no kernel knows", (999, 999), ("0",)),
    ]
] + [
    escape(
        "clone_process",
        "makes a process by the bare clone call",
        CALL
        + """
def solve(c):
    pid = call(56, 220, 17, 0, 0, 0, 0)
    if pid == 0: os._exit(0)
    return done(pid)
""",
    ),
    escape(
        "clone_namespace",
        "makes a process in new namespaces by the bare clone call",
        CALL
        + """
def solve(c):
    pid = call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0: os._exit(0)
    return done(pid)
""",
    ),
    escape(
        "x32_numbers",
        "makes a socket by the numbers of the x32 interface",
        CALL
        + """
def solve(c):
    return done(call(0x40000000 | 41, -1, 2, 1, 0))
""",
    ),
    escape(
        "old_interface",
        "makes a socket by the 32-bit interface, from machine code",
        CALL
        + """
import mmap
def solve(c):
    if ARM: return None
    code = bytes.fromhex("53 b867010000 bb02000000 b901000000 31d2 cd80 5b c3")
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return done(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
""",
    ),
    escape(
        "own_filter_first",
        "installs a filter of its own that allows everything, then makes a socket",
        CALL
        + """
def solve(c):
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    allow = ctypes.create_string_buffer(bytes.fromhex("0600000000 00ff7f".replace(" ", "")))
    call(317, 277, 1, 0, ctypes.byref(Program(1, ctypes.addressof(allow))))
    return done(call(41, 198, 2, 1, 0))
""",
    ),
    escape(
        "raise_limits",
        "raises its limits, then asks for all the memory it may not have",
        """
import resource
def solve(c):
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        try: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError): pass
    area = bytearray(6 << 30)
    return "escaped"
""",
        *DENIED,
        M,
        T,
    ),
    escape(
        "dump_core",
        "makes itself dump its memory to a file",
        """
import os, resource
def solve(c):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.abort()
""",
        R,
        V,
        W,
    ),
]

KERNEL: list[Attack] = [*SIGNALS, *MEMORY, *SURFACE]
