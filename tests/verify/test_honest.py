"""Right programs of every style are accepted."""

import sys

import pytest
from corpus.honest import HONEST, Honest
from corpus.world import footprint, settles

from axiom_rl.core.types import Problem, TestCase, Verdict
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


@pytest.fixture(scope="module")
def verdicts(verifier: Verifier) -> dict[str, Verdict]:
    """All verdicts, from one batch that leaves no process and no descriptor behind."""
    before = footprint()
    batch = [(problem_for(program), program.code) for program in HONEST]
    found = verifier.verify(batch)
    assert settles(footprint, before) == before
    return {program.name: verdict for program, verdict in zip(HONEST, found, strict=True)}


@pytest.mark.parametrize("program", HONEST, ids=lambda program: program.name)
def test_accepted(program: Honest, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[program.name]
    assert verdict.passed, verdict
    assert verdict.pass_fraction == 1.0
    assert len(verdict.cases) == len(program.tests)
    assert verdict.cpu_s > 0
    assert verdict.wall_s > 0


def test_names_are_unique() -> None:
    assert len({program.name for program in HONEST}) == len(HONEST)
