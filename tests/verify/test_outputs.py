"""What programs return, without an expected value anywhere."""

from __future__ import annotations

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Status
from axiom_rl.search import PublicProblem
from axiom_rl.verify import Verifier

PROBLEM = PublicProblem(
    id="p",
    type="none",
    title="p",
    statement="",
    entry_point="f",
    signature="(x)",
    public_tests=(),
    time_limit_s=0.5,
)
INPUTS = ((1,), (0,), ("a",))
PROGRAMS: dict[str, tuple[str | None, Status, list[object]]] = {
    "values": ("def f(x): return [x, {x}, {x: (x,)}]", Status.ACCEPTED, [
        [1, {1}, {1: (1,)}], [0, {0}, {0: (0,)}], ["a", {"a"}, {"a": ("a",)}]
    ]),
    "an error in one call": ("def f(x): return 6 / x", Status.RUNTIME_ERROR, [
        6.0, Status.RUNTIME_ERROR, Status.RUNTIME_ERROR
    ]),
    "no plain value": ("def f(x): return (i for i in [x])", Status.WRONG_ANSWER, [
        Status.WRONG_ANSWER
    ] * 3),
    "a huge value": ("def f(x): return [x] * 300_000 if x == 0 else x", Status.WRONG_ANSWER, [
        1, Status.WRONG_ANSWER, "a"
    ]),
    "an endless loop": ("def f(x):\n while x == 0: pass\n return x", Status.TIME_LIMIT, [
        1, Status.TIME_LIMIT, Status.TIME_LIMIT
    ]),
    "an error, then an endless loop": (
        "def f(x):\n while x == 0: pass\n return [][x]", Status.RUNTIME_ERROR,
        [Status.RUNTIME_ERROR, Status.TIME_LIMIT, Status.TIME_LIMIT],
    ),
    "an exit": ("import os\ndef f(x):\n if x == 0: os._exit(0)\n return x", Status.RUNTIME_ERROR, [
        1, Status.RUNTIME_ERROR, Status.RUNTIME_ERROR
    ]),
    "a violation": (
        "import os\ndef f(x):\n os.write(3, b'....') if x == 0 else None\n return os.fork()",
        Status.SECURITY_VIOLATION,
        [Status.SECURITY_VIOLATION] * 3,
    ),
    "syntax": ("def f(x:", Status.SYNTAX_ERROR, [Status.SYNTAX_ERROR] * 3),
    "another name": ("def g(x): return x", Status.NO_CODE, [Status.NO_CODE] * 3),
    "nothing": (None, Status.NO_CODE, [Status.NO_CODE] * 3),
    "None is a value": ("def f(x): pass", Status.ACCEPTED, [None, None, None]),
}  # fmt: skip


@pytest.mark.slow
def test_each_call_has_its_value_or_why_there_is_none(verifier: Verifier) -> None:
    runs = verifier.run((PROBLEM, code, INPUTS) for code, _status, _values in PROGRAMS.values())
    for (name, (_code, status, expected)), run in zip(PROGRAMS.items(), runs, strict=True):
        got = [each.value if each.returned else each.status for each in run.outputs]
        assert (run.status, got) == (status, expected), name


def test_the_verifier_counts_what_it_runs(verifier: Verifier) -> None:
    before = verifier.stats.verdicts
    verifier.run([(PROBLEM, "def f(x): return x", INPUTS)])
    assert verifier.stats.verdicts == before + 1


def test_what_cannot_be_run_is_refused_before_anything_is(verifier: Verifier) -> None:
    with pytest.raises(AxiomError, match="no input"):
        verifier.run([(PROBLEM, "def f(x): return x", ())])
    with pytest.raises(AxiomError, match="plain values"):
        verifier.run([(PROBLEM, "def f(x): return x", ((object(),),))])
