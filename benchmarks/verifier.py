"""How fast programs are judged, against the usual ways, on the same candidates in one run.

    python benchmarks/verifier.py            # about two minutes
    python benchmarks/verifier.py --quick    # a few seconds, rough

The ways: an empty fork and wait of the same warm server (the floor), our pool without layers, our
pool with all layers (also with numpy preloaded), a fresh `python -I` per candidate, and a process
per candidate by multiprocessing. Ways are measured in turns (A B C A B C ...), so that other work
on the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from grading import CODE, Floor, Pool, Turn, problem_of, run_fresh, run_multiprocessing

from axiom_rl.core.types import Problem

Way = tuple[int, Callable[[Problem], Turn]]
"""How many cores it keeps busy, and the way."""


def main() -> None:
    """Measure every way in turns and print one table per number of tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer candidates and turns")
    quick = parser.parse_args().quick
    cores = os.cpu_count() or 1
    turns, fast, slow = (2, 100, 8) if quick else (5, 400, 24)
    print(_machine(cores))
    floor, one, plain, full = Floor(), Pool(1), Pool(cores, layers=False), Pool(cores)
    numpy = Pool(cores, preload="numpy")
    ways: dict[str, Way] = {
        "empty fork of the server": (1, partial(floor.run, count=fast)),
        "pool, all layers, 1 server": (1, partial(one.run, count=fast)),
        f"pool, no layers, {cores} servers": (cores, partial(plain.run, count=fast)),
        f"pool, all layers, {cores} servers": (cores, partial(full.run, count=fast)),
        "the same with `sandbox.preload=[numpy]`": (cores, partial(numpy.run, count=fast)),
    }
    for workers in sorted({1, cores}):
        ways[f"fresh `python -I`, {workers} at once"] = (
            workers,
            partial(run_fresh, count=slow, workers=workers),
        )
        ways[f"multiprocessing, {workers} at once"] = (
            workers,
            partial(run_multiprocessing, count=slow, workers=workers),
        )
    for tests in (5, 10):
        _measure(problem_of(tests), turns, ways)
    print(_parent_cost(full, problem_of(5), fast))
    for pool in (floor, one, plain, full, numpy):
        pool.verifier.close()


def _measure(problem: Problem, turns: int, ways: dict[str, Way]) -> None:
    measured: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, (_cores, run) in ways.items():
            measured[name].append(run(problem))
    rate = {name: statistics.median(t.rate for t in found) for name, found in measured.items()}
    cpu = {name: statistics.median(t.cpu_s for t in found) for name, found in measured.items()}
    print(f"\n{len(problem.hidden_tests)} tests per candidate, median of {turns} turns\n")
    print("| way | candidates/s | per core | CPU ms each | p50 ms | p99 ms |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (cores, _run) in ways.items():
        ordered = sorted(latency for turn in measured[name] for latency in turn.latencies)
        print(
            f"| {name} | {rate[name]:.0f} | {rate[name] / cores:.0f} | {1000 * cpu[name]:.2f} "
            f"| {1000 * ordered[len(ordered) // 2]:.1f} "
            f"| {1000 * ordered[int(0.99 * (len(ordered) - 1))]:.1f} |"
        )
    fork, one, plain, full, *_others, usual = ways
    own = _own_work(problem)
    print(f"\nall layers / no layers: {_ratio(measured, full, plain)}")
    print(f"all layers / multiprocessing: {_ratio(measured, full, usual)}")
    print(f"all servers / 1 server: {_ratio(measured, full, one)}")
    print(
        f"CPU of a candidate without its own compile and run ({1000 * own:.2f} ms), over an empty "
        f"fork: {(cpu[one] - own) / cpu[fork]:.2f}"
    )


def _ratio(measured: dict[str, list[Turn]], way: str, other: str) -> str:
    """The median of the ratios turn by turn, and the range they lie in."""
    ratios = [
        mine.rate / theirs.rate for mine, theirs in zip(measured[way], measured[other], strict=True)
    ]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


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
    pool.verifier.verify([(problem, CODE)] * count)
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
