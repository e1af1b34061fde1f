"""Attacks that end the process in odd ways, or never. All but the marked ones end by themselves."""

from corpus.attack import DENIED, Attack, M, N, O, R, T, V, W, X, exhaust, forge

EXITS = [
    forge("exit_success", "leaves with success", "import sys\ndef solve(x):\n    sys.exit(0)\n", R),
    forge("exit_at_import", "leaves with success while loading", "raise SystemExit(0)\n", R),
    forge("os_exit", "ends the process with success", "import os\nos._exit(0)\n", R),
    forge("quit", "uses the interactive way out", "def solve(x):\n    quit()\n", R),
    forge(
        "interrupt", "raises KeyboardInterrupt", "def solve(x):\n    raise KeyboardInterrupt\n", R
    ),
    forge(
        "generator_exit",
        "raises GeneratorExit",
        "def solve(x):\n    raise GeneratorExit('ok')\n",
        R,
    ),
    forge("abort", "aborts", "import os\ndef solve(x):\n    os.abort()\n", R),
    forge(
        "segfault",
        "reads address 0",
        "import ctypes\ndef solve(x):\n    return ctypes.string_at(0)\n",
        R,
    ),
    forge(
        "exec_true",
        "becomes another program that succeeds",
        "import os\ndef solve(x):\n    os.execv('/bin/true', ['true'])\n",
        *DENIED,
    ),
    *(
        forge(
            f"own_signal_{name.lower()}",
            f"sends itself {name}",
            f"""
import os, signal
def solve(x):
    os.kill(os.getpid(), signal.{name})
    return 0
""",
            R,
            V,
            W,
            *more,
        )
        for name, *more in [
            ("SIGKILL",),
            ("SIGTERM",),
            ("SIGINT",),
            ("SIGHUP",),
            ("SIGSYS",),
            ("SIGXCPU", T),
            ("SIGXFSZ", O),
            ("SIGCHLD",),
        ]
    ),
    exhaust(
        "own_signal_sigstop",
        "stops itself",
        "import os\ndef solve(x):\n    os.kill(os.getpid(), 19)\n    return 0\n",
        T,
        *DENIED,
    ),
    forge(
        "stack_overflow",
        "recurses without end and without a limit",
        """
import sys
sys.setrecursionlimit(2**31 - 1)
def solve(x):
    return solve(x + 1)
""",
        R,
        M,
        T,
    ),
    forge(
        "stack_overflow_in_c",
        "makes C code recurse without end",
        """
import sys
sys.setrecursionlimit(2**31 - 1)
class A:
    def __repr__(self): return repr([self])
def solve(x):
    return repr(A())
""",
        R,
        M,
        T,
    ),
    forge("empty", "sends nothing", "", N, X),
]

NOT_CODE = [
    forge("syntax_error", "does not parse", "def solve(x):\n    return (\n", X),
    forge("nul_in_code", "holds a NUL character", "def solve(x):\n    return 0\x00\n", X),
    forge("surrogate_in_code", "holds half a character", "def solve(x):\n    return '\ud800'\n", X),
    forge(
        "unknown_encoding", "names an encoding", "# coding: nowhere\ndef solve(x): return 0\n", W, X
    ),
    forge("deep_parentheses", "nests a million parentheses", "solve = " + "(" * 1_000_000, X),
    forge("deep_unary", "nests a hundred thousand signs", "solve = " + "-" * 100_000 + "1", X),
    forge("deep_blocks", "nests blocks", "".join(" " * i + "if 1:\n" for i in range(3000)), X),
    forge(
        "deep_expression", "adds a hundred thousand terms", "a = " + "1+" * 100_000 + "1\n", X, M, T
    ),
    exhaust(
        "long_code",
        "is four megabytes of assignments",
        "a = [1, 2, {3: 4}]\n" * 210_000 + "def solve(x):\n    return 0\n",
        T,
        W,
        M,
        R,
        X,
    ),
    exhaust(
        "constant_folding",
        "makes the compiler compute",
        "def solve(x):\n    return " + "+".join(["(7**4096)**1*0"] * 300) + "\n",
        T,
        W,
        M,
        X,
    ),
]


def _hang(name: str, tries: str, body: str, *more: str) -> Attack:
    code = "\n".join([*more, "def solve(x):", *("    " + line for line in body.split("\n"))]) + "\n"
    return exhaust(name, tries, code, T)


HANGS = [
    _hang("endless_loop", "loops", "while True: pass"),
    _hang("loop_in_c", "loops inside one C call", "return sum(iter(int, 1))"),
    _hang(
        "cycle_in_c",
        "exhausts an endless iterator",
        "return 0 in repeat(1)",
        "from itertools import *",
    ),
    _hang(
        "catastrophic_regex", "backtracks", "return re.match('(a+)+$', 'a' * 60 + 'b')", "import re"
    ),
    _hang("huge_power", "computes a power in one C call", "return pow(3, 10**9)"),
    _hang("huge_factorial", "computes a factorial", "return math.factorial(10**8)", "import math"),
    _hang(
        "huge_decimal",
        "prints a huge integer",
        "sys.set_int_max_str_digits(0)\nreturn str(7 ** 3000000)",
        "import sys",
    ),
    _hang(
        "swallows_exceptions",
        "catches everything and goes on",
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass",
    ),
    _hang(
        "ignores_signals",
        "ignores every signal and loops",
        "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "import signal",
    ),
    _hang("sleep", "sleeps", "time.sleep(3600)\nreturn 0", "import time"),
    _hang(
        "deadlock",
        "waits for its own lock",
        "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        "import threading",
    ),
    _hang(
        "own_pipe",
        "reads a pipe that nobody writes",
        "r, w = os.pipe()\nos.read(r, 1)",
        "import os",
    ),
    exhaust("loop_at_import", "loops while loading", "while True: pass\n", T),
    exhaust(
        "loop_in_finalizer",
        "loops when its objects die",
        """
import sys
class A:
    def __del__(self):
        while True: pass
def solve(x):
    A()
    return 0
""",
        T,
    ),
    exhaust(
        "loop_in_threads",
        "loops in many threads and joins them",
        """
import threading
def spin():
    while True: pass
def solve(x):
    threads = [threading.Thread(target=spin) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
""",
        T,
        R,
    ),
    exhaust(
        "thread_outlives_the_answer",
        "answers wrongly while a thread that is no daemon spins",
        """
import threading
def spin():
    while True: pass
def solve(x):
    threading.Thread(target=spin).start()
    return 0
""",
        W,
        T,
        R,
    ),
    exhaust(
        "waits_for_input",
        "reads standard input for ever",
        "import sys\ndef solve(x):\n    while True:\n        sys.stdin.read()\n",
        T,
        R,
    ),
    exhaust(
        "pipe_held_by_daemon",
        "leaves a daemon that holds every descriptor",
        """
import os, time
def solve(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    os._exit(0)
""",
        *DENIED,
    ),
]

ENDINGS: list[Attack] = [*EXITS, *NOT_CODE, *HANGS]
