from __future__ import annotations

import random

import pytest
from fake_run import MODEL, SAMPLER, draw, problem

from axiom_rl.evaluation.score import Evaluation, score


@pytest.fixture(scope="session")
def sampled_evaluations() -> tuple[Evaluation, Evaluation]:
    """60 problems of three types and levels, before and after a gain of 10 points."""
    chance = random.Random(0)
    types = ("lis", "knapsack", "edit_distance")
    problems = [problem(types[i % 3], 1 + i // 3 % 3, i) for i in range(60)]
    rates = [chance.uniform(0, 0.8) for _ in problems]
    results = []
    for seed, gain in ((1, 0.0), (2, 0.1)):
        completions, verdicts = draw(problems, [rate + gain for rate in rates], 8, seed)
        results.append(
            score(
                problems,
                completions,
                verdicts,
                split="train",
                model=MODEL,
                sampler=SAMPLER,
                seed=0,
            )
        )
    return results[0], results[1]
