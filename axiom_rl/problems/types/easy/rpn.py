"""rpn: the value of an expression in postfix notation, given as a list of tokens.

Problems differ in operators, signs, sizes, wording and name.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from axiom_rl.problems.base import Args, Level, ProblemType, Task, levels

OPENINGS = (
    "The list tokens is an expression in reverse Polish notation. Return its value.",
    "Evaluate the postfix expression whose tokens are the strings of a list; return its value.",
    "Return what the reverse Polish expression in the list of strings tokens comes to.",
    "Compute the value of an expression in postfix notation, given as the list tokens.",
)
NAMES = ("rpn", "evaluate_rpn", "postfix", "eval_postfix", "polish", "compute_rpn", "run_tokens")

PLUS, MINUS, TIMES, OVER = "+-*/"

LEVELS = levels(
    operators=(
        ((PLUS, MINUS),),
        ((PLUS, MINUS), (MINUS, TIMES)),
        ((PLUS, MINUS, TIMES), (MINUS, TIMES)),
        ((PLUS, MINUS, TIMES), (MINUS, TIMES)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, OVER), (MINUS, TIMES, OVER)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, OVER), (PLUS, MINUS, OVER)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, TIMES, OVER), (PLUS, MINUS, OVER)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, TIMES, OVER)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, TIMES, OVER)),
        ((PLUS, MINUS, TIMES, OVER), (MINUS, TIMES, OVER)),
    ),
    numbers=(3, 4, 4, 5, 5, 6, 8, 10, 12, 16),
    largest=(60, 60, 60, 60, 80, 99, 120, 200, 500, 999),
    negative=(False, False, False, True, False, True, True, True, True, True),
)

LARGEST_VALUE = 10**12
"""Of any intermediate result, so that `int(a / b)` in floating point is exact enough."""
LARGEST_FACTOR = 12


def draw_task(rng: Random, level: Level) -> Task:
    """Choose operators, wording and name."""
    operators = rng.choice(level["operators"])
    numbers = "integers, which may be negative" if level["negative"] else "non-negative integers"
    rules = [
        rng.choice(OPENINGS),
        f"Tokens are strings: {numbers}, and the operators {' '.join(operators)}, each applied "
        "to the two values before it in their order (a b - is a - b).",
    ]
    if OVER in operators:
        rules.append("/ divides and drops the fraction (-7 / 2 is -3); nothing is divided by zero.")
    statement, name = " ".join(rules), rng.choice(NAMES)
    return Task(
        statement=statement,
        entry_point=name,
        signature="(tokens)",
        level=level,
        parameters={"operators": operators},
        identity=f"{name} {statement}",
    )


def _random(rng: Random, task: Task) -> Args:
    count = rng.randint(2, task.level["numbers"])
    return _defined(lambda: (_expression(rng, task, count),))


def _ordered(rng: Random, task: Task) -> Args:
    """A short difference or quotient: operands in the wrong order show."""
    operator = rng.choice([o for o in task.parameters["operators"] if o in (MINUS, OVER)])
    return _defined(lambda: ([_number(rng, task), _number(rng, task), operator],))


def _deep(rng: Random, task: Task) -> Args:
    """All numbers first: the stack grows as far as it can."""
    count = rng.randint(3, task.level["numbers"])

    def draw() -> Args:
        numbers = [_number(rng, task) for _ in range(count)]
        operators = [rng.choice(task.parameters["operators"]) for _ in numbers[2:]]
        return ([*numbers, MINUS, *operators],)

    return _defined(draw)


def _below_zero(rng: Random, task: Task) -> Args:
    """A value below zero; a quotient that is not whole, where the task has division."""
    small, divisor = rng.randint(0, task.level["largest"]), rng.randint(2, LARGEST_FACTOR)
    large = small + divisor * rng.randint(0, 9) + rng.randint(1, divisor - 1)
    if OVER not in task.parameters["operators"]:
        return ([str(small), str(large), MINUS],)
    return ([str(small), str(large), MINUS, str(divisor), OVER],)


def _short(rng: Random, task: Task) -> Args:
    """Three numbers: good to show in a prompt."""
    return _defined(lambda: (_expression(rng, task, 3),))


def _expression(rng: Random, task: Task, count: int) -> list[str]:
    """Return the tokens of an expression of `count` numbers, split at random places."""
    if count == 1:
        return [_number(rng, task)]
    left = rng.randint(1, count - 1)
    operator = rng.choice(task.parameters["operators"])
    right_tokens = _expression(rng, task, count - left)
    if operator in (TIMES, OVER) and len(right_tokens) == 1:
        right_tokens = [str(rng.randint(1, LARGEST_FACTOR))]
    return [*_expression(rng, task, left), *right_tokens, operator]


def _number(rng: Random, task: Task) -> str:
    number = int(rng.random() * (task.level["largest"] + 1))
    return str(-number if task.level["negative"] and rng.random() < 0.3 else number)


def _defined(draw: Callable[[], Args]) -> Args:
    """Draw until nothing is divided by zero and no value is huge."""
    while True:
        args = draw()
        try:
            oracle(*args)
        except (ZeroDivisionError, OverflowError):
            continue
        return args


def oracle(tokens: list[str], **_parameters: Any) -> int:
    """Push numbers and replace the top two by each operator's result, in integers alone."""
    stack: list[int] = []
    for token in tokens:
        if token not in (PLUS, MINUS, TIMES, OVER):
            stack.append(int(token))
            continue
        right, left = stack.pop(), stack.pop()
        stack.append(_apply(token, left, right))
    (value,) = stack
    return value


def _apply(operator: str, left: int, right: int) -> int:
    match operator:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case _:
            value = abs(left) // abs(right)
            value = -value if (left < 0) != (right < 0) else value
    if abs(value) > LARGEST_VALUE:
        raise OverflowError("larger than any test's values")
    return value


TYPE = ProblemType(
    name="rpn",
    family="easy",
    title="Reverse Polish notation",
    difficulty=(
        "More and larger numbers, then multiplication (from 2), negative numbers (4, and from 6) "
        "and division (from 5)."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(_ordered, _short),
    edge_cases=((["7"],), (["120"],), (["0"],)),
    inputs=(_random, _ordered, _deep, _below_zero, _random),
    tests=12,
)
