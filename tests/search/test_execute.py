"""Programs run for a search: what they return, once, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import problem

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.problems import register_checker
from axiom_rl.search import Material, Sampled
from axiom_rl.search.execute import Executions, gather, name_of
from axiom_rl.search.selectors import vote
from axiom_rl.verify import Verifier

PROBLEM = problem((([3, 1],), [1, 3]), signature="(xs)")
RIGHT = "def f(xs): return sorted(xs)"
ALSO = "def f(xs):\n    ys = list(xs)\n    ys.sort()\n    return ys"
PROGRAMS = {
    "right": RIGHT,
    "the same again": RIGHT,
    "right in another way": ALSO,
    "hard-coded": "def f(xs): return [1, 3]",
    "wrong on the example": "def f(xs): return xs",
    "crashes but on the example": "def f(xs): return [1, 3] if xs == [3, 1] else 1 / 0",
    "loops but on the example": "def f(xs):\n while xs != [3, 1]: pass\n return [1, 3]",
    "nondeterministic": "import random\ndef f(xs):\n if xs == [3, 1]: return [1, 3]\n"
    " return [random.random() for _ in range(9)]",
    "remembers": "seen = []\ndef f(xs):\n seen.append(1)\n"
    " return sorted(xs) if xs == [3, 1] else seen",
    "huge": "def f(xs): return sorted(xs) if len(xs) == 2 else ['x' * 5000]",
    "too huge": "def f(xs): return sorted(xs) if xs == [3, 1] else ['x'] * 400_000",
    "no program": None,
}


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_config("sandbox.servers=1").sandbox) as started:
        yield started


def made(path: Path, verifier: Verifier, programs: list[str | None]) -> tuple[Material, Executions]:
    samples = [
        Sampled(sample=n, code=code, logprob=-1.0, tokens=10, prompt_tokens=5)
        for n, code in enumerate(programs)
    ]
    executions = Executions(path, verifier)
    materials = gather(executions, [PROBLEM], {"p": samples}, inputs=8, time_limit_s=0.3, seed=0)
    return materials["p"], executions


def test_each_kind_of_program(tmp_path: Path, verifier: Verifier) -> None:
    names, codes = list(PROGRAMS), list(PROGRAMS.values())
    material, executions = made(tmp_path / "e.jsonl", verifier, codes)
    assert [names[n] for n in range(len(names)) if n not in material.survivors] == [
        "wrong on the example", "no program"
    ]  # fmt: skip
    classes = dict(zip(names, material.classes, strict=True))
    assert classes["right"] == classes["the same again"] == classes["right in another way"]
    assert None not in (classes["right"] or (None,))
    for silent in ("crashes but on the example", "nondeterministic", "too huge", "remembers"):
        assert set(classes[silent] or ()) <= {None}, silent
    assert (classes["loops but on the example"] or ())[0] is None
    assert classes["hard-coded"] != classes["right"] and classes["wrong on the example"] is None
    assert any(number is not None for number in classes["huge"] or ())
    choice = vote.choose(material, range(len(names)))
    assert names[choice.place] == "right" and choice.agreeing == 3
    # equal programs run once: 11 different ones, of which 9 pass the example (one is the same)
    assert executions.work.programs == 10 + 9


def test_a_second_time_runs_nothing(tmp_path: Path, verifier: Verifier) -> None:
    path, codes = tmp_path / "e.jsonl", [RIGHT, ALSO, PROGRAMS["huge"]]
    first, _ = made(path, verifier, codes)
    judged = verifier.stats.verdicts
    second, executions = made(path, verifier, codes)
    assert verifier.stats.verdicts == judged and executions.work.programs == 0
    assert executions.work.stored == 6 and executions.work.cpu_s > 0
    assert first == second
    third, executions = made(path, verifier, [*codes, PROGRAMS["hard-coded"]])
    assert executions.work.programs == 2 and third.classes[:3] == first.classes


def test_a_torn_row_is_run_again(tmp_path: Path, verifier: Verifier) -> None:
    path = tmp_path / "e.jsonl"
    first, _ = made(path, verifier, [RIGHT, ALSO])
    path.write_text(path.read_text()[:-20])
    second, executions = made(path, verifier, [RIGHT, ALSO])
    assert executions.work.programs == 1 and first == second
    rows = list(read_jsonl(path))
    write_jsonl(path, [row | {"answers": [["?"]]} for row in rows])
    with pytest.raises(AxiomError, match="is damaged"):
        made(path, verifier, [RIGHT])


def test_without_public_tests_every_program_is_run_on_written_inputs(
    tmp_path: Path, verifier: Verifier
) -> None:
    bare = problem()
    samples = [
        Sampled(sample=n, code=code, logprob=None, tokens=10, prompt_tokens=5)
        for n, code in enumerate([RIGHT, "def f(xs): return xs", "def f(xs): return 1 / 0"])
    ]
    material = gather(
        Executions(tmp_path / "e.jsonl", verifier),
        [bare],
        {"p": samples},
        inputs=8,
        time_limit_s=0.3,
        seed=0,
        written={"p": [(([2, 1],), [1, 2]), (([2, 1],), [1, 2]), (([],), [1])]},
    )["p"]
    assert material.survivors == (0, 1, 2) and material.inputs == (([2, 1],), ([],))
    assert material.written == ((0, [1, 2]), (1, [1])) and material.has_written
    assert material.written_passed == (frozenset({0}), frozenset(), frozenset())


def test_an_example_is_passed_by_the_problems_own_checker(
    tmp_path: Path, verifier: Verifier
) -> None:
    register_checker("same_items", lambda _args, value, expected: sorted(value) == sorted(expected))
    turned = "def f(xs): return sorted(xs)[::-1]"
    for checker, passed in (("same_items", 1), (None, 0)):
        asked = replace(PROBLEM, checker=checker)
        row = Executions(tmp_path / "e.jsonl", verifier).public([(asked, turned)])
        assert row["p", name_of(turned)]["passed"] == passed
