"""Running a pool's programs for a search: on the public tests, then the survivors on inputs.

What came of it is stored beside the pool, one row per program and list of inputs, so that nothing
runs twice: not for another selector, another budget, another day. Equal programs run once.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from operator import add
from pathlib import Path
from typing import Any

from axiom_rl.core.codec import decode, encode
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.core.types import Status, Verdict
from axiom_rl.search.inputs import input_text, mutated_inputs
from axiom_rl.search.material import Answer, Material, Sampled
from axiom_rl.search.public import PublicProblem, as_problem
from axiom_rl.verify import Verifier
from axiom_rl.verify.outputs import Output, ProgramRun

SCHEMA = 1
FILE = Path("search") / "executions.jsonl"
TOGETHER = 64
"""Programs between two writes: what is lost at most when the machine goes off."""
LONGEST_VALUE = 2000
"""Characters of a value's text that are stored; of a longer one its hash is."""
LONGEST_SHOWN = 120
NOTHING: Mapping[str, Any] = {"passed": 0}
"""Of a problem without public tests, and of a sample without a program."""
UNSTABLE = "another value when called again"

Limits = tuple[float, ...]
"""Under which a program ran: CPU seconds, MB of memory, KB of output and of results."""
COLUMNS = ("problem_id", "program", "inputs", "limits")
Key = tuple[str, str, str, Limits]
"""Problem, program, inputs and limits; older rows have no limits and stand for any."""

Written = Mapping[str, Sequence[tuple[tuple[Any, ...], Any]]]
"""By problem id, tests that the model wrote: arguments and the value it expects."""


@dataclass(frozen=True, slots=True)
class InputList:
    """Inputs of one problem, with a short hash that names them."""

    name: str
    inputs: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What was run for a search."""

    programs: int = 0
    """Different programs run now, the public tests and each list of inputs counted apart."""
    stored: int = 0
    """Found on disk."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of all of them, those found on disk included."""
    public_cpu_s: float = 0.0
    """The part of it that the public tests took."""

    def __add__(self, other: Work) -> Work:
        return Work(*map(add, astuple(self), astuple(other)))


class Executions:
    """The file of executions: looked up first, appended to as programs end."""

    def __init__(self, path: Path, verifier: Verifier) -> None:
        """Read what there is."""
        self._path = path
        self._verifier = verifier
        rows = read_jsonl(path) if path.exists() else ()
        self._rows = {_key(row): row for row in rows if row.get("schema") == SCHEMA}
        self.work = Work()

    def public(
        self, wanted: Iterable[tuple[PublicProblem, str]]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Judge programs by the public tests of their problems.

        Returns:
            By problem id and `name_of` the program: `passed` tests, their positions (`passes`,
            which older rows lack), `status`, and of the first test that failed its position
            (`failed`) and what went wrong (`detail`).
        """
        wanted = [item for item in wanted if item[0].public_tests]
        tests = {problem.id: _tests_name(problem) for problem, _code in wanted}
        keys = [(p.id, name_of(code), tests[p.id], self._limits(p)) for p, code in wanted]
        new = self._new(keys)
        problems = {problem.id: as_problem(problem) for problem, _code in wanted}
        for part in _parts(new):
            started = time.monotonic()
            verdicts = self._verifier.verify(
                [(problems[wanted[n][0].id], wanted[n][1]) for n in part]
            )
            rows = [_public_row(verdict) for verdict in verdicts]
            self._store([keys[n] for n in part], rows, time.monotonic() - started)
        return {key[:2]: self._row(key) for key in keys}

    def outputs(
        self, wanted: Sequence[tuple[PublicProblem, str, InputList]]
    ) -> list[tuple[Answer, ...]]:
        """Return what each program returns on its inputs, each called twice.

        Raises:
            AxiomError: for a problem without inputs.
        """
        keys = [(p.id, name_of(code), given.name, self._limits(p)) for p, code, given in wanted]
        for part in _parts(self._new(keys)):
            started = time.monotonic()
            asked = [wanted[n] for n in part]
            runs = self._verifier.run((p, code, given.inputs * 2) for p, code, given in asked)
            rows = [
                {
                    "answers": _answer_rows(run, problem),
                    "cpu_s": run.cpu_s,
                    "status": str(run.status),
                }
                for run, (problem, _code, _given) in zip(runs, asked, strict=True)
            ]
            self._store([keys[n] for n in part], rows, time.monotonic() - started)
        return [tuple(map(_answer, self._row(key)["answers"])) for key in keys]

    def _limits(self, problem: PublicProblem) -> Limits:
        """Return what a program of a problem runs under: with other limits it may end otherwise."""
        of = self._verifier.config
        cpu = of.time_limit_s if problem.time_limit_s is None else problem.time_limit_s
        memory = of.memory_mb if problem.memory_limit_mb is None else problem.memory_limit_mb
        return float(cpu), memory, of.output_kb, of.result_kb

    def _has(self, key: Key) -> bool:
        return key in self._rows or (*key[:3], ()) in self._rows

    def _row(self, key: Key) -> dict[str, Any]:
        return self._rows[key if key in self._rows else (*key[:3], ())]

    def _new(self, keys: Sequence[Key]) -> list[int]:
        """Return where the keys stand that no row has, each once, and count those that one has."""
        first: dict[Key, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        stored = [key for key in first if self._has(key)]
        self.work += Work(stored=len(stored)) + _cpu_of([self._row(key) for key in stored])
        return [place for key, place in first.items() if not self._has(key)]

    def _store(self, keys: Sequence[Key], rows: Sequence[dict[str, Any]], seconds: float) -> None:
        whole = [
            {"schema": SCHEMA} | dict(zip(COLUMNS, key, strict=True)) | row
            for key, row in zip(keys, rows, strict=True)
        ]
        # A fault of the sandbox says nothing of the program: another day it is run again.
        append_jsonl(self._path, [row for row in whole if row["status"] != Status.SANDBOX_FAULT])
        self._rows |= {_key(row): row for row in whole}
        self.work += Work(programs=len(rows), seconds=seconds) + _cpu_of(whole)


def gather(
    executions: Executions,
    problems: Sequence[PublicProblem],
    samples: Mapping[str, Sequence[Sampled]],
    *,
    inputs: int,
    time_limit_s: float,
    seed: int,
    written: Written | None = None,
) -> dict[str, Material]:
    """Return the material of every problem, running what was not run before.

    Args:
        executions: where results are looked up and stored.
        problems: the public sides.
        samples: of each problem, by its id.
        inputs: mutated inputs per problem at most; 0 for none.
        time_limit_s: CPU seconds of one program for all inputs, called twice.
        seed: of the mutation.
        written: tests written by the model, None where it was not asked.
    """
    codes = {
        problem.id: dict.fromkeys(s.code for s in samples[problem.id] if s.code is not None)
        for problem in problems
    }
    passed = executions.public(
        (problem, code) for problem in problems for code in codes[problem.id]
    )
    materials = {
        problem.id: Material(
            problem=problem,
            samples=tuple(samples[problem.id]),
            public_passed=tuple(
                int(passed.get((problem.id, name_of(sample.code or "")), NOTHING)["passed"])
                for sample in samples[problem.id]
            ),
        )
        for problem in problems
    }
    lists = {
        problem.id: (
            _input_list(mutated_inputs(problem, inputs, seed)),
            _input_list(_new_inputs(problem, (written or {}).get(problem.id, ()))),
        )
        for problem in problems
    }
    asked = list(_asked(materials.values(), lists, time_limit_s))
    keys: list[tuple[str, str | None, str]] = [(p.id, code, g.name) for p, code, g in asked]
    answers = dict(zip(keys, executions.outputs(asked), strict=True))
    return {
        key: _with_answers(material, lists[key], answers, None if written is None else written[key])
        for key, material in materials.items()
    }


Lists = Mapping[str, tuple[InputList, ...]]
"""Mutated inputs and those of written tests, by problem id."""


def _asked(
    materials: Iterable[Material], lists: Lists, time_limit_s: float
) -> Iterator[tuple[PublicProblem, str, InputList]]:
    """Yield every different survivor with each list of inputs that is not empty."""
    for material in materials:
        problem = material.problem
        limit = min(time_limit_s, problem.time_limit_s or time_limit_s)
        limited = replace(problem, time_limit_s=limit)
        survivors = dict.fromkeys(material.samples[place].code for place in material.survivors)
        for code in survivors:
            for given in lists[problem.id]:
                if given.inputs and code is not None:
                    yield limited, code, given


def _with_answers(
    material: Material,
    lists: tuple[InputList, ...],
    answers: Mapping[tuple[str, str | None, str], tuple[Answer, ...]],
    written: Sequence[tuple[tuple[Any, ...], Any]] | None,
) -> Material:
    inputs = tuple(args for given in lists for args in given.inputs)
    place_of = {input_text(args): place for place, args in enumerate(inputs)}
    survivors = set(material.survivors)
    key = material.problem.id
    rows = tuple(
        tuple(a for given in lists if given.inputs for a in answers[key, sample.code, given.name])
        if place in survivors
        else None
        for place, sample in enumerate(material.samples)
    )
    tests = {
        (place_of[input_text(args)], json.dumps(encode(expected))): expected
        for args, expected in written or ()
        if input_text(args) in place_of  # a public test's arguments take no part
    }
    return replace(
        material,
        inputs=inputs,
        answers=rows,
        written=tuple((place, expected) for (place, _text), expected in tests.items()),
        has_written=written is not None,
    )


def _input_list(inputs: tuple[tuple[Any, ...], ...]) -> InputList:
    return InputList(_digest([input_text(args) for args in inputs]), inputs)


def _new_inputs(
    problem: PublicProblem, written: Sequence[tuple[tuple[Any, ...], Any]]
) -> tuple[tuple[Any, ...], ...]:
    """Return the different arguments of written tests that no public test has."""
    public = {input_text(test.args) for test in problem.public_tests}
    different = {input_text(args): args for args, _expected in written}
    return tuple(args for key, args in different.items() if key not in public)


def _cpu_of(rows: Sequence[Mapping[str, Any]]) -> Work:
    return Work(
        cpu_s=sum(row["cpu_s"] for row in rows),
        public_cpu_s=sum(row["cpu_s"] for row in rows if "passed" in row),
    )


def _parts(places: Sequence[int]) -> Iterator[Sequence[int]]:
    return (places[start : start + TOGETHER] for start in range(0, len(places), TOGETHER))


def name_of(code: str) -> str:
    """Return a short hash that names a program."""
    return _digest(code)


def _tests_name(problem: PublicProblem) -> str:
    tests = [[encode(test.args), encode(test.expected)] for test in problem.public_tests]
    return "public " + _digest([problem.checker, tests] if problem.checker else tests)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _key(row: Mapping[str, Any]) -> Key:
    return row["problem_id"], row["program"], row["inputs"], tuple(row.get("limits", ()))


def _public_row(verdict: Verdict) -> dict[str, Any]:
    return {
        "passed": verdict.passed_tests,
        "passes": [case.index for case in verdict.cases if case.passed],
        "status": str(verdict.status),
        "failed": next((case.index for case in verdict.cases if not case.passed), None),
        "detail": verdict.detail,
        "cpu_s": verdict.cpu_s,
    }


def _answer_rows(run: ProgramRun, problem: PublicProblem) -> list[list[Any]]:
    """Return what is stored of a run in which every input was given twice."""
    half = len(run.outputs) // 2
    return [
        _answer_row(first, again, problem)
        for first, again in zip(run.outputs[:half], run.outputs[half:], strict=True)
    ]


def _answer_row(first: Output, again: Output, problem: PublicProblem) -> list[Any]:
    if not first.returned:
        return ["e", f"{first.status}: {first.detail}"[:LONGEST_SHOWN]]
    ended = again.status in (Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT)
    same = again.returned and problem.match(first.value, again.value)
    if not same and not ended:  # a limit that ends the second round says nothing of the first
        return ["e", UNSTABLE]
    tree = encode(first.value)
    text = json.dumps(_canonical(tree, problem.from_json))
    if len(text) <= LONGEST_VALUE:
        return ["v", tree]
    return ["h", hashlib.sha256(text.encode()).hexdigest(), shown(first.value)]


def _canonical(tree: Any, from_json: bool) -> Any:
    """Return what equal values share, of an encoded one: what has only a hash is compared by it.

    True, 1 and 1.0 are one number, sets are frozensets, dicts have no order, and floats keep six
    digits, about the tolerance of a comparison.
    """
    match tree:
        case bool():
            return int(tree)
        case float():
            near = tree if tree.is_integer() else float(f"{tree:.6g}")
            return int(near) if near.is_integer() else near
        case list():
            return [_canonical(item, from_json) for item in tree]
        case {"t": items}:
            return _canonical(items, from_json) if from_json else {"t": _canonical(items, False)}
        case {"d": items}:
            return {"d": sorted((_canonical(pair, from_json) for pair in items), key=json.dumps)}
        case {"s": items} | {"z": items}:
            return {"z": sorted((_canonical(item, from_json) for item in items), key=json.dumps)}
        case _:
            return tree


def _answer(row: Sequence[Any]) -> Answer:
    match row:
        case ["v", tree]:
            value = decode(tree)
            return Answer(returned=True, value=value, shown=shown(value))
        case ["h", str() as digest, str() as text]:
            return Answer(returned=True, value=digest, shown=text)
        case [_, str() as text]:
            return Answer(returned=False, shown=text)
        case _:
            raise AxiomError(f"a row of {FILE} is damaged ({row!r:.60}): delete the file")


def shown(value: Any) -> str:
    """Write a value of any size in a line."""
    try:
        return reprlib.repr(value)[:LONGEST_SHOWN]
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "an integer too long to write"
