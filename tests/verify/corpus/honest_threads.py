"""Honest programs that use threads, alone or in the clothes of processes."""

from __future__ import annotations

from corpus.honest_surroundings import Row, one

THREADS: list[Row] = [
    one(
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
    one(
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
    one(
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
    one(
        "thread_pool_of_processes_kin",
        "with ThreadPool(4) as p: return p.map(abs, [-x, x])",
        [3, 3],
        "from multiprocessing.pool import ThreadPool",
    ),
    one(
        "thread_pool_async",
        "return ThreadPool(2).apply_async(pow, (x, 2)).get(5)",
        9,
        "from multiprocessing.pool import ThreadPool",
    ),
    one(
        "thread_pool_unordered",
        "with ThreadPool() as p: return sorted(p.imap_unordered(abs, range(9)))",
        list(range(9)),
        "from multiprocessing.pool import ThreadPool",
    ),
    one(
        "dummy_pool",
        "with Pool(3) as p: return p.starmap(divmod, [(7, x)])",
        [(2, 1)],
        "from multiprocessing.dummy import Pool",
    ),
    one(
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
    one(
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
    one(
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
    one(
        "multiprocessing_pipe",
        "a, b = mp.Pipe(); a.send([x]); return b.recv()",
        [3],
        "import multiprocessing as mp",
    ),
    one(
        "executor",
        "with ThreadPoolExecutor() as p: return list(p.map(str, range(x)))",
        ["0", "1", "2"],
        "from concurrent.futures import ThreadPoolExecutor",
    ),
    one("to_thread", "return asyncio.run(asyncio.to_thread(pow, x, 2))", 9, "import asyncio"),
    one(
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
    one(
        "timer",
        "e = threading.Event(); threading.Timer(0.01, e.set).start(); return e.wait(5)",
        True,
        "import threading",
    ),
    one(
        "scheduler",
        "s = sched.scheduler(); o = []; s.enter(0.01, 1, o.append, (x,)); s.run(); return o",
        [3],
        "import sched",
    ),
    one(
        "socket_pair",
        "a, b = socket.socketpair(); a.sendall(b'hi'); return b.recv(9, socket.MSG_PEEK)",
        b"hi",
        "import socket",
    ),
    one(
        "socket_file",
        "a, b = socket.socketpair(); a.send(b'z\\n'); return b.makefile().readline()",
        "z\n",
        "import socket",
    ),
    one(
        "close_a_range",
        "r, w = os.pipe(); os.closerange(r, 99); return os.pipe() == (r, w)",
        True,
        "import os",
    ),
]
