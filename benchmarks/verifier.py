"""How fast programs are judged, against the usual ways, on the same candidates in one run.

    python benchmarks/verifier.py            # about a minute
    python benchmarks/verifier.py --quick    # a few seconds, rough

Five ways: an empty fork and wait of the same warm server (the floor), our pool without layers, our
pool with all layers, a fresh `python -I` per candidate, and a process per candidate by
multiprocessing. Ways are measured in turns (A B C A B C ...), so that other work on the machine
falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from grading import CODE, Floor, Pool, problem_of, run_fresh, run_multiprocessing

from axiom_rl.types import Problem


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


Run = Callable[[], list[float]]


def main() -> None:
    """Measure every way in turns and print one table per number of tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer candidates and turns")
    quick = parser.parse_args().quick
    cores = os.cpu_count() or 1
    turns, fast, slow = (2, 100, 8) if quick else (5, 400, 24)
    print(_machine(cores))
    pools = (Floor(), Pool(1, True), Pool(cores, False), Pool(cores, True))
    for tests in (5, 10):
        _measure(tests, turns, _ways(pools, problem_of(tests), cores, fast, slow), cores)
    print(_parent_cost(pools[-1], problem_of(5), fast))
    for pool in pools:
        pool.verifier.close()


def _ways(
    pools: tuple[Floor | Pool, ...], problem: Problem, cores: int, fast: int, slow: int
) -> dict[str, tuple[Run, Floor | Pool | None]]:
    names = (
        "empty fork of the server, 1 core",
        "pool, all layers, 1 server",
        f"pool, no layers, {cores} servers",
        f"pool, all layers, {cores} servers",
    )
    return {
        **{
            name: (partial(pool.run, problem, fast), pool)
            for name, pool in zip(names, pools, strict=True)
        },
        f"python -I, {cores} at once": (partial(run_fresh, problem, slow, cores), None),
        f"multiprocessing, {cores} at once": (
            partial(run_multiprocessing, problem, slow, cores),
            None,
        ),
    }


def _measure(
    tests: int,
    turns: int,
    ways: dict[str, tuple[Run, Floor | Pool | None]],
    cores: int,
) -> None:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    latencies: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, (run, owner) in ways.items():
            cpu, started = _children_cpu(), time.perf_counter()
            found = run()
            taken = time.perf_counter() - started
            rates[name].append(len(found) / taken)
            own = owner.cpu_s if owner else (_children_cpu() - cpu) / len(found)
            cpus[name].append(own)
            latencies[name] += found
    print(f"\n{tests} tests per candidate, median of {turns} turns\n")
    print("| way | candidates/s | CPU ms each | p50 ms | p99 ms |")
    print("|---|---:|---:|---:|---:|")
    for name in ways:
        ordered = sorted(latencies[name])
        print(
            f"| {name} | {statistics.median(rates[name]):.0f} "
            f"| {1000 * statistics.median(cpus[name]):.2f} "
            f"| {1000 * ordered[len(ordered) // 2]:.1f} "
            f"| {1000 * ordered[int(0.99 * (len(ordered) - 1))]:.1f} |"
        )
    middle = {name: statistics.median(values) for name, values in rates.items()}
    cpu = {name: statistics.median(values) for name, values in cpus.items()}
    fork, one, plain, full, _fresh, usual = middle
    print(f"\nall layers / no layers: {middle[full] / middle[plain]:.2f}")
    print(f"all layers / multiprocessing: {middle[full] / middle[usual]:.1f}")
    print(f"{cores} servers / 1 server: {middle[full] / middle[one]:.2f}")
    own = _own_work(problem_of(tests))
    print(
        f"CPU of a candidate without its own compile and run ({1000 * own:.2f} ms), over an empty "
        f"fork: {(cpu[one] - own) / cpu[fork]:.2f}"
    )


def _own_work(problem: Problem) -> float:
    """CPU seconds of compiling the candidate and running its tests, in this process."""

    def once() -> float:
        started = time.process_time()
        namespace: dict[str, Any] = {}
        exec(compile(CODE, "<candidate>", "exec"), namespace)
        for test in problem.hidden_tests:
            namespace["solve"](*test.args)
        return time.process_time() - started

    return statistics.median(once() for _ in range(50))


def _parent_cost(pool: Pool, problem: Problem, count: int) -> str:
    before = time.process_time()
    pool.run(problem, count)
    return (
        "\nthis process, per candidate (submission, decoding, comparison): "
        f"{1000 * (time.process_time() - before) / count:.2f} ms CPU"
    )


def _machine(cores: int) -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = os.getloadavg()[0]
    return (
        f"{cores} cores ({names[0] if names else platform.machine()}), {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, load {load:.1f} before"
    )


if __name__ == "__main__":
    main()
