"""The problem gallery of the manual is what the registry says.

`AXIOM_WRITE_TABLES=1 python -m pytest tests/problems/test_gallery.py` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from axiom_rl.core.types import Problem
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.prompts import show_call
from axiom_rl.problems.registry import get_type

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"
BEGIN = "<!-- types: begin -->\n"
LEVELS_SHOWN = (1, 5, 10)
LONGEST_EXAMPLE = 160
FAMILIES = {
    "basic": "Ten functions that every programmer has written; one task per type.",
    "easy": "Six types whose problems differ in what is asked, not only in numbers.",
    "hard": "Ten classic algorithms. Sizes at the upper levels rule out slow ones.",
    "memorisable": (
        "Deprecated, and not for training: the easy types with one fixed input per problem, told "
        "in the statement. A program that returns the answer as a constant earns full reward, so "
        "that is what a model learns. The family is kept to show this: such programs pass the "
        "hidden test and fail fresh tests (`overfit_gap` in an evaluation)."
    ),
}


def gallery() -> str:
    """One section per family and type of the registry."""
    sections = []
    for family, names in problem_types().items():
        sections.append(f"## {family}\n\n{FAMILIES.get(family, '')}\n")
        if family == "memorisable":
            sections.append(f"Types: {', '.join(f'`{name}`' for name in names)}.\n")
        else:
            sections += [section(name) for name in names]
    return "\n".join(sections)


def section(name: str) -> str:
    problem_type = get_type(name)
    notes = [f"Difficulty: {problem_type.difficulty}"]
    if problem_type.checker is not None:
        notes.append("Several answers are right; a checker accepts them all.")
    if problem_type.small_input_space:
        notes.append(f"Shared inputs: {problem_type.small_input_space}")
    lines = [f"### {name}", "", *(f"- {note}" for note in notes), ""]
    statement = ""
    for level in LEVELS_SHOWN:
        problem = make_problem(name, difficulty=level)
        lines.append(example(problem, same=problem.statement == statement))
        statement = problem.statement
    return "\n".join(lines)


def example(problem: Problem, *, same: bool) -> str:
    calls = [show_call(problem.entry_point, test) for test in problem.public_tests[:1]]
    calls += [show_call(problem.entry_point, test) for test in problem.hidden_tests[-1:]]
    limit = f", {problem.time_limit_s:g} s" if problem.time_limit_s is not None else ""
    return "\n".join(
        [
            f"Level {problem.difficulty} ({len(problem.hidden_tests)} hidden tests{limit}): "
            f"{'the same task.' if same else problem.statement}",
            "",
            "```python",
            *(shortened(call) for call in calls),
            "```",
            "",
        ]
    )


def shortened(text: str) -> str:
    if len(text) <= LONGEST_EXAMPLE:
        return text
    return f"{text[: LONGEST_EXAMPLE // 2]} ... {text[-LONGEST_EXAMPLE // 2 :]}"


def test_the_page_is_what_the_registry_says() -> None:
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    wanted = before + BEGIN + gallery()
    if os.environ.get("AXIOM_WRITE_TABLES"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted
