"""Prompts say what the tests ask, in few words."""

from __future__ import annotations

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import TestCase
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.prompts import STYLES, render, show_call

EVERY_TYPE = [name for names in problem_types().values() for name in names]
LONGEST = 1000
"""Characters of a direct prompt at level 1: about 250 tokens."""


def test_direct_prompt() -> None:
    (message,) = render(make_problem("max_subarray", difficulty=1), "direct")
    assert message["role"] == "user"
    assert message["content"] == (
        "Return the largest sum of a contiguous, non-empty part of a non-empty list of integers. "
        "The numbers may all be negative.\n\n"
        "Write one Python function `def max_subarray(nums):`\n"
        "max_subarray([1, -2, 3, 4]) == 7\n"
        "max_subarray([-3, -1, -2]) == -1\n\n"
        "Answer with the function alone, in one ```python block."
    )


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_prompt_has_what_a_model_needs(name: str, style: str) -> None:
    problem = make_problem(name, difficulty=1)
    messages = render(problem, style)
    question = messages[-1]["content"]
    assert problem.statement in question
    assert f"def {problem.entry_point}{problem.signature}:" in question
    assert "```python" in question
    assert all(show_call(problem.entry_point, test) in question for test in problem.public_tests)
    assert [message["role"] for message in messages] == ["user", "assistant"] * (
        len(messages) // 2
    ) + ["user"]


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_direct_prompts_are_short(name: str) -> None:
    (message,) = render(make_problem(name, difficulty=1), "direct")
    assert len(message["content"]) <= LONGEST


def test_examples_are_shown_as_calls() -> None:
    test = TestCase(args=([2, 7], 9), expected=[0, 1])
    assert show_call("two_sum", test) == "two_sum([2, 7], 9) == [0, 1]"


def test_no_worked_example_gives_a_type_away() -> None:
    shots = "".join(m["content"] for m in render(make_problem("rpn", difficulty=1), "few_shot"))
    assert not any(f"def {name}(" in shots for name in EVERY_TYPE if name != "rpn")


def test_unknown_style_names_the_three() -> None:
    with pytest.raises(AxiomError, match=r"did you mean direct\?.*chain_of_thought, few_shot"):
        render(make_problem("rpn", difficulty=1), "dirrect")
