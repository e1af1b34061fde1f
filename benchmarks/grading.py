"""The ways of judging that benchmarks/verifier.py compares, each `run(problem, count)`."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from axiom_rl.config import load_config
from axiom_rl.sandbox import process
from axiom_rl.sandbox.base import Limits, Outcome, Request
from axiom_rl.types import Problem, TestCase
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
    started, cpu, used = time.perf_counter(), time.process_time(), 0.0
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        usage = os.wait4(pid, 0)[2]
        used += usage.ru_utime + usage.ru_stime
    end = server.End(cpu_s=used + time.process_time() - cpu, wall_s=time.perf_counter() - started)
    self._send(server.LENGTH.pack(server.ANSWER.size) + server.ANSWER.pack(server.ENDED, *end))
plain = server._Server._judge
def judge(self, limits, *rest):
    return empty(self, int(limits.cpu_s)) if limits.output == 4711 else plain(self, limits, *rest)
server._Server._judge = judge
server.main()
"""


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

    def __init__(self, servers: int, layers: bool) -> None:
        config = load_config(f"sandbox.servers={servers}", "sandbox.isolation=process").sandbox
        self.verifier = Verifier(config, without=() if layers else LAYERS)
        self.servers = servers
        self.cpu_s = 0.0

    def run(self, problem: Problem, count: int) -> list[float]:
        """Judge `count` candidates; returns the latency of each, in seconds."""
        latencies: list[float] = []
        before = self.verifier.stats.candidate_cpu_s
        futures = []
        for _ in range(count):
            started = time.perf_counter()
            future = self.verifier.submit((problem, CODE))
            future.add_done_callback(
                lambda _, started=started: latencies.append(time.perf_counter() - started)
            )
            futures.append(future)
            if len(futures) >= 2 * self.servers:
                assert futures[-2 * self.servers].result().passed
        assert all(future.result().passed for future in futures)
        self.cpu_s = (self.verifier.stats.candidate_cpu_s - before) / count
        return latencies


def run_fresh(problem: Problem, count: int, workers: int) -> list[float]:
    """A fresh interpreter per candidate: code and arguments in, values out, compared here."""
    tests = [test.args for test in problem.hidden_tests]
    script = (
        f"{CODE}\nimport json, sys\n"
        "print(json.dumps([solve(*args) for args in json.loads(sys.stdin.read())]))"
    )

    def one(_: int) -> float:
        started = time.perf_counter()
        command = [sys.executable, "-I", "-c", script]
        done = subprocess.run(
            command, input=json.dumps(tests), capture_output=True, text=True, timeout=10, check=True
        )
        _require_right(problem, json.loads(done.stdout))
        return time.perf_counter() - started

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(one, range(count)))


def _in_process(code: str, tests: list[Any], results: Any) -> None:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    results.extend([namespace["solve"](*args) for args in tests])


def run_multiprocessing(problem: Problem, count: int, workers: int) -> list[float]:
    """A manager and a process per candidate, as the usual graders of function tasks have it."""
    context = multiprocessing.get_context("fork")
    tests = [test.args for test in problem.hidden_tests]

    def one(_: int) -> float:
        started = time.perf_counter()
        with context.Manager() as manager:
            results = manager.list()
            worker = context.Process(target=_in_process, args=(CODE, tests, results))
            worker.start()
            worker.join(10)
            _require_right(problem, list(results))
        return time.perf_counter() - started

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(one, range(count)))


def _same(outcome: Outcome) -> Outcome:
    return outcome


def _require_right(problem: Problem, values: list[Any]) -> None:
    expected = [test.expected for test in problem.hidden_tests]
    assert values_match(values, expected)


class Floor:
    """Empty forks of a warm server with every layer on."""

    def __init__(self) -> None:
        plain, process.BOOT = process.BOOT, FORK_BOOT
        config = load_config("sandbox.servers=1", "sandbox.isolation=process").sandbox
        self.verifier = Verifier(config)
        process.BOOT = plain
        self.cpu_s = 0.0

    def run(self, problem: Problem, count: int) -> list[float]:
        """Fork `count` times, one after the other; every latency is the mean."""
        request = Request("", "f", (), Limits(float(count), 1 << 28, 4711, 1 << 20))
        outcome = self.verifier._pool.submit(request, _same).result()
        self.cpu_s = outcome.cpu_s / count
        return [outcome.wall_s / count] * count
