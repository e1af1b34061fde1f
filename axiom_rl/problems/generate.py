"""Problems from types: pure functions of type, difficulty, split, seed and index.

Each input belongs, by a hash of its content, to one bucket: public examples, or the hidden or
fresh tests of one split. A test is drawn again until its input lies in the bucket it is for, so
no seed can bring a training input into an evaluation, and no list of used inputs is kept.
Edge cases (`ProblemType.edge_cases`) are exempt. Tasks are assigned to splits in the same way
where a level has many of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from random import Random

from axiom_rl.core.codec import encode
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.base import LEVEL_COUNT, Args, ProblemType, Task
from axiom_rl.problems.registry import get_type, is_registered, unknown_name

SPLITS = ("train", "val", "test")

INPUT_SHARES = (
    *["public"] * 4,
    *["train hidden"] * 10,
    *["train fresh"] * 6,
    *["val hidden"] * 3,
    *["val fresh"] * 3,
    *["test hidden"] * 3,
    *["test fresh"] * 3,
)
"""Thirty-two equal shares of all inputs; an input's hash picks one."""
TASK_SHARES = (*["train"] * 10, *["val"] * 3, *["test"] * 3)
"""The same for tasks."""

FRESH_TESTS = 20
"""Fresh tests at least, however few hidden tests a type has."""

MAX_DRAWS = 2000
"""Draws for one input or task before the type's space is called too small."""
FEW_DRAWS = 50
"""The same where the type says that its inputs are few."""


def make_problem(
    type_name: str, *, difficulty: int, split: str = "train", seed: int = 0, index: int = 0
) -> Problem:
    """Return the problem with these coordinates; the same in every process and Python version.

    Raises:
        AxiomError: for an unknown type or split, or a difficulty outside 1..10.
    """
    problem_type = get_type(type_name)
    if not 1 <= difficulty <= LEVEL_COUNT:
        raise AxiomError(f"difficulty {difficulty} of {type_name}: choose 1 to {LEVEL_COUNT}")
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    rng = Random(f"{split}/{type_name}/{difficulty}/{seed}/{index}")
    level = problem_type.levels[difficulty - 1]
    task = _draw_task(problem_type, rng, difficulty, split)
    public = _draw_examples(problem_type, task, rng)
    hidden = _draw_inputs(problem_type, task, rng, public, f"{split} hidden", problem_type.tests)
    return Problem(
        id=_id(type_name, difficulty, split, seed, index),
        type=type_name,
        difficulty=difficulty,
        split=split,
        title=problem_type.title,
        statement=task.statement,
        entry_point=task.entry_point,
        public_tests=_answer(problem_type, task, public),
        hidden_tests=_answer(problem_type, task, hidden),
        signature=task.signature,
        seed=seed,
        index=index,
        checker=None if problem_type.checker is None else type_name,
        time_limit_s=level.get("time_limit_s"),
        memory_limit_mb=level.get("memory_limit_mb"),
    )


def with_fresh_tests(problem: Problem, seed: int) -> Problem:
    """Return the problem with fresh tests, which no training run is ever rewarded for.

    They are at least `FRESH_TESTS`, edge cases included; different seeds give different tests.

    Raises:
        AxiomError: if the problem's type has no generator, or has changed since it was made.
    """
    problem_type = get_type(problem.type)
    task = task_of(problem)
    rng = Random(f"fresh/{_place(problem)}/{seed}")
    public = [test.args for test in problem.public_tests]
    count = max(FRESH_TESTS, problem_type.tests)
    fresh = _draw_inputs(problem_type, task, rng, public, f"{problem.split} fresh", count)
    return replace(problem, fresh_tests=_answer(problem_type, task, fresh))


def coordinates(problem: Problem) -> str:
    """Return the id that a procedural problem with these coordinates has."""
    return _id(problem.type, problem.difficulty, problem.split, problem.seed, problem.index)


def _id(type_name: str, difficulty: int, split: str, seed: int, index: int) -> str:
    return f"{type_name}/d{difficulty}/{split}/s{seed}/{index}"


def has_fresh_tests(problem: Problem) -> bool:
    """Tell whether `with_fresh_tests` can serve this problem: is its type procedural?"""
    return is_registered(problem.type)


def task_of(problem: Problem) -> Task:
    """Return the task that a procedural problem was made from.

    Raises:
        AxiomError: if the problem's type has no generator, or has changed since it was made.
    """
    problem_type = get_type(problem.type)
    task = _draw_task(problem_type, Random(_place(problem)), problem.difficulty, problem.split)
    if (task.statement, task.entry_point) != (problem.statement, problem.entry_point):
        raise AxiomError(
            f"problem {problem.id} was made by another version of its type; make it again with "
            "this version, or use the version that made it"
        )
    return task


def _place(problem: Problem) -> str:
    """Return what `make_problem` seeds a problem's random numbers with."""
    return f"{problem.split}/{problem.type}/{problem.difficulty}/{problem.seed}/{problem.index}"


def input_key(args: Args) -> str:
    """Return a text that is equal for equal inputs alone, in every process."""
    try:
        text = repr(args)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return json.dumps(encode(args))
    # Sets print in an order that depends on PYTHONHASHSEED; encode() sorts them.
    return json.dumps(encode(args)) if "{" in text else text


def input_bucket(key: str) -> str:
    """Return the bucket of the input with this key: one of `INPUT_SHARES`."""
    return INPUT_SHARES[_hash(key) % len(INPUT_SHARES)]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _draw_task(problem_type: ProblemType, rng: Random, difficulty: int, split: str) -> Task:
    for _ in range(MAX_DRAWS):
        task = problem_type.draw_task(rng, problem_type.levels[difficulty - 1])
        key = f"{problem_type.name}/{task.identity}"
        if not task.identity or TASK_SHARES[_hash(key) % len(TASK_SHARES)] == split:
            return task
    raise AxiomError(
        f"problem type {problem_type.name} has no task for {split} at difficulty {difficulty}: "
        "let its draw_task leave Task.identity empty there, or vary more"
    )


def _draw_examples(problem_type: ProblemType, task: Task, rng: Random) -> list[Args]:
    taken: set[str] = set()
    chosen = []
    for example in problem_type.examples:
        if callable(example):
            chosen.append(_draw_one(problem_type, example, task, rng, "public", taken))
        else:
            taken.add(input_key(example))
            chosen.append(example)
    return [args for args in chosen if args is not None]


def _draw_inputs(
    problem_type: ProblemType, task: Task, rng: Random, public: list[Args], bucket: str, count: int
) -> list[Args]:
    """Return edge cases, then at least one input of each kind, `count` or more in all."""
    taken = {input_key(args) for args in public}
    chosen = []
    for edge in problem_type.edge_cases:
        args = edge(task) if callable(edge) else edge
        key = input_key(args)
        if key not in taken:
            taken.add(key)
            chosen.append(args)
    if len(chosen) >= count:
        return chosen
    kinds = cycle(problem_type.inputs)
    for _ in range(max(count - len(chosen), len(problem_type.inputs))):
        drawn = _draw_one(problem_type, next(kinds), task, rng, bucket, taken)
        if drawn is not None:
            chosen.append(drawn)
    return chosen


def _draw_one(
    problem_type: ProblemType,
    draw: Callable[[Random, Task], Args],
    task: Task,
    rng: Random,
    bucket: str,
    taken: set[str],
) -> Args | None:
    """Draw an input of `bucket` that is not in `taken`, and enter it there.

    None only where the type says that its inputs are few, and they are used up.
    """
    shared = bool(problem_type.small_input_space)
    for _ in range(FEW_DRAWS if shared else MAX_DRAWS):
        args = draw(rng, task)
        key = input_key(args)
        if key not in taken and (shared or input_bucket(key) == bucket):
            taken.add(key)
            return args
    if shared:
        return None
    raise AxiomError(
        f"problem type {problem_type.name}: no new {bucket} input in {MAX_DRAWS} draws of "
        f"{getattr(draw, '__name__', draw)}; enlarge its input space or make these edge cases"
    )


def _answer(problem_type: ProblemType, task: Task, inputs: list[Args]) -> tuple[TestCase, ...]:
    return tuple(
        TestCase(args=args, expected=problem_type.oracle(*args, **task.parameters))
        for args in inputs
    )
