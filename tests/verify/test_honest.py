"""Right programs of every style are accepted."""

import sys

import pytest
from corpus.honest import HONEST, Honest
from corpus.world import footprint, settles

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.verify import Verifier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only")


def problem_for(program: Honest) -> Problem:
    return Problem(
        id=program.name,
        type="honest",
        difficulty=1,
        split="train",
        title=program.name,
        statement="",
        entry_point="solve",
        public_tests=(),
        hidden_tests=tuple(TestCase(args=args, expected=want) for args, want in program.tests),
        from_json=program.from_json,
    )


def test_all_are_accepted_and_leave_nothing(verifier: Verifier) -> None:
    before = footprint()
    found = verifier.verify([(problem_for(program), program.code) for program in HONEST])
    assert settles(footprint, before) == before, "no process and no descriptor is left"
    offenders = {
        program.name: verdict
        for program, verdict in zip(HONEST, found, strict=True)
        if not (verdict.passed and verdict.pass_fraction == 1.0)
        or len(verdict.cases) != len(program.tests)
        or min(verdict.cpu_s, verdict.wall_s) <= 0
    }
    assert not offenders


def test_names_are_unique() -> None:
    assert len({program.name for program in HONEST}) == len(HONEST)
