"""The page docs/reference/problems.md, written by python -m axiom_rl.problems.gallery."""

from __future__ import annotations

from pathlib import Path

from axiom_rl.core.files import write_text
from axiom_rl.core.types import Problem
from axiom_rl.problems.generate import make_problem
from axiom_rl.problems.prompts import show_call
from axiom_rl.problems.registry import get_type, problem_types

PAGE = Path("docs/reference/problems.md")
LEVELS_SHOWN = (1, 5, 10)
LONGEST_EXAMPLE = 160

INTRODUCTION = """\
# Problems

Written from the registry by `python -m axiom_rl.problems.gallery`; a test fails where page and
registry differ, so edit the types and not this page.

A problem is made by `make_problem(type, difficulty=1..10, split=, seed=, index=)`, a pure function:
the same problem in every process and Python version. Each type file holds the statement, ten
levels, a generator beside its oracle, and edge cases. `python launch.py stage=list problems=easy`
prints what a config draws, and `stage.show=edit_distance/d5/train/3` one problem with its tests.

- **Public tests** stand in the prompt. **Hidden tests** decide the reward. **Fresh tests** are
  drawn for evaluation alone. A public test is never a hidden or fresh one.
- Every input belongs, by a hash of its content, to the public examples or to the hidden or fresh
  tests of one split, so train, val and test share no input, whatever their seeds. Named edge
  cases (there is one empty list) are exempt, and types whose inputs are too few say so below.
- Tasks that vary (predicates, operators, wording, names) belong to one split in the same way.
  Types with one task per level have the same task in every split: evaluation on them shows *fresh
  tests* of a task seen in training, and no more than that.
- Values are compared as [the verifier](../concepts/verifier.md) says: `True == 1`, lists differ
  from tuples, floats are equal within 1e-6. Where several answers are right, the problem names its
  checker (`checker`; null is plain equality): that of its type has the type's name, and
  `register_checker(name, function)` adds others. A checker or type that is not registered is an
  error; its module belongs in `problems.imports`.

## Problems from files

`problems=jsonl problems.path=mine.jsonl` takes problems of your own, one JSON object per line, here
over three lines:

    {"statement": "Return twice n.", "entry_point": "double", "signature": "(n)", "id": "double",
     "examples": [{"args": [2], "expected": 4}],
     "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}]}

`statement`, `entry_point` and `tests` are needed. `examples` stand in the prompt and must not be
among the tests. Optional are `signature` (`(nums: List[int]) -> int`, `def f(x):` or `x`; without
one, a list is made that fits the tests), `id`, `title`, `split` (train by default, val or test),
`difficulty` (1 to 10), `time_limit_s`, `tolerance` (the largest absolute difference at which two
numbers count as equal; without it two floats are equal within 1e-6 relative or 1e-9 absolute),
`solution` and `checker`. Values are plain JSON, so a tuple that a program returns equals a list, a
float within tolerance an integer, and the key 1 the key "1". Such problems have no generator and
hence no fresh tests: keep some in the test split.

- A row with a mistake (no JSON object, an unknown field, arguments that do not fit the signature,
  two answers for one input, ...) is left out: the log and `problems/left_out.json` name its line
  and the reason. A file without a usable row is an error.
- A `solution` is a program that must pass. It is judged when the problems are loaded, and never
  shown or trained on; where it fails, the row is left out with the test that it fails.
- A `checker` is the name of a function that a module of `problems.imports` entered with
  `axiom_rl.problems.register_checker`: `checker(args, value, expected)` tells what
  is right; such a row has no `tolerance`.
- Programs that do nothing (a constant, an argument or an item of it as it is, `not x`, an empty
  body) are tried on every problem. Where one passes, the tests are weak: `problems/weak.json`, the
  log and the score name the problem and the program.
- The report lists *tests in doubt*: no program passes them, and at least three different ones agree
  on another value.

`problems=humaneval` and `problems=mbpp` are the public benchmarks: see
[benchmarks](../guides/benchmarks.md).
"""

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
    """Return the page: one section per family and type of the registry."""
    sections = [INTRODUCTION]
    for family, names in problem_types().items():
        sections.append(f"## {family}\n\n{FAMILIES.get(family, '')}\n")
        if family == "memorisable":
            sections.append(f"Types: {', '.join(f'`{name}`' for name in names)}.\n")
        else:
            sections += [_section(name) for name in names]
    return "\n".join(sections)


def write_gallery(page: Path = PAGE) -> None:
    """Write the page."""
    write_text(page, gallery())


def _section(name: str) -> str:
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
        lines.append(_example(problem, same=problem.statement == statement))
        statement = problem.statement
    return "\n".join(lines)


def _example(problem: Problem, *, same: bool) -> str:
    calls = [show_call(problem.entry_point, test) for test in problem.public_tests[:1]]
    calls += [show_call(problem.entry_point, test) for test in problem.hidden_tests[-1:]]
    limit = f", {problem.time_limit_s:g} s" if problem.time_limit_s is not None else ""
    return "\n".join(
        [
            f"Level {problem.difficulty} ({len(problem.hidden_tests)} hidden tests{limit}): "
            f"{'the same task.' if same else problem.statement}",
            "",
            "```python",
            *(_shortened(call) for call in calls),
            "```",
            "",
        ]
    )


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_EXAMPLE:
        return text
    return f"{text[: LONGEST_EXAMPLE // 2]} ... {text[-LONGEST_EXAMPLE // 2 :]}"


if __name__ == "__main__":
    write_gallery()
