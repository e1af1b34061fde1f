from __future__ import annotations

import numpy as np
import pytest
from fake_run import problem

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.compare import detectable_difference, difference_interval
from axiom_rl.evaluation.measure import held_out
from axiom_rl.evaluation.power import plan_for, read_plan, write_plan
from axiom_rl.evaluation.score import ProblemScore
from axiom_rl.problems.splits import Splits


def scores(passed, samples=8):
    return [
        ProblemScore(type="t", difficulty=1, title="", passed=int(k), samples=samples)
        for k in passed
    ]


def test_the_plan_is_about_the_headline_and_says_what_it_finds(tmp_path):
    train = tuple(problem("fizzbuzz", index=i) for i in range(3))
    test = tuple(problem("lis", index=i, split="test") for i in range(200))
    plan = plan_for(Splits(train=train, val=(), test=test), samples=8)
    assert (plan.split, plan.problems, plan.scope) == ("test", 200, "sampled")
    assert str(plan).startswith("a change of the pass rate by less than about 5.0 points will")
    assert (
        "200 test problems with 8 samples each find a difference of 5.0 points in 80 % of cases"
        in str(plan)
    )
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan


def test_a_resumed_run_keeps_its_plan(tmp_path):
    splits = Splits(train=(problem("fizzbuzz"),), val=(), test=())
    first = plan_for(splits, samples=8)
    write_plan(tmp_path, first)
    write_plan(tmp_path, plan_for(splits, samples=64))
    assert read_plan(tmp_path) == first


def test_a_damaged_plan_is_named(tmp_path):
    assert read_plan(tmp_path) is None
    (tmp_path / "plan.json").write_text('{"schema": 1, "split": "test"}')
    with pytest.raises(AxiomError, match=r"plan\.json is no plan"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_text('{"schema": 2}')
    with pytest.raises(AxiomError, match="reads schema 1"):
        read_plan(tmp_path)


@pytest.mark.parametrize(("scope", "problems"), [("fixed", 10), ("sampled", 10), ("sampled", 40)])
def test_a_difference_as_large_as_the_plan_states_is_found_in_80_of_100_cases(scope, problems):
    size = detectable_difference(problems, 8, scope=scope)
    random, found, rounds = np.random.default_rng(0), 0, 600
    for _ in range(rounds):
        old = scores(random.binomial(8, 0.5 - size / 2, problems))
        new = scores(random.binomial(8, 0.5 + size / 2, problems))
        found += difference_interval(old, new, scope)[0].low > 0
    assert 0.76 <= found / rounds <= 0.84


def test_one_sampled_problem_finds_nothing():
    assert detectable_difference(1, 8, scope="sampled") == 1.0


def test_what_is_measured_apart_from_training_is_the_headline() -> None:
    train, val = (problem("fizzbuzz"),), (problem("lis", split="val"),)
    assert held_out(Splits(train=train, val=val, test=())).train == ()
    assert plan_for(held_out(Splits(train=train, val=val, test=())), 8).split == "val"
    assert held_out(Splits(train=train, val=(), test=())).train == train
