"""The easy family's deprecated first version: one fixed input per problem, named in the statement.

Kept for the experiment that shows the flaw, and not for training: a program that returns the one
answer as a constant earns full reward, so a model learns to compute answers in its head and write
them down, and hidden tests no longer say anything about the program. Fresh tests, which use other
inputs, tell: a hard-coded answer passes the hidden test and fails them.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from axiom_rl.core.codec import decode, encode
from axiom_rl.problems.base import Args, Draw, Level, ProblemType, Task
from axiom_rl.problems.types import easy


def with_one_input(problem_type: ProblemType) -> ProblemType:
    """Return the type `memorisable_<name>`, whose hidden tests are one input, told in advance."""
    first_kind = problem_type.inputs[0]

    def draw_task(rng: Random, level: Level) -> Task:
        task = problem_type.draw_task(rng, level)
        args = first_kind(rng, task)
        call = f"{task.entry_point}({', '.join(map(repr, args))})"
        return replace(
            task,
            statement=f"{task.statement} It will be called once: {call}.",
            parameters={**task.parameters, "the_input": args},
            identity=f"{task.identity} {call}",
        )

    def oracle(*args: Any, the_input: Args, **parameters: Any) -> Any:
        del the_input
        return problem_type.oracle(*args, **parameters)

    return replace(
        problem_type,
        name=f"memorisable_{problem_type.name}",
        family="memorisable",
        title=f"{problem_type.title} (one input)",
        draw_task=draw_task,
        oracle=oracle,
        examples=(),
        edge_cases=(_the_input,),
        inputs=tuple(map(_for_any_input, problem_type.inputs)),
        tests=1,
    )


def _for_any_input(draw: Draw) -> Draw:
    """Return the easy type's own draw, which does not know of the one input."""

    def draw_any(rng: Random, task: Task) -> Args:
        parameters = {key: task.parameters[key] for key in task.parameters if key != "the_input"}
        return draw(rng, replace(task, parameters=parameters))

    return draw_any


def _the_input(task: Task) -> Args:
    """Return a fresh copy: tests do not share values."""
    return tuple(decode(encode(list(task.parameters["the_input"]))))


TYPES = tuple(with_one_input(problem_type) for problem_type in easy.TYPES)
