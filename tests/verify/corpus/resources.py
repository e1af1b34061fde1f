"""Attacks that want too much: memory, threads, processes, output, and values without end."""

from corpus.attack import DENIED, Attack, M, O, R, T, V, W, escape, exhaust, forge

MEMORY = [
    exhaust(
        "huge_bytes",
        "asks for a terabyte",
        "def solve(x):\n    return len(bytearray(10**12))\n",
        M,
        T,
    ),
    exhaust(
        "growing_list",
        "grows a list without end",
        "def solve(x):\n    a = []\n    while True: a.append(bytearray(1 << 20))\n",
        M,
        T,
    ),
    exhaust(
        "doubling_string",
        "doubles a string without end",
        "def solve(x):\n    s = 'ab'\n    while True: s += s\n",
        M,
        T,
    ),
    exhaust(
        "swallows_memory_errors",
        "goes on after every MemoryError",
        """
def solve(x):
    kept = []
    size = 1 << 30
    while True:
        try:
            kept.append(bytearray(size))
        except MemoryError:
            size = max(1, size // 2)
""",
        T,
        M,
    ),
    exhaust(
        "memory_at_import",
        "fills memory while loading",
        "a = [0]\nwhile True: a += a\n",
        M,
        T,
    ),
    escape(
        "mapped_memory",
        "maps eight gigabytes and writes to each page",
        """
import mmap
def solve(c):
    size = 8 << 30
    area = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        area[at] = 1
    return "escaped"
""",
        *DENIED,
        M,
        T,
    ),
    escape(
        "memory_files",
        "hides gigabytes in memory files, which no address space counts",
        """
import os
def solve(c):
    total, kept, chunk = 0, [], b"x" * (1 << 20)
    for n in range(10000):
        fd = os.memfd_create(str(n))
        kept.append(fd)
        try:
            while True:
                total += os.write(fd, chunk)
                if total > 1500 << 20:
                    return "escaped"
        except OSError:
            continue
""",
        *DENIED,
        M,
        T,
        O,
    ),
    escape(
        "pipe_buffers",
        "hides memory in the buffers of pipes and socket pairs",
        """
import fcntl, os, socket
def solve(c):
    total, kept = 0, []
    for n in range(5000):
        r, w = os.pipe()
        kept += [r, w]
        os.set_blocking(w, False)
        try: fcntl.fcntl(w, 1031, 1 << 20)
        except OSError: pass
        try:
            while True: total += os.write(w, b"x" * 65536)
        except BlockingIOError:
            pass
        if total > 256 << 20:
            return "escaped"
""",
        *DENIED,
        M,
        T,
    ),
    escape(
        "shared_memory",
        "makes shared memory that stays behind",
        """
from multiprocessing import shared_memory
def solve(c):
    shared_memory.SharedMemory(c["token"], create=True, size=1 << 20)
    return "escaped"
""",
    ),
]

PROCESSES = [
    exhaust(
        "many_threads",
        "starts threads without end",
        """
import threading, time
def solve(x):
    while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
""",
        R,
        M,
        T,
        V,
    ),
    escape(
        "thread_swarm",
        "starts a thousand threads with tiny stacks, to use up the machine's process ids",
        """
import ctypes
def solve(c):
    libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
    attributes = ctypes.create_string_buffer(128)
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(16384))
    libc.pthread_attr_setguardsize(attributes, ctypes.c_size_t(0))
    for started in range(1000):
        if libc.pthread_create(ctypes.byref(thread), attributes, libc.pause, None):
            return started
    return "escaped"
""",
    ),
    escape(
        "fork",
        "forks",
        """
import os
def solve(c):
    if os.fork() == 0: os._exit(0)
    return "escaped"
""",
    ),
    escape(
        "fork_bomb",
        "forks without end",
        """
import os
def solve(c):
    while True:
        if os.fork() == 0:
            while True:
                try: os.fork()
                except OSError: os._exit(0)
        open(c["folder"] + "/forked", "w")
""",
        *DENIED,
        T,
    ),
    escape(
        "daemon",
        "leaves a daemon behind by a double fork",
        """
import os, time
def solve(c):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(64):
                try: os.close(fd)
                except OSError: pass
            time.sleep(600)
        os._exit(0)
    return "escaped"
""",
    ),
    escape(
        "vfork_in_c",
        "calls vfork through ctypes",
        """
import ctypes, os
def solve(c):
    pid = ctypes.CDLL(None).vfork()
    if pid == 0: os._exit(0)
    return "escaped" if pid > 0 else pid
""",
    ),
    escape(
        "subprocess",
        "runs another program",
        """
import subprocess, sys
def solve(c):
    subprocess.run(["/bin/true"], check=True)
    return "escaped"
""",
    ),
    escape(
        "shell",
        "runs a shell command that leaves a file",
        """
import os
def solve(c):
    return "escaped" if os.system("touch " + c["folder"] + "/shell") == 0 else None
""",
    ),
    escape(
        "posix_spawn",
        "spawns the interpreter",
        """
import os, sys
def solve(c):
    os.posix_spawn(sys.executable or "/usr/bin/python3", ["python", "-c", "1"], {})
    return "escaped"
""",
    ),
    escape(
        "multiprocessing",
        "uses a pool of processes",
        """
import multiprocessing
def solve(c):
    process = multiprocessing.get_context("fork").Process(target=print)
    process.start()
    process.join()
    return "escaped"
""",
    ),
    escape(
        "pty_fork",
        "forks on a terminal of its own",
        """
import os, pty
def solve(c):
    pid, fd = pty.fork()
    if pid == 0: os._exit(0)
    return "escaped"
""",
    ),
    escape(
        "new_session",
        "leaves the session and group it is watched in, to stop being killed with them",
        """
import os, signal
def solve(c):
    os.kill(0, signal.SIGUSR2)
    return "escaped"
""",
    ),
]

FLOODS = [
    exhaust(
        "endless_print",
        "prints without end",
        "def solve(x):\n    while True: print('x' * 10000)\n",
        O,
        T,
        R,
    ),
    exhaust(
        "endless_stderr",
        "writes to descriptor 2 without end, past every exception",
        """
import os
def solve(x):
    while True:
        try: os.write(2, b"x" * 65536)
        except OSError: pass
""",
        O,
        T,
    ),
    exhaust(
        "big_print_and_answer",
        "prints more than allowed, then answers",
        "def solve(x):\n    print('x' * (3 << 20), flush=True)\n    return 7 * x + 3\n",
        O,
        R,
    ),
    exhaust(
        "floods_every_descriptor",
        "writes to every descriptor until each is full",
        """
import os
def solve(x):
    for fd in range(1, 256):
        try:
            while True:
                os.write(fd, b"x" * 65536)
        except OSError:
            pass
    return 0
""",
        O,
        T,
        R,
        V,
    ),
    forge(
        "huge_message",
        "raises with a message of a hundred megabytes",
        "def solve(x):\n    raise ValueError('x' * 10**8)\n",
        R,
        M,
        T,
    ),
    forge(
        "huge_name",
        "raises a class with a huge name",
        "def solve(x):\n    raise type('E' * 10**7, (Exception,), {})()\n",
        R,
        M,
        T,
    ),
    exhaust(
        "many_descriptors",
        "opens descriptors without end and keeps them",
        """
import os
def solve(x):
    kept = []
    while True: kept.append(os.dup(1))
""",
        R,
        V,
    ),
]

VALUES = [
    exhaust(
        "huge_str",
        "returns a hundred million characters",
        "def solve(x):\n    return 'x' * 10**8\n",
        O,
        W,
        M,
        T,
    ),
    exhaust(
        "huge_list",
        "returns ten million items",
        "def solve(x):\n    return [0] * 10**7\n",
        O,
        W,
        M,
        T,
    ),
    exhaust(
        "huge_int",
        "returns an integer of ten million digits",
        "def solve(x):\n    return 1 << 33000000\n",
        O,
        W,
        M,
        T,
    ),
    exhaust(
        "big_unasked_value",
        "returns a megabyte",
        "def solve(x):\n    return list(range(100000))\n",
        W,
        T,
    ),
    exhaust(
        "deep_list",
        "returns a list nested a million deep",
        "def solve(x):\n    a = []\n    for _ in range(10**6): a = [a]\n    return a\n",
        W,
        R,
        T,
    ),
    exhaust(
        "deep_tuple_in_set",
        "returns tuples nested ten thousand deep in a set",
        "def solve(x):\n    a = ()\n    for _ in range(10**4): a = (a,)\n    return [a]\n",
        W,
        R,
        T,
    ),
    exhaust(
        "cyclic_list",
        "returns a list that holds itself",
        "def solve(x):\n    a = []\n    a.append(a)\n    return a\n",
        W,
    ),
    exhaust(
        "cyclic_dict",
        "returns a dict that holds itself",
        "def solve(x):\n    a = {}\n    a[1] = [a]\n    return a\n",
        W,
    ),
    exhaust(
        "shared_structure",
        "returns sixty lists that unfold to 2^60 items",
        "def solve(x):\n    a = []\n    for _ in range(60): a = [a, a]\n    return a\n",
        W,
        O,
        T,
    ),
    exhaust(
        "shared_strings",
        "returns one megabyte a hundred thousand times",
        "def solve(x):\n    return ['x' * 10**6] * 10**5\n",
        W,
        O,
        M,
        T,
    ),
    exhaust(
        "colliding_hashes",
        "returns a set of integers with one hash",
        "def solve(x):\n    return [k * (2**61 - 1) for k in range(60000)]\n",
        W,
    ),
    exhaust(
        "colliding_hashes_in_a_dict",
        "returns a dict whose integer keys have one hash",
        "def solve(x):\n    return dict.fromkeys(k * (2**61 - 1) for k in range(1500))\n",
        W,
        T,
    ),
    exhaust(
        "frozensets_of_equal_hash",
        "returns sets of frozensets of integers, all of one hash",
        """
def solve(x):
    keys = [k * (2**61 - 1) for k in range(600)]
    return {frozenset(keys[:500]) - {key} for key in keys[:30]}
""",
        W,
        T,
    ),
    exhaust(
        "nested_equal_hashes",
        "nests sets of equal hash in keys of a dict",
        """
def solve(x):
    keys = [k * (2**61 - 1) for k in range(64)]
    inner = [frozenset(keys) - {key} for key in keys]
    return {(frozenset(inner) - {one},): [one] for one in inner}
""",
        W,
        T,
    ),
    exhaust(
        "deep_frozensets",
        "nests a large frozenset a hundred times",
        """
def solve(x):
    value = frozenset(k + 0.5 for k in range(300))
    for _ in range(100):
        value = frozenset({value, (value,)} if _ < 3 else {value})
    return {value: [value]}
""",
        W,
    ),
    exhaust(
        "many_small_containers",
        "returns a quarter of a million empty lists",
        "def solve(x):\n    return [[]] * 250_000\n",
        W,
        T,
    ),
    exhaust(
        "half_pairs",
        "returns the two halves of a character instead of it",
        "def solve(x):\n    return '\\ud83d\\ude00'\n",
        W,
    ),
    exhaust(
        "changing_while_read",
        "changes the value from a thread while it is read",
        """
import threading
box = {}
def churn():
    n = 0
    while True:
        n += 1
        box[n] = [n]
        if n % 1000 == 0: box.clear()
def solve(x):
    if not box: threading.Thread(target=churn, daemon=True).start()
    return box
""",
        W,
        R,
        T,
        O,
    ),
    exhaust(
        "half_characters",
        "returns text that is no Unicode",
        "def solve(x):\n    return '\\ud800\\udfff\\x00'\n",
        W,
    ),
]

RESOURCES: list[Attack] = [*MEMORY, *PROCESSES, *FLOODS, *VALUES]
