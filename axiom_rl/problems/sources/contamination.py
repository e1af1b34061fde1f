"""Do training problems ask what a benchmark asks? Three signs, each reported with its name.

Problems of other benchmarks and of the user's own have no oracle: for them the sign is *text*, or
*same task* where both have one id.

- text: the statements share eight words in a row, as in the decontamination of GPT-3 (Brown et al.
  2020, arXiv 2005.14165, appendix C, with 13 words there).
- program: the type's oracle and the benchmark's reference solution have nearly the same syntax tree
  once names, constants, annotations and docstrings are taken out.
- behaviour: the type's oracle passes all tests of the benchmark's task, on arguments of the shape
  and size that the problem's own tests have.

A benchmark score that follows training on such problems leaves these tasks out.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.generate import task_of
from axiom_rl.problems.registry import get_type, is_registered
from axiom_rl.problems.sources.assertions import TestCode, needs_code
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.problems.sources.jsonl import Loaded, parse_row, read_lines

WORDS = 8
SIMILAR = 0.9
"""Share of equal syntax nodes from which two programs count as the same."""
SMALLEST_PROGRAM = 30
"""Syntax nodes; shorter programs are alike by chance."""


@dataclass(frozen=True, slots=True, order=True)
class Overlap:
    """A type whose problems ask what a task of a benchmark asks."""

    type: str
    """Or the id of a problem that no type made."""
    benchmark_id: str
    sign: str
    """text, program, behaviour or same task."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a problem's arguments are like: their kinds, and the largest in each place."""

    kinds: frozenset[tuple[str, ...]]
    largest: tuple[int, ...]

    def cover(self, other: _Inputs) -> bool:
        """Tell whether all of the other's arguments are of these kinds, and none is larger.

        Oracles are for the inputs of their type: on other sizes they could run for hours.
        """
        return other.kinds <= self.kinds and all(
            size <= most for size, most in zip(other.largest, self.largest, strict=True)
        )


def find_overlaps(problems: Iterable[Problem], benchmark: Loaded) -> tuple[Overlap, ...]:
    """Compare each different task among the problems with each task of the benchmark."""
    different = {(_name(problem), problem.statement): problem for problem in problems}
    tasks = [(task, _inputs(task)) for task in benchmark.problems]
    found = set()
    with TestCode() as code:
        for (name, _statement), problem in different.items():
            own = _inputs(problem) if is_registered(problem.type) else None
            for task, inputs in tasks:
                signs = {
                    "same task": problem.id == task.id,
                    "text": bool(_phrases(problem.statement) & _phrases(task.statement)),
                }
                if own is not None:
                    solution = benchmark.solutions[task.id]
                    signs["program"] = _same_program(problem.type, solution, task.entry_point)
                    signs["behaviour"] = own.cover(inputs) and _same_behaviour(problem, task, code)
                found |= {Overlap(name, task.id, sign) for sign, shown in signs.items() if shown}
    return tuple(sorted(found))


def overlapping_tasks(overlaps: Iterable[Overlap]) -> dict[str, str]:
    """Return the benchmark's tasks that overlap, by id, with what they overlap with."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for overlap in overlaps:
        signs = reasons.setdefault(overlap.benchmark_id, {}).setdefault(overlap.type, [])
        signs.append(overlap.sign)
    return {
        task: "trained on "
        + ", ".join(f"{name} (same {' and '.join(signs)})" for name, signs in found.items())
        for task, found in reasons.items()
    }


def load_benchmarks(files: list[str]) -> list[Loaded]:
    """Load the benchmarks to compare with.

    Args:
        files: JSONL files in the form of HumanEval or MBPP; none means both benchmarks, from
            installed packages and the hub.

    Raises:
        AxiomError: if one cannot be read.
    """
    if not files:
        return [load_benchmark("humaneval"), load_benchmark("mbpp")]
    return [load_benchmark(_form(file), file) for file in files]


def describe_overlaps(overlaps: Iterable[Overlap], compared: int) -> str:
    """Return the overlaps as lines, one per type and task."""
    signs: dict[tuple[str, str], list[str]] = {}
    for overlap in overlaps:
        signs.setdefault((overlap.type, overlap.benchmark_id), []).append(overlap.sign)
    lines = [f"  {name:22} {task:16} {', '.join(found)}" for (name, task), found in signs.items()]
    return "\n".join([f"{len(lines)} overlaps with {compared} benchmark tasks:", *lines])


def _name(problem: Problem) -> str:
    return problem.type if is_registered(problem.type) else problem.id


@lru_cache(maxsize=8192)
def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return frozenset(tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))


@lru_cache(maxsize=65536)
def _same_program(type_name: str, solution: str, entry_point: str) -> bool:
    source = textwrap.dedent(inspect.getsource(get_type(type_name).oracle))
    ours, theirs = _shape(source, "oracle"), _shape(solution, entry_point)
    if min(len(ours), len(theirs)) < SMALLEST_PROGRAM:
        return False
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return matcher.real_quick_ratio() >= SIMILAR and matcher.ratio() >= SIMILAR


@lru_cache(maxsize=8192)
def _shape(source: str, name: str) -> tuple[str, ...]:
    """Return the kinds of a function's syntax nodes, in order, without its docstring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MBPP has odd escapes in strings
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            return tuple(type(part).__name__ for stmt in body for part in ast.walk(stmt))
    return ()


def _same_behaviour(problem: Problem, task: Problem, code: TestCode) -> bool:
    """Tell whether the type's oracle passes all tests of the task."""
    parameters = task_of(problem).parameters
    tests = task.hidden_tests
    decided = needs_code(task, tests)
    values: dict[int, Any] = {}
    for number, test in enumerate(tests):
        try:
            values[number] = get_type(problem.type).oracle(*copy.deepcopy(test.args), **parameters)
        except (TypeError, ValueError, ArithmeticError, LookupError, SyntaxError, NameError):
            return False  # arguments of another meaning
        if not decided and not _agrees(values[number], test):
            return False
    return not decided or all(code.replay(tests, values))


def _agrees(value: Any, test: TestCase) -> bool:
    same_kind = isinstance(value, bool) == isinstance(test.expected, bool)
    return same_kind and bool(value == test.expected)


def _inputs(problem: Problem) -> _Inputs:
    tests = problem.hidden_tests
    kinds = frozenset(tuple(map(_kind, test.args)) for test in tests)
    sizes = zip(*(map(_size, test.args) for test in tests), strict=False)
    return _Inputs(kinds, tuple(map(max, sizes)))


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"list of {' '.join(sorted({_kind(item) for item in value}))}"
    return type(value).__name__


def _size(value: Any) -> int:
    """Return the length of a list or text, and the absolute value of a number."""
    match value:
        case list() | tuple() | str():
            return len(value)
        case int() | float():
            return int(abs(value))
        case _:
            return 0


def _form(file: str) -> str:
    """Tell whose form a file has, by its first row: MBPP's, or HumanEval's."""
    try:
        lines = read_lines(file)
    except AxiomError as error:
        raise AxiomError(str(error).replace("problems.path=", "problems.check_files: ")) from error
    for line in lines:
        row = parse_row(line) if line.strip() else None
        if isinstance(row, dict):
            is_mbpp = "test_list" in row or "text" in row
            is_mbpp |= str(row.get("task_id")).lower().startswith("mbpp/")
            return "mbpp" if is_mbpp else "humaneval"
    return "humaneval"


class AnswerCheck:
    """Answers of a teacher compared with the tasks of benchmarks, by text and by program."""

    def __init__(self, benchmarks: Iterable[Loaded]) -> None:
        """Take the tasks to compare with."""
        loaded = list(benchmarks)
        self._phrases: dict[tuple[str, ...], str] = {}
        """Where a phrase occurs in several tasks, the last."""
        self._shapes: list[tuple[str, tuple[str, ...]]] = []
        for benchmark in loaded:
            for task in benchmark.problems:
                self._phrases |= dict.fromkeys(_phrases(task.statement), task.id)
                shape = _shape(benchmark.solutions[task.id], task.entry_point)
                if len(shape) >= SMALLEST_PROGRAM:
                    self._shapes.append((task.id, shape))

    def overlap(self, answer: str, code: str, problem: Problem) -> str:
        """Return which task an answer repeats and by which sign; '' if none.

        Args:
            answer: the whole text, reasoning included.
            code: the program in it, which parses.
            problem: whose own statement an answer may repeat.
        """
        for phrase in sorted(_phrases(answer) - _phrases(problem.statement)):
            if phrase in self._phrases:
                return f"{self._phrases[phrase]} (same text)"
        own = _shape(code, problem.entry_point)
        for task, shape in self._shapes if len(own) >= SMALLEST_PROGRAM else ():
            matcher = SequenceMatcher(None, own, shape, autojunk=False)
            quick = min(matcher.real_quick_ratio(), matcher.quick_ratio())
            if quick >= SIMILAR and matcher.ratio() >= SIMILAR:
                return f"{task} (same program)"
        return ""
