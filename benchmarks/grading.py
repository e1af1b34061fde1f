"""The ways of judging that benchmarks/verifier.py compares, each `run(problem, count)`."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.sandbox import process
from axiom_rl.sandbox.base import Limits, Outcome, RunRequest
from axiom_rl.sandbox.pool import ServerPool
from axiom_rl.verify import Verifier
from axiom_rl.verify.compare import values_match

CODE = """
def merge_sort(items):
    if len(items) <= 1:
        return items
    middle = len(items) // 2
    left, right = merge_sort(items[:middle]), merge_sort(items[middle:])
    merged = []
    while left and right:
        merged.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
    return merged + left + right


def solve(items):
    return merge_sort(list(items))
"""
LAYERS = ("namespaces", "privileges", "landlock", "seccomp", "rlimits")
FORK_BOOT = """
import sys; sys.path.append(sys.argv[1]); import child.server as server; sys.path.pop()
import os, time
def empty(self, count):
    started = time.perf_counter()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.wait4(pid, 0)
    end = server.End(wall_s=time.perf_counter() - started)
    self._send(server.LENGTH.pack(server.ANSWER.size) + server.ANSWER.pack(server.ENDED, *end))
plain = server._Server._judge
def judge(self, limits, *rest):
    return empty(self, int(limits.cpu_s)) if limits.output == 4711 else plain(self, limits, *rest)
server._Server._judge = judge
server.main()
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One way measured once."""

    rate: float
    """Candidates per second, all of them handed over at once."""
    cpu_s: float
    """CPU of each, servers included, this process not."""
    latencies: list[float]
    """Seconds from handing over to the verdict, one candidate per worker at a time."""


def problem_of(tests: int) -> Problem:
    """A problem with this many tests of twenty numbers."""
    cases = []
    for index in range(tests):
        items = [(7919 * (index + 1) * (place + 3)) % 1000 for place in range(20)]
        cases.append(TestCase(args=(items,), expected=sorted(items)))
    return Problem(
        id=f"sort{tests}",
        type="benchmark",
        difficulty=1,
        split="train",
        title="sort",
        statement="",
        entry_point="solve",
        public_tests=(),
        hidden_tests=tuple(cases),
    )


class Pool:
    """Our verifier, with or without layers, on some servers."""

    def __init__(self, servers: int, layers: bool = True, preload: str = "") -> None:
        config = load_config(
            f"sandbox.servers={servers}",
            "sandbox.isolation=process",
            f"sandbox.preload=[{preload}]",
        ).sandbox
        self.verifier = Verifier(config, without=() if layers else LAYERS)
        self.servers = servers

    def run(self, problem: Problem, count: int) -> Turn:
        """Judge `count` candidates at once, then some more one per server."""
        before, started = _servers_cpu(self.verifier), time.perf_counter()
        assert all(verdict.passed for verdict in self.verifier.verify([(problem, CODE)] * count))
        taken = time.perf_counter() - started
        cpu = (_servers_cpu(self.verifier) - before) / count

        def one(_: int) -> float:
            started = time.perf_counter()
            assert self.verifier.submit((problem, CODE)).result().passed
            return time.perf_counter() - started

        with ThreadPoolExecutor(self.servers) as threads:
            return Turn(count / taken, cpu, list(threads.map(one, range(count // 2))))


class Floor:
    """Empty forks of a warm server with every layer on."""

    def __init__(self) -> None:
        plain, process.BOOT = process.BOOT, FORK_BOOT
        config = load_config("sandbox.servers=1", "sandbox.isolation=process").sandbox
        self.verifier = Verifier(config)
        process.BOOT = plain

    def run(self, problem: Problem, count: int) -> Turn:
        """Fork `count` times, one after the other; every latency is the mean."""
        request = RunRequest("", "f", (), Limits(float(count), 1 << 28, 4711, 1 << 20))
        before = _servers_cpu(self.verifier)
        outcome = self.verifier._pool.submit(request, _same).result()
        cpu = (_servers_cpu(self.verifier) - before) / count
        return Turn(count / outcome.wall_s, cpu, [outcome.wall_s / count])


def _same(outcome: Outcome) -> Outcome:
    return outcome


def _servers_cpu(verifier: Verifier) -> float:
    """CPU seconds of the servers and of every candidate they have waited for."""
    ticks = 0
    pool = verifier._pool
    assert isinstance(pool, ServerPool)
    todo = [slot.server.process.pid for slot in pool._slots]
    while todo:
        folder = Path(f"/proc/{todo.pop()}")
        ticks += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:15]))
        for thread in (folder / "task").iterdir():
            todo += map(int, (thread / "children").read_text().split())
    return ticks / os.sysconf("SC_CLK_TCK")


def run_fresh(problem: Problem, count: int, workers: int) -> Turn:
    """A fresh interpreter per candidate: code and arguments in, values out, compared here."""
    tests = [test.args for test in problem.hidden_tests]
    script = (
        f"{CODE}\nimport json, sys\n"
        "print(json.dumps([solve(*args) for args in json.loads(sys.stdin.read())]))"
    )

    def one() -> None:
        command = [sys.executable, "-I", "-c", script]
        done = subprocess.run(
            command, input=json.dumps(tests), capture_output=True, text=True, timeout=10, check=True
        )
        _require_right(problem, json.loads(done.stdout))

    return _in_threads(one, count, workers)


def _in_process(code: str, tests: list[Any], results: Any) -> None:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    results.extend([namespace["solve"](*args) for args in tests])


def run_multiprocessing(problem: Problem, count: int, workers: int) -> Turn:
    """A manager and a process per candidate, as the usual graders of function tasks have it."""
    context = multiprocessing.get_context("fork")
    tests = [test.args for test in problem.hidden_tests]

    def one() -> None:
        with context.Manager() as manager:
            results = manager.list()
            worker = context.Process(target=_in_process, args=(CODE, tests, results))
            worker.start()
            worker.join(10)
            _require_right(problem, list(results))

    return _in_threads(one, count, workers)


def _in_threads(one: Callable[[], None], count: int, workers: int) -> Turn:
    def timed(_: int) -> float:
        started = time.perf_counter()
        one()
        return time.perf_counter() - started

    before, started = _children_cpu(), time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        latencies = list(threads.map(timed, range(count)))
    taken = time.perf_counter() - started
    return Turn(count / taken, (_children_cpu() - before) / count, latencies)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _require_right(problem: Problem, values: list[Any]) -> None:
    expected = [test.expected for test in problem.hidden_tests]
    assert values_match(values, expected)
