"""Advice fits the run: nothing is advised that it has already, or cannot have."""

from __future__ import annotations

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.types import Completion, Problem
from axiom_rl.problems.splits import build_splits
from axiom_rl.rollouts.advice import all_cut_off, nothing_passed
from axiom_rl.rollouts.records import Rollout

SMALL, MIDDLE = "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct"


def said_of(problem: Problem, *, truncated: bool = False) -> Rollout:
    completion = Completion(
        problem_id=problem.id,
        sample=0,
        text="",
        prompt_tokens=1,
        completion_tokens=1,
        truncated=truncated,
    )
    return Rollout(completion=completion, code=None, hidden=None, fresh=None)


def own() -> Problem:
    return Problem(
        id="mine", type="jsonl", difficulty=1, split="train", title="", statement="",
        entry_point="f", public_tests=(), hidden_tests=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "model", "advised", "not_advised"),
    [
        (["problems=hard"], SMALL, ["problems.levels=[1]", "model=qwen2.5-coder-1.5b"], ["basic"]),
        (["problems=hard", "problems.levels=[1]"], SMALL, ["problems=basic"], ["levels"]),
        (["problems=hard", "problems.levels=[3]"], SMALL, ["problems.levels=[1,2]"], []),
        (["problems=hard", "problems.levels=[2,5]"], SMALL, ["problems.levels=[1,2]"], []),
        (["problems=basic"], SMALL, ["model=qwen2.5-coder-1.5b"], ["levels", "problems=basic"]),
        (["problems=basic"], MIDDLE, ["model=qwen2.5-coder-7b"], ["1.5b"]),
        (["problems=basic"], "Qwen2.5-Coder-7B-Instruct", ["more of it"], ["model="]),
        ([], "MyCoder", ["problems=basic"], ["levels"]),
    ],
)
def test_nothing_is_advised_that_the_run_has(
    given: list[str], model: str, advised: list[str], not_advised: list[str]
) -> None:
    problems = build_splits(load_config(*given).problems).train if given else (own(),)  # type: ignore[arg-type]
    drawn = [said_of(problem) for problem in problems]
    said = nothing_passed(problems, drawn, model=model, limit=320, others=["more of it"])
    assert said.startswith(f"none of {len(drawn)} samples passed: try ")
    assert all(text in said for text in advised), said
    assert not any(text in said for text in not_advised), said


def test_where_every_answer_was_cut_off_only_the_limit_is_advised() -> None:
    drawn = [said_of(own(), truncated=True)] * 3
    said = nothing_passed([own()], drawn, model=SMALL, limit=16, others=["more of it"])
    assert "every one of 3 answers was cut off" in said
    assert said.endswith("give more than sampler.max_new_tokens=16")
    assert not all_cut_off([*drawn, said_of(own())]) and not all_cut_off([])
