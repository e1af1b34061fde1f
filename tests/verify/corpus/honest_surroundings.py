"""Honest programs that ask where they run, start threads, or use what probes the machine.

Each value is the same on every machine: nothing of the host or of the trainer decides it.
"""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, tuple[tuple[tuple[Any, ...], Any], ...]]


def one(name: str, body: str, want: Any, head: str = "") -> Row:
    """A program whose `solve(x)` has this body and must return `want` for 3."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return name, f"{head}\ndef solve(x):\n{lines}", (((3,), want),)


COMMAND_LINE = [
    one("argv_or_default", "return int(sys.argv[1]) if len(sys.argv) > 1 else x", 3, "import sys"),
    one("argv_is_a_script", "return sys.argv", ["solution.py"], "import sys"),
    one(
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
    one("optparse", "return optparse.OptionParser().parse_args()[1]", [], "import optparse"),
    one("getopt", "return getopt.getopt(sys.argv[1:], 'n:')", ([], []), "import getopt, sys"),
    one("fileinput", "return list(fileinput.input())", [], "import fileinput"),
    one(
        "standard_input", "return sys.stdin.read() + str(sys.stdin.isatty())", "False", "import sys"
    ),
    one("input_lines", "return [line for line in sys.stdin.buffer]", [], "import sys"),
    one("environment", "return os.environ.get('DEBUG', 'no')", "no", "import os"),
    one("no_library_path", "return 'LD_LIBRARY_PATH' in os.environ", False, "import os"),
    one("folder", "return os.getcwd()", "/", "import os"),
    one("own_main", "return [n for n in vars(__main__) if n[0] != '_']", [], "import __main__"),
    one(
        "unittest_by_hand",
        """
class T(unittest.TestCase):
    def test(self): self.assertEqual(x, 3)
return T("test").run().wasSuccessful()
""",
        True,
        "import unittest",
    ),
    one("doctest_of_main", "return doctest.testmod().failed", 0, "import doctest"),
]

STATE = [
    one("umask", "return os.umask(0)", 0o022, "import os"),
    one(
        "no_blocked_signals",
        "return len(s.pthread_sigmask(s.SIG_BLOCK, ()))",
        0,
        "import signal as s",
    ),
    one("child_signal", "return s.getsignal(s.SIGCHLD) == s.SIG_DFL", True, "import signal as s"),
    one(
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
    one(
        "alarm_by_the_second",
        """
signal.signal(signal.SIGALRM, lambda n, f: None)
signal.alarm(50)
return signal.alarm(0)
""",
        50,
        "import signal",
    ),
    one(
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
    one("priority", "return os.getpriority(os.PRIO_PROCESS, 0) >= 0", True, "import os"),
    one("scheduling", "return os.sched_getscheduler(0)", 0, "import os"),
    one("descriptors", "return os.pipe()", (4, 5), "import os"),
    one(
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

PROBES = [
    one(
        "uuid1",
        "return len(str(uuid.uuid1())), uuid.uuid1() != uuid.uuid1(), uuid.getnode() >> 40 & 1",
        (36, True, 1),
        "import uuid",
    ),
    one("uuid4", "return uuid.uuid4().version", 4, "import uuid"),
    one(
        "mime_types",
        "return mimetypes.guess_type('a.html')[0], mimetypes.guess_extension('image/png')",
        ("text/html", ".png"),
        "import mimetypes",
    ),
    one(
        "mime_by_hand",
        "m = mimetypes.MimeTypes(); return m.guess_type('x.tar.gz')",
        ("application/x-tar", "gzip"),
        "import mimetypes",
    ),
    one("host_name", "return isinstance(socket.gethostname(), str)", True, "import socket"),
    one(
        "platform",
        "return platform.system(), platform.python_implementation(), bool(platform.platform())",
        ("Linux", "CPython", True),
        "import platform",
    ),
    one(
        "uname",
        "return platform.uname().system, platform.architecture()[0]",
        ("Linux", "64bit"),
        "import platform",
    ),
    one("cores", "return os.cpu_count() >= 1", True, "import os"),
    one(
        "locale",
        "locale.setlocale(locale.LC_ALL, ''); return locale.getpreferredencoding().lower()",
        "utf-8",
        "import locale",
    ),
    one("time_zone", "return time.tzname[0], time.localtime(0).tm_hour", ("UTC", 0), "import time"),
    one(
        "memory_database",
        "return sqlite3.connect(':memory:').execute('select 1 + ?', (x,)).fetchone()",
        (4,),
        "import sqlite3",
    ),
    one("ssl", "return bool(ssl.OPENSSL_VERSION)", True, "import ssl"),
    one("ssl_context", "return ssl.create_default_context().check_hostname", True, "import ssl"),
    one(
        "http_client",
        "return http.client.HTTPConnection('localhost').port",
        80,
        "import http.client",
    ),
    one(
        "addresses",
        "return str(ipaddress.ip_network('10.0.0.0/30')[-1])",
        "10.0.0.3",
        "import ipaddress",
    ),
    one(
        "system_random",
        "return 0 <= random.SystemRandom().random() < 1, len(secrets.token_hex(8))",
        (True, 16),
        "import random, secrets",
    ),
    one(
        "log",
        "logging.basicConfig(); logging.warning('w'); return logging.getLogger().level",
        30,
        "import logging",
    ),
    one(
        "home",
        "return os.path.expanduser('~'), str(pathlib.Path.home())",
        ("/", "/"),
        "import os, pathlib",
    ),
    one(
        "imports",
        "return x",
        3,
        "import webbrowser, ctypes, shelve, select, pty, tty, cProfile, tracemalloc, "
        "faulthandler, multiprocessing, subprocess, concurrent.futures, http.server, smtplib, "
        "gzip, bz2, lzma, zipfile",
    ),
    one("profile", "p = cProfile.Profile(); return p.runcall(pow, x, 2)", 9, "import cProfile"),
    one(
        "traced_memory",
        "tracemalloc.start(); return tracemalloc.is_tracing()",
        True,
        "import tracemalloc",
    ),
    one(
        "faults_told",
        "faulthandler.enable(); return faulthandler.is_enabled()",
        True,
        "import faulthandler",
    ),
    one("disk", "return shutil.disk_usage('/').total >= 0", True, "import shutil"),
    one("which", "return shutil.which('no-such-program')", None, "import shutil"),
    one(
        "usage",
        "return resource.getrusage(0).ru_utime >= 0, os.times().user >= 0",
        (True, True),
        "import os, resource",
    ),
    one(
        "missing_file",
        "return os.path.exists('/no/such/file'), os.path.isfile('input.txt')",
        (False, False),
        "import os",
    ),
    one(
        "file_or_default",
        """
try:
    with open("input.txt") as f: return f.read()
except OSError:
    return "default"
""",
        "default",
    ),
    one(
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
    one(
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
    one(
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

SURROUNDINGS: list[Row] = [*COMMAND_LINE, *STATE, *PROBES]
