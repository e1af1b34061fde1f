"""Honest programs that ask where they run, start threads, or use what probes the machine.

Each value is the same on every machine: nothing of the host or of the trainer decides it.
"""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, tuple[tuple[tuple[Any, ...], Any], ...]]


def _one(name: str, body: str, want: Any, head: str = "") -> Row:
    """A program whose `solve(x)` has this body and must return `want` for 3."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return name, f"{head}\ndef solve(x):\n{lines}", (((3,), want),)


COMMAND_LINE = [
    _one("argv_or_default", "return int(sys.argv[1]) if len(sys.argv) > 1 else x", 3, "import sys"),
    _one("argv_is_a_script", "return sys.argv", ["solution.py"], "import sys"),
    _one(
        "argparse",
        """
p = argparse.ArgumentParser()
p.add_argument("--n", type=int, default=7)
p.add_argument("files", nargs="*")
a = p.parse_args()
return [p.prog, a.n, a.files]
""",
        ["solution.py", 7, []],
        "import argparse",
    ),
    _one("optparse", "return optparse.OptionParser().parse_args()[1]", [], "import optparse"),
    _one("getopt", "return getopt.getopt(sys.argv[1:], 'n:')", ([], []), "import getopt, sys"),
    _one("fileinput", "return list(fileinput.input())", [], "import fileinput"),
    _one(
        "standard_input", "return sys.stdin.read() + str(sys.stdin.isatty())", "False", "import sys"
    ),
    _one("input_lines", "return [line for line in sys.stdin.buffer]", [], "import sys"),
    _one("environment", "return os.environ.get('DEBUG', 'no')", "no", "import os"),
    _one("no_library_path", "return 'LD_LIBRARY_PATH' in os.environ", False, "import os"),
    _one("folder", "return os.getcwd()", "/", "import os"),
    _one("own_main", "return [n for n in vars(__main__) if n[0] != '_']", [], "import __main__"),
    _one(
        "unittest_by_hand",
        """
class T(unittest.TestCase):
    def test(self): self.assertEqual(x, 3)
return T("test").run().wasSuccessful()
""",
        True,
        "import unittest",
    ),
    _one("doctest_of_main", "return doctest.testmod().failed", 0, "import doctest"),
]

STATE = [
    _one("umask", "return os.umask(0)", 0o022, "import os"),
    _one(
        "no_blocked_signals",
        "return len(s.pthread_sigmask(s.SIG_BLOCK, ()))",
        0,
        "import signal as s",
    ),
    _one("child_signal", "return s.getsignal(s.SIGCHLD) == s.SIG_DFL", True, "import signal as s"),
    _one(
        "alarm",
        """
def late(n, f): raise TimeoutError
signal.signal(signal.SIGALRM, late)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while True: pass
except TimeoutError:
    return "late"
""",
        "late",
        "import signal",
    ),
    _one(
        "alarm_by_the_second",
        """
signal.signal(signal.SIGALRM, lambda n, f: None)
signal.alarm(50)
return signal.alarm(0)
""",
        50,
        "import signal",
    ),
    _one(
        "user_signal",
        """
got = []
signal.signal(signal.SIGUSR1, lambda n, f: got.append(n))
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
return len(got)
""",
        3,
        "import os, signal, threading",
    ),
    _one("priority", "return os.getpriority(os.PRIO_PROCESS, 0) >= 0", True, "import os"),
    _one("scheduling", "return os.sched_getscheduler(0)", 0, "import os"),
    _one("descriptors", "return os.pipe()", (4, 5), "import os"),
    _one(
        "limits_of_its_own",
        """
resource.setrlimit(resource.RLIMIT_STACK, (1 << 29, 1 << 29))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
return resource.getrlimit(resource.RLIMIT_STACK)[0]
""",
        64 << 20,
        "import resource",
    ),
]

THREADS = [
    _one(
        "many_threads",
        """
go, out = threading.Event(), []
def work(i):
    go.wait()
    out.append(i)
ts = [threading.Thread(target=work, args=(i,)) for i in range(120)]
for t in ts: t.start()
go.set()
for t in ts: t.join()
return sum(out)
""",
        7140,
        "import threading",
    ),
    _one(
        "stack_idiom",
        """
out = []
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
sys.setrecursionlimit(1 << 20)
threading.stack_size(128 << 20)
t = threading.Thread(target=lambda: out.append(deep(20000)))
t.start(); t.join()
return out
""",
        [20000],
        "import sys, threading",
    ),
    _one(
        "deep_in_a_thread",
        """
out = []
@functools.lru_cache(None)
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
t = threading.Thread(target=lambda: out.append(deep(300)))
t.start(); t.join()
return out
""",
        [300],
        "import functools, threading",
    ),
    _one(
        "thread_pool_of_processes_kin",
        "with ThreadPool(4) as p: return p.map(abs, [-x, x])",
        [3, 3],
        "from multiprocessing.pool import ThreadPool",
    ),
    _one(
        "thread_pool_async",
        "return ThreadPool(2).apply_async(pow, (x, 2)).get(5)",
        9,
        "from multiprocessing.pool import ThreadPool",
    ),
    _one(
        "thread_pool_unordered",
        "with ThreadPool() as p: return sorted(p.imap_unordered(abs, range(9)))",
        list(range(9)),
        "from multiprocessing.pool import ThreadPool",
    ),
    _one(
        "dummy_pool",
        "with Pool(3) as p: return p.starmap(divmod, [(7, x)])",
        [(2, 1)],
        "from multiprocessing.dummy import Pool",
    ),
    _one(
        "dummy_processes",
        """
q, lock = Queue(), Lock()
def work(i):
    with lock: q.put(i)
ps = [Process(target=work, args=(i,)) for i in range(3)]
for p in ps: p.start()
for p in ps: p.join()
return sorted(q.get() for _ in ps)
""",
        [0, 1, 2],
        "from multiprocessing.dummy import Lock, Process, Queue",
    ),
    _one(
        "multiprocessing_locks",
        """
lock, turns, gate = mp.RLock(), mp.BoundedSemaphore(2), mp.Condition()
with lock, lock, turns, gate:
    gate.notify_all()
    held = turns.acquire(False), turns.acquire(timeout=0.01)
turns.release()
try:
    turns.release()
except ValueError:
    return held, mp.Event().wait(0.01)
""",
        ((True, False), False),
        "import multiprocessing as mp",
    ),
    _one(
        "multiprocessing_queue",
        """
q, r = mp.SimpleQueue(), mp.Queue()
threading.Thread(target=lambda: [q.put(i) for i in range(x)]).start()
r.put("r")
return [q.get() for _ in range(x)], r.get(timeout=5)
""",
        ([0, 1, 2], "r"),
        "import multiprocessing as mp, threading",
    ),
    _one(
        "multiprocessing_pipe",
        "a, b = mp.Pipe(); a.send([x]); return b.recv()",
        [3],
        "import multiprocessing as mp",
    ),
    _one(
        "executor",
        "with ThreadPoolExecutor() as p: return list(p.map(str, range(x)))",
        ["0", "1", "2"],
        "from concurrent.futures import ThreadPoolExecutor",
    ),
    _one("to_thread", "return asyncio.run(asyncio.to_thread(pow, x, 2))", 9, "import asyncio"),
    _one(
        "asyncio_in_executor",
        """
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(10, print)
    return await asyncio.gather(*(loop.run_in_executor(None, pow, i, 2) for i in range(x)))
return asyncio.run(main())
""",
        [0, 1, 4],
        "import asyncio",
    ),
    _one(
        "timer",
        "e = threading.Event(); threading.Timer(0.01, e.set).start(); return e.wait(5)",
        True,
        "import threading",
    ),
    _one(
        "scheduler",
        "s = sched.scheduler(); o = []; s.enter(0.01, 1, o.append, (x,)); s.run(); return o",
        [3],
        "import sched",
    ),
    _one(
        "socket_pair",
        "a, b = socket.socketpair(); a.sendall(b'hi'); return b.recv(9, socket.MSG_PEEK)",
        b"hi",
        "import socket",
    ),
    _one(
        "socket_file",
        "a, b = socket.socketpair(); a.send(b'z\\n'); return b.makefile().readline()",
        "z\n",
        "import socket",
    ),
    _one(
        "close_a_range",
        "r, w = os.pipe(); os.closerange(r, 99); return os.pipe() == (r, w)",
        True,
        "import os",
    ),
]

PROBES = [
    _one(
        "uuid1",
        "return len(str(uuid.uuid1())), uuid.uuid1() != uuid.uuid1(), uuid.getnode() >> 40 & 1",
        (36, True, 1),
        "import uuid",
    ),
    _one("uuid4", "return uuid.uuid4().version", 4, "import uuid"),
    _one(
        "mime_types",
        "return mimetypes.guess_type('a.html')[0], mimetypes.guess_extension('image/png')",
        ("text/html", ".png"),
        "import mimetypes",
    ),
    _one(
        "mime_by_hand",
        "m = mimetypes.MimeTypes(); return m.guess_type('x.tar.gz')",
        ("application/x-tar", "gzip"),
        "import mimetypes",
    ),
    _one("host_name", "return isinstance(socket.gethostname(), str)", True, "import socket"),
    _one(
        "platform",
        "return platform.system(), platform.python_implementation(), bool(platform.platform())",
        ("Linux", "CPython", True),
        "import platform",
    ),
    _one(
        "uname",
        "return platform.uname().system, platform.architecture()[0]",
        ("Linux", "64bit"),
        "import platform",
    ),
    _one("cores", "return os.cpu_count() >= 1", True, "import os"),
    _one(
        "locale",
        "locale.setlocale(locale.LC_ALL, ''); return locale.getpreferredencoding().lower()",
        "utf-8",
        "import locale",
    ),
    _one(
        "time_zone", "return time.tzname[0], time.localtime(0).tm_hour", ("UTC", 0), "import time"
    ),
    _one(
        "memory_database",
        "return sqlite3.connect(':memory:').execute('select 1 + ?', (x,)).fetchone()",
        (4,),
        "import sqlite3",
    ),
    _one("ssl", "return bool(ssl.OPENSSL_VERSION)", True, "import ssl"),
    _one("ssl_context", "return ssl.create_default_context().check_hostname", True, "import ssl"),
    _one(
        "http_client",
        "return http.client.HTTPConnection('localhost').port",
        80,
        "import http.client",
    ),
    _one(
        "addresses",
        "return str(ipaddress.ip_network('10.0.0.0/30')[-1])",
        "10.0.0.3",
        "import ipaddress",
    ),
    _one(
        "system_random",
        "return 0 <= random.SystemRandom().random() < 1, len(secrets.token_hex(8))",
        (True, 16),
        "import random, secrets",
    ),
    _one(
        "log",
        "logging.basicConfig(); logging.warning('w'); return logging.getLogger().level",
        30,
        "import logging",
    ),
    _one(
        "home",
        "return os.path.expanduser('~'), str(pathlib.Path.home())",
        ("/", "/"),
        "import os, pathlib",
    ),
    _one(
        "imports",
        "return x",
        3,
        "import webbrowser, ctypes, shelve, select, pty, tty, cProfile, tracemalloc, "
        "faulthandler, multiprocessing, subprocess, concurrent.futures, http.server, smtplib, "
        "gzip, bz2, lzma, zipfile",
    ),
    _one("profile", "p = cProfile.Profile(); return p.runcall(pow, x, 2)", 9, "import cProfile"),
    _one(
        "traced_memory",
        "tracemalloc.start(); return tracemalloc.is_tracing()",
        True,
        "import tracemalloc",
    ),
    _one(
        "faults_told",
        "faulthandler.enable(); return faulthandler.is_enabled()",
        True,
        "import faulthandler",
    ),
    _one("disk", "return shutil.disk_usage('/').total >= 0", True, "import shutil"),
    _one("which", "return shutil.which('no-such-program')", None, "import shutil"),
    _one(
        "usage",
        "return resource.getrusage(0).ru_utime >= 0, os.times().user >= 0",
        (True, True),
        "import os, resource",
    ),
    _one(
        "missing_file",
        "return os.path.exists('/no/such/file'), os.path.isfile('input.txt')",
        (False, False),
        "import os",
    ),
    _one(
        "file_or_default",
        """
try:
    with open("input.txt") as f: return f.read()
except OSError:
    return "default"
""",
        "default",
    ),
    _one(
        "processes_or_not",
        """
try:
    return subprocess.run(["true"]).returncode
except OSError:
    return "none"
""",
        "none",
        "import subprocess",
    ),
    _one(
        "user_or_not",
        """
try:
    return bool(getpass.getuser())
except (OSError, KeyError):
    return True
""",
        True,
        "import getpass",
    ),
    _one(
        "temporary_or_not",
        """
try:
    with tempfile.TemporaryFile() as f: return f.write(b"x")
except OSError:
    return "none"
""",
        "none",
        "import tempfile",
    ),
]

SURROUNDINGS: list[Row] = [*COMMAND_LINE, *STATE, *THREADS, *PROBES]
