"""The gate once more, through the sandbox: the in-process harness and the verifier agree."""

from __future__ import annotations

import pytest
from harness import programs_for

from axiom_rl.config import load_config
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.generate import task_of
from axiom_rl.verify import Verifier


@pytest.mark.slow
def test_the_verifier_judges_like_the_harness() -> None:
    candidates, expected, labels = [], [], []
    for family in ("basic", "easy", "hard"):
        for name in problem_types()[family]:
            problem = make_problem(name, difficulty=2, index=1)
            programs = programs_for(problem, task_of(problem))
            chosen = [*list(programs.right.items())[:3], *list(programs.wrong.items())[:3]]
            for label, source in chosen:
                candidates.append((problem, source))
                expected.append(label in programs.right)
                labels.append((name, label))
    with Verifier(load_config().sandbox) as verifier:
        verdicts = verifier.verify(candidates)
    different = [
        (label, verdict.status, verdict.detail)
        for label, verdict, right in zip(labels, verdicts, expected, strict=True)
        if verdict.passed != right
    ]
    assert not different
