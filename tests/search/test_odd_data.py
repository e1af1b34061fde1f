"""Odd examples and odd programs: inputs are made all the same, and nothing is taken for another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handmade import material, problem

from axiom_rl.config import load_config
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Problem, Status, TestCase, Verdict
from axiom_rl.evaluation.search.scores import Pool, survivors
from axiom_rl.search.execute import Executions, InputList, name_of
from axiom_rl.search.inputs import input_text, mutated_inputs
from axiom_rl.search.solve import _line
from axiom_rl.verify import Verifier
from axiom_rl.verify.outputs import Output, ProgramRun

Args = tuple[Any, ...]
EXAMPLES: dict[str, tuple[list[Args], bool]] = {
    "a list or nothing": ([([1, 2],), (None,)], True),
    "a list or a number": ([([1, 2], [1]), (3, [2])], True),
    "a list or a text": ([(["a"],), ("ab",)], True),
    "not finite": ([(float("nan"),), (float("inf"),), ([float("-inf")],)], True),
    "an integer that Python does not write": ([(10**5000,)], True),
    "long and broken numbers": ([(10**400,), (0.5,)], True),
    "half of a surrogate pair": ([("\ud83d a1",)], True),
    "a set of texts": ([({"a", "b", "c", "dd"},)], True),
    "sets in a set": ([({frozenset({"a", "b"}), frozenset({"b", "c"})},)], True),
    "sets in a list": ([([frozenset({"a", "b", "cc"})], 1)], True),
    "keys of all kinds": ([({1: 2, (1, 2): 3, "a": None},)], True),
    "nothing": ([(None,)], False),
    "bytes": ([(b"ab",)], False),
    "no argument": ([()], False),
    "another number of arguments": ([(1,), (1, 2)], False),
}


def made(name: str) -> list[str]:
    examples, _any = EXAMPLES[name]
    inputs = mutated_inputs(problem(*((args, 1) for args in examples)), 24, 0)
    return [input_text(args) for args in inputs]


@pytest.mark.parametrize("name", EXAMPLES)
def test_inputs_are_made_from_any_examples(name: str) -> None:
    inputs = made(name)
    examples, some = EXAMPLES[name]
    assert bool(inputs) is some and len(set(inputs)) == len(inputs) <= 24
    assert not {input_text(args) for args in examples} & set(inputs)


@pytest.mark.slow
def test_every_process_makes_the_same_inputs() -> None:
    """Sets of text have another order in each process, unless somebody sorts them."""
    script = "import test_odd_data as t; print([t.made(name) for name in t.EXAMPLES])"
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=Path(__file__).parent,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] and said[0].count("[") > len(EXAMPLES)


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_config("sandbox.servers=1").sandbox) as started:
        yield started


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{n + k: k for k in range(999)}", "{n + k: k for k in reversed(range(999))}", True),
        ("set(range(n, 999))", "frozenset(range(n, 999))", True),
        ("[n * 1.0] * 999", "[n] * 999", True),  # of another length as text
        ("[n > 0] * 999", "[1] * 999", True),
        ("[n / 3] * 999", "[n / 3 + 1e-13] * 999", True),
        ("[n / 3] * 999", "[n / 3 + 1e-3] * 999", False),
        ("[(n,)] * 999", "[[n]] * 999", False),
        ("[n] * 999", "[n] * 1000", False),
        ("['1'] * 999", "[1] * 999", False),
    ],
)
def test_long_values_are_compared_as_short_ones_are(
    one: str, other: str, same: bool, tmp_path: Path, verifier: Verifier
) -> None:
    asked = problem(((1,), 1), signature="(n)")
    given = InputList("two", ((7,), (8,)))
    wanted = [(asked, f"def f(n): return {body}", given) for body in (one, other)]
    first, second = Executions(tmp_path / "e.jsonl", verifier).outputs(wanted)
    assert first[0].returned and second[0].returned
    found = {asked.match(a.value, b.value) for a, b in zip(first, second, strict=True)}
    assert found == {same}


def test_other_limits_are_another_run(tmp_path: Path, verifier: Verifier) -> None:
    path, code = tmp_path / "e.jsonl", "def f(n): return sum(range(n))"
    asked, given = problem(((3,), 3), signature="(n)"), InputList("big", ((20_000_000,),))
    quick, slow = (replace(asked, time_limit_s=limit) for limit in (0.05, 20.0))
    programs = []
    for each in (quick, slow, quick, slow):
        executions = Executions(path, verifier)
        ((answer,),) = executions.outputs([(each, code, given)])
        assert answer.returned is (each is slow)
        executions.public([(each, code)])
        programs.append(executions.work.programs)
    assert programs == [2, 2, 0, 0]
    # rows of older versions do not tell their limits, and stand for any
    rows = [{k: v for k, v in row.items() if k != "limits"} for row in read_jsonl(path)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    executions = Executions(path, verifier)
    executions.outputs([(slow, code, given)])
    assert executions.work.programs == 0


def test_a_fault_of_the_sandbox_is_forgotten(
    tmp_path: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, code = tmp_path / "e.jsonl", "def f(n): return n"
    asked, given = problem(((3,), 3), signature="(n)"), InputList("one", ((4,),))
    judge, run = verifier.verify, verifier.run

    def faulty(ask: Callable[..., list[Any]], broken: Any) -> Callable[..., list[Any]]:
        return lambda items: [broken for _ in ask(items)]

    verdict = Verdict(status=Status.SANDBOX_FAULT, passed=False, pass_fraction=0.0)
    output = Output(Status.SANDBOX_FAULT, detail="gone")
    broken = ProgramRun(Status.SANDBOX_FAULT, (output, output))
    monkeypatch.setattr(verifier, "verify", faulty(judge, verdict))
    monkeypatch.setattr(verifier, "run", faulty(run, broken))
    executions = Executions(path, verifier)
    assert executions.public([(asked, code)])["p", name_of(code)]["passed"] == 0
    assert not executions.outputs([(asked, code, given)])[0][0].returned
    assert executions.work.programs == 2 and not list(read_jsonl(path))
    monkeypatch.undo()
    executions = Executions(path, verifier)
    assert executions.public([(asked, code)])["p", name_of(code)]["passes"] == [0]
    assert executions.outputs([(asked, code, given)])[0][0].value == 4
    assert len(list(read_jsonl(path))) == 2


def test_hard_coded_programs_of_a_benchmark_are_counted() -> None:
    """Its tests hold the shown one too, so that no survivor fails all of them."""
    shown, *others = (TestCase(args=(n,), expected=n) for n in range(3))
    made = Problem(
        **{"id": "p", "type": "mine", "difficulty": 1, "split": "test", "title": "p"},
        **{"statement": "", "entry_point": "f"},
        public_tests=(shown,),
        hidden_tests=(shown, *others),
    )
    known = replace(material([[0], [0], [0]]), problem=problem(((0,), 0)))
    pool = Pool(
        problems=(made,),
        samples={"p": known.samples},
        passed={"p": (True, False, False)},
        fractions={"p": (1.0, 1 / 3, 2 / 3)},
        faults=0,
        seen={"p": frozenset({0})},
    )
    counts = survivors(pool, {"p": known})
    assert counts == {"programs": 3, "survivors": 3, "false": 2, "hard_coded": 1}
    alone = replace(pool, problems=(replace(made, hidden_tests=tuple(others)),), seen={})
    assert survivors(alone, {"p": known})["hard_coded"] == 0


@pytest.mark.parametrize(
    ("voters", "said"),
    [(1, "it alone of 8 programs does, so that nothing agrees"), (2, "2 of 2 that do agree")],
)
def test_a_program_that_nothing_agrees_with_is_named(voters: int, said: str) -> None:
    """It may know the examples by heart: `48213 if key == 'x' else -7` passes both of its own."""
    row: dict[str, Any] = {"problem_id": "p", "code": "x", "probability": None, "tied": False}
    counts = {"samples": 8, "public_tests": 2, "public_passed": 2}
    assert said in _line(row | counts | {"agreeing": voters, "voters": voters})
