"""No attack passes, leaves a trace, or harms what comes after it.

With AXIOM_ATTACK_TABLE=<file> the verdicts are written there as a Markdown table.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from corpus.attack import SECRET, Attack
from corpus.attacks import ATTACKS, GROUPS
from corpus.forging import SEARCH
from corpus.world import World, footprint, settles

from axiom_rl.core.types import Problem, Status, TestCase, Verdict
from axiom_rl.verify import Verifier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only")

TIME_LIMIT_S = 0.15
WALL_LIMIT_S = 2 * TIME_LIMIT_S + 1
HARD_LIMIT_S = 4 * TIME_LIMIT_S + 5
RIGHT = f"#{'.' * 20_000}\n# LEFTOVER 7 * x + 3\ndef solve(x):\n    return 7 * x + 3\n"
"""Long enough for its text to lie in memory that is not soon used again."""


def problem_for(attack: Attack | None, context: dict[str, Any]) -> Problem:
    """The problem an attack is put to; without one, that of forging attacks."""
    if attack is None or attack.goal is None:
        tests = tuple(TestCase(args=(x,), expected=7 * x + 3) for x in (5, 11, 200))
    else:
        tests = (TestCase(args=(context,), expected=attack.goal),)
    return Problem(
        id="attacked",
        type="attacked",
        difficulty=1,
        split="train",
        title="attacked",
        statement="",
        entry_point="solve",
        public_tests=(),
        hidden_tests=tests,
        time_limit_s=TIME_LIMIT_S,
        memory_limit_mb=256,
    )


def words_of(verdict: Verdict) -> str:
    return " ".join([verdict.detail, *(case.detail for case in verdict.cases)])


@pytest.fixture(scope="module")
def untouched(verifier: Verifier, world: World) -> tuple[tuple[int, int], dict[str, Any]]:
    """Footprint and state before the first attack; every attack must leave them so."""
    assert verifier.verify([(problem_for(None, {}), RIGHT)])[0].passed
    return footprint(), world.state()


@pytest.fixture
def no_traces(world: World, untouched: Any) -> Iterator[None]:
    """After the test: no process, descriptor, file, message or signal more than before."""
    yield
    size, state = untouched
    assert settles(footprint, size) == size
    assert world.state() == state


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[Attack, Verdict]]]:
    """Collects every verdict; written as Markdown where AXIOM_ATTACK_TABLE says."""
    rows: list[tuple[Attack, Verdict]] = []
    yield rows
    if path := os.environ.get("AXIOM_ATTACK_TABLE"):
        lines = [f"| {a.name} | {a.tries} | {v.status.value} |" for a, v in rows]
        Path(path).write_text("\n".join(["| attack | it | verdict |", "|---|---|---|", *lines, ""]))


MARK = "LEFTOVER-4711"
FILLER = "." * 30_000
SNOOP = (
    SEARCH
    + """
def solve(x):
    return next((True for text in pages() if re.search(rb"LEFTOVER-\\d{4}", text)), False)
"""
)


@pytest.mark.parametrize(
    ("code", "argument", "value"),
    [
        pytest.param(f"{FILLER!r}\n# {MARK}\ndef solve(x):\n    return x\n", 1, 1, id="program"),
        pytest.param("def solve(x):\n    return 1\n", FILLER + MARK, 1, id="argument"),
        pytest.param(
            "def solve(x):\n    return x * 15000 + f'LEFTOVER-{4711}'\n", "..", None, id="value"
        ),
    ],
)
def test_nothing_of_one_candidate_is_left_in_the_memory_of_the_next(
    verifier: Verifier, code: str, argument: Any, value: Any
) -> None:
    asked = TestCase(args=(argument,), expected=FILLER + MARK if value is None else value)
    first = replace(problem_for(None, {}), hidden_tests=(asked, asked))
    then = replace(first, hidden_tests=(TestCase(args=(1,), expected=True),), time_limit_s=2.0)
    verdicts = verifier.verify([(first, code)] * 8 + [(then, SNOOP)] * 4)
    assert [verdict.passed for verdict in verdicts] == [True] * 8 + [False] * 4
    assert {verdict.status for verdict in verdicts[8:]} == {Status.WRONG_ANSWER}


READ_AHEAD = (
    SEARCH
    + """
import sys
def solve(x):
    frame, seen = sys._getframe(1), []
    while frame:
        seen.append(repr(frame.f_locals))
        frame = frame.f_back
    os.set_blocking(3, False)
    try:
        seen.append(repr(os.read(3, 100_000)))
    except BlockingIOError:
        pass
    os.set_blocking(3, True)
    if re.search(r"LEFTOVER-\\d{4}", str(seen)):
        return True
    return next((True for text in pages() if re.search(rb"LEFTOVER-\\d{4}", text)), False)
"""
)


@pytest.mark.parametrize("filler", ["", FILLER, FILLER * 30], ids=["short", "long", "very_long"])
def test_no_test_tells_an_earlier_one_its_arguments(verifier: Verifier, filler: str) -> None:
    """Nothing of the second test's arguments is in the process while the first one runs."""
    asked = [TestCase(args=(x,), expected=False) for x in ("first", filler + "LEFTOVER-4712")]
    problem = replace(
        problem_for(None, {}), hidden_tests=tuple(asked), time_limit_s=3.0, memory_limit_mb=1024
    )
    [verdict] = verifier.verify([(problem, READ_AHEAD)])
    assert [case.passed for case in verdict.cases] == [True, False], verdict  # the second sees it


def test_no_descriptor_carries_word_to_the_next_candidate(verifier: Verifier) -> None:
    tell = "import os\ndef solve(x):\n    return [os.set_blocking(fd, False) for fd in range(3)]\n"
    hear = "import os\ndef solve(x):\n    return [os.get_blocking(fd) for fd in range(3)]\n"
    problem = problem_for(None, {})
    tests = [TestCase(args=(1,), expected=[value] * 3) for value in (None, True)]
    problems = [replace(problem, hidden_tests=(test,)) for test in tests]
    verdicts = verifier.verify(list(zip(problems, (tell, hear), strict=True)))
    assert all(verdict.passed for verdict in verdicts), verdicts


KINDS = {(g, a.statuses): a for g, attacks in GROUPS.items() for a in reversed(attacks)}
"""One attack of each group for each set of verdicts; the others are CI's."""


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(a, id=a.name, marks=[] if a in KINDS.values() else pytest.mark.slow)
        for a in ATTACKS
    ],
)
def test_attack_fails(
    attack: Attack,
    verifier: Verifier,
    world: World,
    table: list[tuple[Attack, Verdict]],
    no_traces: None,
) -> None:
    batch = [(problem_for(attack, world.context), attack.code), (problem_for(None, {}), RIGHT)]
    started = time.monotonic()
    futures = [verifier.submit(candidate) for candidate in batch]
    verdict, next_verdict = [future.result() for future in futures]
    taken = time.monotonic() - started
    table.append((attack, verdict))
    assert next_verdict.passed
    assert not verdict.passed
    assert verdict.status in attack.statuses, verdict
    assert verdict.status is not Status.SANDBOX_FAULT
    assert verdict.pass_fraction < 1
    assert len(verdict.detail) <= 300
    assert SECRET not in words_of(verdict)
    words_of(verdict).encode()  # fit for a file
    assert taken <= 2 * HARD_LIMIT_S + 1
