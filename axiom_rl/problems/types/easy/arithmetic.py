"""arithmetic: the value of an expression in a string, by the usual rules.

Problems differ in operators, parentheses, signs, spacing, sizes, wording and name.
"""

from __future__ import annotations

from random import Random
from typing import Any

from axiom_rl.problems.base import Args, Level, ProblemType, Task, levels

OPENINGS = (
    "Return the value of the arithmetic expression in the string expression, as an integer.",
    "The string expression holds an arithmetic expression. Compute it and return the integer.",
    "Evaluate the arithmetic expression given as the string expression; return an integer.",
    "Work out what the arithmetic expression in the string expression comes to (an integer).",
)
NAMES = (
    "evaluate",
    "calculate",
    "arithmetic",
    "compute_value",
    "expression_value",
    "calc",
    "work_out",
    "solve_expression",
)
SPACING = {
    "one": "Operators have one space on each side.",
    "none": "There are no spaces.",
    "any": "There may be any number of spaces between its parts.",
}

LEVELS = levels(
    operators=(
        (("+", "-"),),
        (("+", "-"), ("+", "*"), ("-", "*")),
        (("+", "-", "*"), ("-", "*"), ("+", "*")),
        (("+", "-", "*"), ("+", "-"), ("-", "*")),
        (("+", "-", "*", "//"), ("+", "//"), ("-", "//"), ("-", "*", "//")),
        (("+", "-", "*", "//"), ("+", "-", "//"), ("-", "*", "//")),
        (("+", "-", "*", "//"), ("+", "-", "//"), ("-", "*", "//")),
        (("+", "-", "*", "//"),),
        (("+", "-", "*", "//"),),
        (("+", "-", "*", "//"),),
    ),
    numbers=(3, 4, 5, 5, 6, 6, 6, 7, 8, 9),
    largest=(60, 60, 99, 99, 99, 200, 200, 500, 500, 999),
    depth=(0, 0, 0, 1, 1, 2, 2, 3, 4, 5),
    negative=(False, False, False, False, False, False, True, True, True, True),
    spacing=(
        ("one",),
        ("one", "none"),
        ("one", "none"),
        ("one", "none"),
        ("one", "none"),
        ("one", "none", "any"),
        ("one", "none", "any"),
        ("none", "any"),
        ("none", "any"),
        ("any",),
    ),
)

CHARACTERS = frozenset("0123456789+-*/() ")
RANKS = {"+": 1, "-": 1, "*": 2, "//": 2}
LARGEST_FACTOR = 12
"""Of a number after `*` or `//`, so that values stay exact in floating point, too."""


def draw_task(rng: Random, level: Level) -> Task:
    """Choose operators, spacing, wording and name."""
    operators = rng.choice(level["operators"])
    spacing = rng.choice(level["spacing"])
    statement = " ".join([rng.choice(OPENINGS), *_rules(operators, level, spacing)])
    name = rng.choice(NAMES)
    return Task(
        statement=statement,
        entry_point=name,
        signature="(expression)",
        level=level,
        parameters={"operators": operators, "spacing": spacing},
        identity=f"{name} {statement}",
    )


def _rules(operators: tuple[str, ...], level: Level, spacing: str) -> list[str]:
    numbers = "non-negative integers"
    parts = ", ".join(operators) + (" and parentheses" if level["depth"] else "")
    rules = [f"It consists of {numbers} and {parts}."]
    high = [operator for operator in operators if RANKS[operator] == 2]
    low = [operator for operator in operators if RANKS[operator] == 1]
    if high and low:
        verb = "bind" if len(high) > 1 else "binds"
        rules.append(f"{' and '.join(high)} {verb} tighter than {' and '.join(low)};")
    rules.append("operators of the same rank are applied from left to right.")
    if not (high and low):
        rules[-1] = rules[-1].capitalize()
    if "//" in operators:
        rules.append("// divides and rounds down; nothing is divided by zero.")
    if level["negative"]:
        rules.append("The expression, or a parenthesis, may start with a minus sign, as in -3 + 5.")
    return [*rules, SPACING[spacing]]


def _random(rng: Random, task: Task) -> Args:
    count = rng.randint(2, task.level["numbers"])
    return _write(_chain(rng, task, count, task.level["depth"]), rng, task)


def _one_rank(rng: Random, task: Task) -> Args:
    """A chain such as a - b + c or a // b * c, which is wrong from right to left."""
    operators = task.parameters["operators"]
    first = rng.choice([o for o in ("-", "//") if o in operators] or operators)
    others = [o for o in operators if RANKS[o] == RANKS[first]]
    tokens = [_number(rng, task, ""), first, _number(rng, task, first)]
    for _ in range(rng.randint(1, task.level["numbers"] - 2)):
        operator = rng.choice(others)
        tokens += [operator, _number(rng, task, operator)]
    return _write(tokens, rng, task)


def _both_ranks(rng: Random, task: Task) -> Args:
    """A chain like a - b * c, which is wrong without precedence."""
    low = [o for o in task.parameters["operators"] if RANKS[o] == 1]
    high = [o for o in task.parameters["operators"] if RANKS[o] == 2]
    tokens = [_number(rng, task, "")]
    for choice in (low or high, high or low):
        operator = rng.choice(choice)
        tokens += [operator, _number(rng, task, operator)]
    return _write(tokens, rng, task)


def _grouped(rng: Random, task: Task) -> Args:
    """A parenthesis that changes the value, where the level has them."""
    operators = task.parameters["operators"]
    if not task.level["depth"]:
        return _random(rng, task)
    first, second = _number(rng, task, ""), _number(rng, task, "")
    if "-" in operators:
        operator = rng.choice([o for o in operators if RANKS[o] == 1])
        tokens = [first, "-", "(", second, operator, _number(rng, task, ""), ")"]
    else:
        operator = rng.choice([o for o in operators if RANKS[o] == 2])
        tokens = ["(", first, "+", second, ")", operator, _number(rng, task, operator)]
    return _write(tokens, rng, task)


def _below_zero(rng: Random, task: Task) -> Args:
    """A negative value; and a quotient that is not whole, where the level can write that."""
    if "-" not in task.parameters["operators"]:
        return _random(rng, task)
    divisor = rng.randint(2, LARGEST_FACTOR)
    small = rng.randint(0, task.level["largest"] // 2)
    large = small + divisor * rng.randint(0, 9) + rng.randint(1, divisor - 1)
    tokens = [str(small), "-", str(large)]
    if "//" in task.parameters["operators"] and task.level["depth"]:
        tokens = ["(", *tokens, ")", "//", str(divisor)]
    return _write(tokens, rng, task)


def _chain(rng: Random, task: Task, count: int, depth: int) -> list[str]:
    """Return the tokens of `count` parts in a row; some are chains in parentheses themselves.

    Divisors are numbers, never parentheses, so that none is zero.
    """
    operators, operator = task.parameters["operators"], ""
    tokens = ["-"] if task.level["negative"] and rng.random() < 0.2 else []
    for part in range(count):
        if part:
            operator = operators[int(rng.random() * len(operators))]
            tokens.append(operator)
        if depth and operator != "//" and rng.random() < 0.3:
            tokens += ["(", *_chain(rng, task, rng.randint(2, 3), depth - 1), ")"]
        else:
            tokens.append(_number(rng, task, operator))
    return tokens


def _number(rng: Random, task: Task, operator: str) -> str:
    """Return a number to stand after `operator`; never 0 after `//`."""
    if operator == "//":
        return str(1 + int(rng.random() * LARGEST_FACTOR))
    largest = LARGEST_FACTOR if operator == "*" else task.level["largest"]
    return str(int(rng.random() * (largest + 1)))


def _write(tokens: list[str], rng: Random, task: Task) -> Args:
    match task.parameters["spacing"]:
        case "one":
            spaced = [f" {token} " if token in RANKS else token for token in tokens]
            return ("".join(spaced).replace("( - ", "(-").strip(),)
        case "none":
            return ("".join(tokens),)
        case _:
            spaced = [token + " " * rng.choice((0, 0, 1, 2)) for token in tokens]
            return ("".join(spaced).rstrip(),)


def _short(rng: Random, task: Task) -> Args:
    """Three parts, with a parenthesis where the level has them: good to show in a prompt."""
    return _write(_chain(rng, task, 3, min(1, task.level["depth"])), rng, task)


def _in_parentheses(task: Task) -> Args:
    return ("(8)",) if task.level["depth"] else ("8",)


def oracle(expression: str, **_parameters: Any) -> int:
    """Ask Python itself, whose rules these are.

    Raises:
        ValueError: for a text that is no expression of this type.
    """
    if not CHARACTERS.issuperset(expression) or "**" in expression:
        raise ValueError("not an arithmetic expression of + - * // and parentheses")
    return int(eval(expression))


TYPE = ProblemType(
    name="arithmetic",
    family="easy",
    title="Arithmetic",
    difficulty=(
        "More and larger numbers, then multiplication, parentheses (from 4), floor division "
        "(from 5), nesting and irregular spaces (from 6) and leading minus signs (from 7)."
    ),
    levels=LEVELS,
    draw_task=draw_task,
    oracle=oracle,
    examples=(_short, _both_ranks),
    edge_cases=(("7",), ("120",), _in_parentheses),
    inputs=(_random, _one_rank, _both_ranks, _below_zero, _grouped),
    tests=14,
)
