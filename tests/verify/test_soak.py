"""Ten thousand mixed programs, most of them hostile: nothing grows, nothing is late, and each gets
the verdict that it gets alone.

`AXIOM_SOAK=10000` sets the number; the default is shorter.
"""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import test_attacks
import test_honest
from corpus.attacks import ATTACKS
from corpus.honest import HONEST
from corpus.world import World, footprint, settles

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, Status
from axiom_rl.verify import Verifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only"),
]

PROGRAMS = int(os.environ.get("AXIOM_SOAK", "1500"))
BATCH = 250
GROWTH_MB = 30


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def test_soak(world: World) -> None:
    attacks = [(test_attacks.problem_for(a, world.context), a.code, a.statuses) for a in ATTACKS]
    honest = [(test_honest.problem_for(h), h.code, frozenset({Status.ACCEPTED})) for h in HONEST]
    draw = random.Random(0)
    with Verifier(load_config("sandbox.servers=2").sandbox) as verifier:
        verifier.verify([(problem, code) for problem, code, _ in honest])
        size, memory = footprint(), resident_mb()
        for _ in range(0, PROGRAMS, BATCH):
            batch = [draw.choice(attacks if draw.random() < 0.8 else honest) for _ in range(BATCH)]
            started = time.monotonic()
            verdicts = verifier.verify([(problem, code) for problem, code, _ in batch])
            assert time.monotonic() - started < BATCH * (test_attacks.WALL_LIMIT_S + 1)
            for (problem, code, statuses), verdict in zip(batch, verdicts, strict=True):
                starved = "wall time" in verdict.detail  # a busy machine may end any of them
                assert verdict.status in statuses or starved, (code, verdict)
                cpu_limit = problem.time_limit_s or 3.0
                assert verdict.wall_s <= 4 * cpu_limit + 5 + 1
                assert verdict.cpu_s <= cpu_limit + 1
            assert settles(footprint, size) == size
        assert verifier.stats.faults == 0
        assert resident_mb() - memory < GROWTH_MB


SLOW_SHARE = 0.02
"""Of programs that a time limit ends or that take long alone; more would only take longer."""
SLOW_S = 0.3
ALONE_TRIES = 300
"""A race that ends otherwise in one of thousands of runs may take many to do so again."""


def races_for_the_record(code: str) -> bool:
    """Whether a program's own threads write its record or read its arguments beside the runner."""
    return "threading.Thread" in code and "os.write(3" in code


def comes_alone(program: tuple[Problem, str], status: Status) -> bool:
    """Whether a program whose threads race each other gets this verdict alone as well."""
    with Verifier(load_config("sandbox.servers=1").sandbox) as verifier:
        return any(verifier.verify([program])[0].status is status for _ in range(ALONE_TRIES))


def test_a_verdict_does_not_depend_on_neighbours(world: World) -> None:
    """Every program gets the verdict that it gets alone, whatever runs before and beside it."""
    programs = [
        (replace(test_attacks.problem_for(a, world.context), time_limit_s=0.5), a.code)
        for a in ATTACKS
    ]
    programs += [(replace(test_honest.problem_for(h), time_limit_s=0.5), h.code) for h in HONEST]
    with Verifier(load_config("sandbox.servers=1").sandbox) as verifier:
        first = [verifier.verify([program])[0] for program in programs]
        again = [verifier.verify([program])[0].status for program in programs]
    alone = [verdict.status for verdict in first]
    # A few attacks race against a limit, or their own threads race for the record, and they end in
    # one of several ways even when they run alone.
    steady = [
        at
        for at, status in enumerate(alone)
        if status is again[at] and not races_for_the_record(programs[at][1])
    ]
    assert len(steady) > 0.95 * len(programs)
    slow = [at for at in steady if alone[at] is Status.TIME_LIMIT or first[at].wall_s > SLOW_S]
    quick = sorted(set(steady) - set(slow))
    assert len(quick) > 0.5 * len(programs)
    draw = random.Random(1)
    with Verifier(load_config("sandbox.servers=2").sandbox) as verifier:
        for _ in range(0, 2 * PROGRAMS, BATCH):
            order = [
                draw.choice(slow if draw.random() < SLOW_SHARE else quick) for _ in range(BATCH)
            ]
            verdicts = verifier.verify([programs[at] for at in order])
            wrong = [
                (programs[at][1], alone[at], verdict)
                for at, verdict in zip(order, verdicts, strict=True)
                if verdict.status is not alone[at] and not comes_alone(programs[at], verdict.status)
            ]
            assert not wrong, wrong[:3]
        assert verifier.stats.faults == 0
