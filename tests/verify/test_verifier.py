"""The verifier as its users see it."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Status, TestCase
from axiom_rl.problems import registry
from axiom_rl.rollouts import rewards
from axiom_rl.sandbox import process
from axiom_rl.sandbox.base import IsolationLevel, SandboxUnavailableError
from axiom_rl.verify import Verifier
from axiom_rl.verify import verifier as verifier_module

FAULTY_BOOT = """
import sys; sys.path.append(sys.argv[1]); import child.server as server; sys.path.pop()
plain = server._Server._judge
def faulty(self, limits, *rest):
    if limits.cpu_s != 2.25:
        return plain(self, limits, *rest)
    end = server.End(status=28)
    self._send(server.LENGTH.pack(server.ANSWER.size) + server.ANSWER.pack(server.FAULT, *end))
server._Server._judge = faulty
server.main()
"""
MARK_S = 2.25
"""The time limit by which an injected fault knows the problem that it is meant for."""


def problem(*tests: tuple[tuple[Any, ...], Any], **fields: Any) -> Problem:
    made = Problem(
        id="p",
        type="none",
        difficulty=1,
        split="train",
        title="p",
        statement="",
        entry_point="f",
        public_tests=(),
        hidden_tests=tuple(TestCase(args=args, expected=expected) for args, expected in tests),
    )
    return replace(made, **fields)


DOUBLE = problem(((1,), 2), ((2,), 4), ((3,), 6))
RIGHT = "def f(x):\n    return 2 * x\n"
WRONG = "def f(x):\n    return 4\n"


def test_verdicts_come_in_order(verifier: Verifier) -> None:
    programs = [RIGHT, WRONG, None, "def f(x:", "", "   \n", "def g(x): pass", "1/0"] * 5
    verdicts = verifier.verify((DOUBLE, program) for program in programs)
    wanted = [
        Status.ACCEPTED,
        Status.WRONG_ANSWER,
        Status.NO_CODE,
        Status.SYNTAX_ERROR,
        Status.NO_CODE,
        Status.NO_CODE,
        Status.NO_CODE,
        Status.RUNTIME_ERROR,
    ] * 5
    assert [verdict.status for verdict in verdicts] == wanted
    assert all(verdict.total_tests == 3 for verdict in verdicts)
    assert [verdict.pass_fraction for verdict in verdicts[:2]] == [1.0, pytest.approx(1 / 3)]
    assert verdicts[1].passed_tests == 1


def test_no_candidates_no_verdicts(verifier: Verifier) -> None:
    assert verifier.verify([]) == []


def test_every_test_runs_though_one_raises(verifier: Verifier) -> None:
    code = "def f(x):\n    if x == 2:\n        raise ValueError('two')\n    return 2 * x\n"
    [verdict] = verifier.verify([(DOUBLE, code)])
    assert verdict.status is Status.RUNTIME_ERROR
    assert verdict.detail == "ValueError: two"
    assert [case.passed for case in verdict.cases] == [True, False, True]
    assert verdict.pass_fraction == pytest.approx(2 / 3)


def test_a_time_limit_ends_the_candidate_and_keeps_what_passed(verifier: Verifier) -> None:
    code = "def f(x):\n    while x == 2:\n        pass\n    return 2 * x\n"
    limited = replace(DOUBLE, time_limit_s=0.2)
    started = time.monotonic()
    [verdict] = verifier.verify([(limited, code)])
    assert time.monotonic() - started < 2 * 0.2 + 1 + 1
    assert verdict.status is Status.TIME_LIMIT
    assert [case.status for case in verdict.cases] == [Status.ACCEPTED, Status.TIME_LIMIT]
    assert verdict.cpu_s < 0.4


def test_a_problem_may_have_its_own_memory_limit(verifier: Verifier) -> None:
    code = "def f(x):\n    return len(bytearray(100 << 20)) and 2 * x\n"
    verdicts = verifier.verify([(replace(DOUBLE, memory_limit_mb=64), code), (DOUBLE, code)])
    assert [verdict.status for verdict in verdicts] == [Status.MEMORY_LIMIT, Status.ACCEPTED]
    assert verdicts[1].peak_memory_mb > 90
    assert verdicts[1].cases[0].peak_memory_mb > 90


def test_figures_of_each_test(verifier: Verifier) -> None:
    code = "def f(x):\n    sum(range(200_000 if x == 2 else 1))\n    return 2 * x\n"
    [verdict] = verifier.verify([(DOUBLE, code)])
    first, second, _third = verdict.cases
    assert 0 < first.cpu_s < second.cpu_s <= verdict.cpu_s
    assert 0 < first.wall_s < second.wall_s <= verdict.wall_s


def test_arguments_are_fresh_for_every_test_and_candidate(verifier: Verifier) -> None:
    shared = [1, 2]
    mutated = problem(((shared,), 2), ((shared,), 2))
    code = "def f(x):\n    x.append(0)\n    return len(x) - 1\n"
    verdicts = verifier.verify([(mutated, code)] * 3)
    assert all(verdict.passed for verdict in verdicts)
    assert shared == [1, 2]


def test_plain_equality_of_every_kind_of_value(verifier: Verifier) -> None:
    values = [None, True, 10**400, 0.1 + 0.2, math.nan, "\ud800", b"x", (1, [2]), {1: {2}}, 1j]
    echo = problem(*(((value,), value) for value in values))
    [verdict] = verifier.verify([(echo, "def f(x):\n    return x\n")])
    assert verdict.passed, verdict


def test_a_problem_without_tests_is_an_error_before_anything_runs(verifier: Verifier) -> None:
    before = verifier.stats.verdicts
    with pytest.raises(AxiomError, match="p has no hidden tests"):
        verifier.verify([(DOUBLE, RIGHT), (problem(), RIGHT)])
    assert verifier.stats.verdicts == before


def test_tests_that_cannot_travel_are_an_error(verifier: Verifier) -> None:
    with pytest.raises(AxiomError, match="plain values"):
        verifier.submit((problem(((object(),), 1)), RIGHT))
    with pytest.raises(AxiomError, match="plain values"):
        verifier.submit((problem(((1,), range(3))), RIGHT))


def test_the_checker_named_is_used_and_no_other(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def any_even(args: tuple[Any, ...], value: Any, expected: Any) -> bool:
        return bool(value % 2 == 0)

    monkeypatch.setattr(registry, "_CHECKERS", {"even": any_even})
    even = replace(DOUBLE, checker="even")
    codes = ["def f(x):\n    return 100\n", "def f(x):\n    return 'x'\n"]
    verdicts = verifier.verify([(even, code) for code in codes])
    assert [verdict.status for verdict in verdicts] == [Status.ACCEPTED, Status.WRONG_ANSWER]
    of_a_type = replace(DOUBLE, type="two_sum")  # judged by equality: it names no checker
    assert verifier.verify([(of_a_type, RIGHT)])[0].passed
    with pytest.raises(AxiomError, match=r"unknown checker 'odd'.*problems\.imports"):
        verifier.verify([(replace(DOUBLE, checker="odd"), RIGHT)])


def test_each_kind_of_tests_judges_by_itself(verifier: Verifier) -> None:
    fresh = (TestCase(args=(7,), expected=15), TestCase(args=(8,), expected=17))
    both = replace(DOUBLE, fresh_tests=fresh, public_tests=fresh[:1])
    more = "def f(x):\n    return 2 * x + 1\n"
    passed = {
        tests: [verdict.passed for verdict in verifier.verify(
            [(both, RIGHT), (both, more)], tests=tests
        )]
        for tests in ("hidden", "fresh", "public")
    }  # fmt: skip
    assert passed == {"hidden": [True, False], "fresh": [False, True], "public": [False, True]}
    assert verifier.verify([(both, None)], tests="fresh")[0].total_tests == 2
    for tests in ("fresh", "public"):
        with pytest.raises(AxiomError, match=f"has no {tests} tests"):
            verifier.verify([(DOUBLE, RIGHT)], tests=tests)
    with pytest.raises(AxiomError, match="unknown tests 'secret'"):
        verifier.submit((DOUBLE, RIGHT), tests="secret")  # type: ignore[arg-type]


def test_submission_does_not_wait(verifier: Verifier) -> None:
    sleeper = "import time\ndef f(x):\n    time.sleep(0.1)\n    return 2 * x\n"
    one_test = replace(DOUBLE, hidden_tests=DOUBLE.hidden_tests[:1])
    futures = [verifier.submit((one_test, sleeper)) for _ in range(4)]
    assert not futures[-1].done()
    assert all(future.result().passed for future in futures)


def test_many_threads_may_verify_at_once(verifier: Verifier) -> None:
    results: list[bool] = []

    def work() -> None:
        results.extend(v.passed for v in verifier.verify([(DOUBLE, RIGHT)] * 20))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 100


def test_the_order_of_sets_is_the_same_in_every_server(verifier: Verifier) -> None:
    code = "import random\ndef f(x):\n    return [list({'a', 'b', 'c', 'd'}), random.random()]\n"
    listing = problem(((1,), None))
    spoken = ["import json\nold = f\ndef f(x):\n    raise ValueError(str(old(x)))\n"] * 8
    verdicts = verifier.verify([(listing, code + tail) for tail in spoken])
    assert len({verdict.detail for verdict in verdicts}) == 1


def test_level_and_stats(verifier: Verifier) -> None:
    before = verifier.stats
    verifier.verify([(DOUBLE, RIGHT)] * 3)
    after = verifier.stats
    assert after.verdicts == before.verdicts + 3
    assert after.busy_s > before.busy_s
    assert after.candidate_cpu_s > before.candidate_cpu_s
    assert isinstance(verifier.level, IsolationLevel)
    assert "seccomp" in verifier.layers


def test_progress_is_a_line_in_the_log_where_there_is_no_terminal(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(verifier_module, "LOG_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        verifier.verify([(DOUBLE, RIGHT)] * 4, progress="verifying")
    assert "verifying: 3 of 4 programs" in caplog.text


def test_back_pressure_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_module, "MAX_PENDING", 3)
    with Verifier(load_config("sandbox.servers=1").sandbox) as small:
        verdicts = small.verify([(DOUBLE, RIGHT)] * 30)
    assert all(verdict.passed for verdict in verdicts)


def test_a_fault_is_not_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row lost to a full disk has no reward; the rows beside it have theirs."""
    monkeypatch.setattr(process, "BOOT", FAULTY_BOOT)
    with Verifier(load_config("sandbox.servers=2").sandbox) as verifier:
        marked = replace(DOUBLE, time_limit_s=MARK_S)
        batch = [(DOUBLE, RIGHT)] * 10 + [(marked, RIGHT)] + [(DOUBLE, WRONG)] * 10
        verdicts = verifier.verify(batch)
        scores = [rewards.binary(verdict) for verdict in verdicts]
        assert scores == [1.0] * 10 + [None] + [0.0] * 10
        assert verifier.stats.faults == 1
        assert verifier.stats.retries == 1


@pytest.mark.slow
def test_too_many_faults_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BOOT", FAULTY_BOOT)
    with Verifier(load_config("sandbox.servers=2").sandbox) as verifier:
        with pytest.raises(SandboxUnavailableError, match="3 of the last 13 verdicts"):
            marked = replace(DOUBLE, time_limit_s=MARK_S)
            verifier.verify([(DOUBLE, RIGHT)] * 10 + [(marked, RIGHT)] * 3)
        with pytest.raises(SandboxUnavailableError, match="look for a full disk"):
            verifier.submit((DOUBLE, RIGHT))


def test_a_closed_verifier_says_so() -> None:
    verifier = Verifier(load_config("sandbox.servers=1").sandbox)
    verifier.close()
    with pytest.raises(SandboxUnavailableError, match="closed"):
        verifier.verify([(DOUBLE, RIGHT)])


def test_a_preloaded_library_can_be_used() -> None:
    pytest.importorskip("numpy")
    code = "import numpy as np\ndef f(x):\n    return np.int64(x) * 2\n"
    lazy = "import numpy.polynomial\n" + RIGHT
    other = "import omegaconf\n" + RIGHT
    with Verifier(load_config("sandbox.servers=1", "sandbox.preload=[numpy]").sandbox) as verifier:
        verdicts = verifier.verify([(DOUBLE, each) for each in (code, lazy, other)])
    statuses = [verdict.status for verdict in verdicts]
    assert statuses == [Status.ACCEPTED, Status.ACCEPTED, Status.RUNTIME_ERROR]


def test_debug_gives_the_same_verdicts() -> None:
    with Verifier(load_config("sandbox=debug").sandbox) as verifier:
        assert verifier.level is IsolationLevel.NONE
        verdicts = verifier.verify([(DOUBLE, RIGHT), (DOUBLE, WRONG), (DOUBLE, "1/0")])
    statuses = [verdict.status for verdict in verdicts]
    assert statuses == [Status.ACCEPTED, Status.WRONG_ANSWER, Status.RUNTIME_ERROR]
