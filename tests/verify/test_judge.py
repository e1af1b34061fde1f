"""A record can state values and nothing else: what is not written by the runner is a violation."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.core import codec as values
from axiom_rl.core.types import Problem, Status, TestCase, Verdict
from axiom_rl.sandbox.base import Ending, Limits, Outcome
from axiom_rl.verify.judge import LENGTH, Checker, judge, standard_of

LIMITS = Limits(cpu_s=1.0, memory_bytes=1 << 30, output_bytes=1000, result_bytes=8 << 20)
TESTS = (TestCase(args=(1,), expected=10), TestCase(args=(2,), expected=[20, (1, 2)]))
RIGHT_SECOND = [20, {"t": [1, 2]}]


def judged(
    *frames: Any,
    checker: Checker | None = None,
    raw: bytes | None = None,
    tests: tuple[TestCase, ...] = TESTS,
    **outcome: Any,
) -> Verdict:
    problem = Problem(
        id="p",
        type="none",
        difficulty=1,
        split="train",
        title="p",
        statement="",
        entry_point="f",
        public_tests=(),
        hidden_tests=tests,
    )
    bodies = [json.dumps(frame).encode() for frame in frames]
    data = b"".join(LENGTH.pack(len(body)) + body for body in bodies)
    made = Outcome(**{"ending": Ending.EXITED, "frames": data if raw is None else raw, **outcome})
    return judge(standard_of(problem, checker), LIMITS, made)


def value(tree: Any) -> list[Any]:
    return ["v", tree, 0.1, 0.2, 3]


def failure(word: str) -> list[Any]:
    return ["e", word, "detail", 0.1, 0.2, 3]


GOOD = (value(10), value(RIGHT_SECOND), ["end"])


def test_a_pass_needs_every_value_and_the_end() -> None:
    verdict = judged(*GOOD)
    assert (verdict.status, verdict.passed, verdict.pass_fraction) == (Status.ACCEPTED, True, 1.0)
    assert [case.index for case in verdict.cases] == [0, 1]


def test_the_first_failing_test_names_the_verdict() -> None:
    verdict = judged(failure("runtime_error"), value(0), ["end"])
    assert verdict.status is Status.RUNTIME_ERROR
    assert verdict.detail == "detail"
    assert [case.status for case in verdict.cases] == [Status.RUNTIME_ERROR, Status.WRONG_ANSWER]
    assert judged(value(10), value([20, [1, 2]]), ["end"]).pass_fraction == 0.5


def test_the_first_wrong_value_is_told_in_short() -> None:
    assert judged(value(11), value(0), ["end"]).detail == "returned 11"
    long = judged(value(10), value([21, list(range(90))]), ["end"]).detail
    assert long.startswith("returned [21, [0, 1, 2,") and long.endswith("22, 23, ...]]")
    huge = judged(value(values.encode(10**5000)), value(0), ["end"]).detail
    assert huge == "returned an integer too long to write"


@pytest.mark.parametrize(
    "frames",
    [
        [value(10), ["end"]],
        [value(10), value(RIGHT_SECOND), value(10), ["end"]],
        [*GOOD, ["end"]],
        [*GOOD, value(10)],
        [["x", "accepted", ""]],
        [["x", "no_code", ""], *GOOD],
        [value(10), ["x", "no_code", ""]],
        [failure("accepted"), value(RIGHT_SECOND), ["end"]],
        [["v", 10, 0.1, 0.2]],
        [["v", 10, True, 0.2, 3], value(RIGHT_SECOND), ["end"]],
        [["v", {"t": 5}, 0.1, 0.2, 3]],
        [["v", {"d": [[[], 1]]}, 0.1, 0.2, 3]],
        [["v", 10.0, "fast", 0.2, 3]],
        [{"v": 10}],
        ["accepted"],
        [None],
    ],
)
def test_forged_records_are_violations(frames: list[Any]) -> None:
    verdict = judged(*frames)
    assert (verdict.status, verdict.pass_fraction) == (Status.SECURITY_VIOLATION, 0.0)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_upset_the_judge(raw: bytes) -> None:
    assert not judged(raw=raw).passed
    assert not judged(raw=LENGTH.pack(len(raw)) + raw).passed


@pytest.mark.parametrize("ending", [Ending.EXITED, Ending.WALL_LIMIT, Ending.SIGNALLED])
def test_a_frame_longer_than_any_is_a_violation_however_it_ends(ending: Ending) -> None:
    verdict = judged(raw=b"\xff" * 64, ending=ending, code=70)
    assert verdict.status is Status.SECURITY_VIOLATION


def test_nesting_bombs_are_violations() -> None:
    body = b'["v", ' + b"[" * 50_000 + b"]" * 50_000 + b", 0.1, 0.2, 3]"
    assert judged(raw=LENGTH.pack(len(body)) + body).status is Status.WRONG_ANSWER  # too large
    for kind, depth in ((b"e", 3000), (b"e", 50_000), (b"v", 1500)):
        body = b'["' + kind + b'", ' + b"[" * depth + b"]" * depth + b", 0.1, 0.2, 3]"
        assert judged(raw=LENGTH.pack(len(body)) + body).status is Status.SECURITY_VIOLATION


PRIME = 2**61 - 1
EQUAL_HASH = [{"i": hex(PRIME * 2**40 * k)} for k in range(1, 20_000)]
HEAVY = {
    "lists": [[]] * 240_000,
    "nested_frozensets": [{"z": [{"z": EQUAL_HASH[k : k + 64]} for k in range(64)]}] * 8,
    "equal_hashes": {"s": EQUAL_HASH},
    "keys": {"d": [[{"t": [key]}, 1] for key in EQUAL_HASH]},
    "deep": [json.loads('{"z": [' * 140 + "]}" * 140)] * 800,
    "long_integers": [{"i": "0x" + "7" * 900_000}],
}


def _equal(_args: Any, value: Any, expected: Any) -> bool:
    return bool(value == expected)


@pytest.mark.parametrize(
    ("name", "checker"),
    [
        ("keys", None),
        ("keys", _equal),
        *(
            pytest.param(name, checker, marks=pytest.mark.slow)
            for name in HEAVY
            for checker in (None, _equal)
            if name != "keys"
        ),
    ],
)
def test_heavy_values_are_wrong_and_judged_in_linear_time(
    name: str, checker: Checker | None
) -> None:
    large = tuple(TestCase(args=(n,), expected=list(range(4000))) for n in range(3))
    body = json.dumps(value(HEAVY[name])).encode()
    raw = (LENGTH.pack(len(body)) + body) * 3 + LENGTH.pack(7) + b'["end"]'
    started = time.process_time()
    verdict = judged(raw=raw, checker=checker, tests=large)
    assert (verdict.status, verdict.pass_fraction) == (Status.WRONG_ANSWER, 0.0)
    assert time.process_time() - started < 6.0  # quadratic work takes a multiple


def test_right_values_count_though_huge_wrong_ones_stand_before_them() -> None:
    large = tuple(TestCase(args=(n,), expected=list(range(9000))) for n in range(8))
    wrong = value([0] * 300_000)
    right = [0.1, *range(1, 9000)]
    near = (*large[:7], TestCase(args=(7,), expected=[0.1 + 1e-12, *range(1, 9000)]))
    verdict = judged(*[wrong] * 7, value(right), ["end"], tests=near)
    assert [case.passed for case in verdict.cases] == [False] * 7 + [True]


def test_strings_are_exact() -> None:
    for stated, expected, passed in [
        ({"u": "eda0bdedb880"}, "\ud83d\ude00", True),
        ("\U0001f600", "\ud83d\ude00", False),
        ({"u": "eda0bdedb880"}, "\U0001f600", False),
        ({"s": [{"u": "eda0bdedb880"}]}, {"\ud83d\ude00"}, True),
    ]:
        tests = (TestCase(args=(1,), expected=expected),)
        assert judged(value(stated), ["end"], tests=tests).passed == passed


def test_a_set_of_equal_hashes_is_judged_by_value() -> None:
    powers = {2**k for k in range(3000)}
    tree = {"s": [values.encode(2**k) for k in range(3000)]}
    tests = (TestCase(args=(1,), expected=powers),)
    assert judged(value(tree), ["end"], tests=tests).passed
    verdict = judged(value({"s": [7, *tree["s"][1:]]}), ["end"], tests=tests)
    assert verdict.status is Status.WRONG_ANSWER
    assert verdict.detail.startswith("returned {7, 2, 4, 8")


def test_floods_are_not_read_to_the_end() -> None:
    started = time.process_time()
    assert judged(raw=LENGTH.pack(0) * 2_000_000).status is Status.SECURITY_VIOLATION
    body = b'[ "v", [' + b"[]," * 2_000_000 + b"[]], 0.1, 0.2, 3]"
    assert judged(raw=LENGTH.pack(len(body)) + body).status is Status.SECURITY_VIOLATION
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ({"ending": Ending.CPU_LIMIT}, Status.TIME_LIMIT),
        ({"ending": Ending.WALL_LIMIT}, Status.TIME_LIMIT),
        ({"ending": Ending.SIGNALLED, "code": signal.SIGSYS}, Status.SECURITY_VIOLATION),
        ({"ending": Ending.SIGNALLED, "code": signal.SIGXFSZ}, Status.OUTPUT_LIMIT),
        ({"ending": Ending.SIGNALLED, "code": signal.SIGSEGV}, Status.RUNTIME_ERROR),
        ({"ending": Ending.SIGNALLED, "code": signal.SIGKILL, "cpu_s": 1.5}, Status.TIME_LIMIT),
        (
            {"ending": Ending.SIGNALLED, "code": signal.SIGSEGV, "peak_memory_mb": 1000.0},
            Status.MEMORY_LIMIT,
        ),
        ({"output_bytes": 1000}, Status.OUTPUT_LIMIT),
        ({"code": 7}, Status.RUNTIME_ERROR),
    ],
)
def test_no_pass_without_a_proper_end(outcome: dict[str, Any], status: Status) -> None:
    """Even with every right value stated; the test that had no time to fail is the last."""
    verdict = judged(*GOOD, **outcome)
    assert (verdict.status, verdict.passed, verdict.pass_fraction) == (status, False, 0.5)
    assert verdict.detail


def test_an_early_exit_fails_the_test_it_left_out() -> None:
    verdict = judged(value(10), raw=None)
    assert (verdict.status, verdict.pass_fraction) == (Status.RUNTIME_ERROR, 0.5)
    assert verdict.cases[1].status is Status.RUNTIME_ERROR


def test_a_record_torn_by_the_limit_keeps_what_is_whole() -> None:
    whole = json.dumps(value(10)).encode()
    raw = LENGTH.pack(len(whole)) + whole + LENGTH.pack(100) + b"torn"
    verdict = judged(raw=raw, ending=Ending.CPU_LIMIT)
    assert (verdict.status, verdict.pass_fraction) == (Status.TIME_LIMIT, 0.5)


def test_our_failures_are_told_from_theirs() -> None:
    assert judged(ending=Ending.FAULT).status is Status.SANDBOX_FAULT
    assert judged(ending=Ending.BROKE_SERVER).status is Status.SECURITY_VIOLATION


def test_a_checker_decides_and_may_fail() -> None:
    frames = [value(11), value("odd"), ["end"]]

    def accepts_next(args: tuple[Any, ...], got: Any, expected: Any) -> bool:
        return bool(got == expected + args[0])  # raises TypeError on the second test

    verdict = judged(*frames, checker=accepts_next)
    assert [case.status for case in verdict.cases] == [Status.ACCEPTED, Status.WRONG_ANSWER]

    def says_yes_in_a_way(args: tuple[Any, ...], got: Any, expected: Any) -> bool:
        return "yes"  # type: ignore[return-value]

    assert judged(*frames, checker=says_yes_in_a_way).pass_fraction == 0.0


def test_values_far_too_large_are_not_even_read() -> None:
    verdict = judged(value(list(range(100_000))), value(RIGHT_SECOND), ["end"])
    assert verdict.status is Status.WRONG_ANSWER
    assert "far larger" in verdict.detail


def test_words_of_candidates_are_fit_for_logs_and_files() -> None:
    frame = ["e", "runtime_error", "\x1b[31m\ud800\n" + "x" * 1000, 0.1, 0.2, 3]
    verdict = judged(frame, value(RIGHT_SECOND), ["end"])
    assert verdict.detail.startswith("?[31m??xxx")
    assert len(verdict.detail) == 300
    verdict.detail.encode()


def test_figures_of_tests_stay_within_what_was_measured() -> None:
    frames = [["v", 10, 5.0, 1e300, 10**30], ["v", RIGHT_SECOND, -1.0, 0.2, 3], ["end"]]
    verdict = judged(*frames, cpu_s=0.5, wall_s=0.6, peak_memory_mb=2.0)
    assert sum(case.cpu_s for case in verdict.cases) <= 0.5
    assert sum(case.wall_s for case in verdict.cases) <= 0.6
    assert all(0 <= case.peak_memory_mb <= 2.0 for case in verdict.cases)
