"""Early stopping on hand-made prefixes, and values as material."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from handmade import material, problem

from axiom_rl.evaluation.search.scores import Pool, scorer
from axiom_rl.evaluation.search.stopping import (
    Stoppable,
    early_stopping,
    own_threshold,
    stopped_material,
    stops_below,
)
from axiom_rl.evaluation.search.words import stopping_lines
from axiom_rl.problems import make_problem
from axiom_rl.report.blocks import Table
from axiom_rl.report.sections.search.value import stopping_blocks
from axiom_rl.search import registry
from axiom_rl.search.budget import Cost, compute
from axiom_rl.search.material import Material, with_values


def test_a_sample_stops_at_the_first_prefix_below() -> None:
    traces = [((32, 0.5), (64, 0.05), (96, 0.9)), ((32, 0.05),), (), ((32, 0.05),)]
    assert stops_below(traces, [100, 100, 20, 32], 0.1) == [64, 32, None, None]
    assert stops_below(traces, [100, 100, 20, 32], 0.01) == [None] * 4
    assert stops_below(traces, [100, 100, 20, 33], 0.6) == [32, 32, None, 32]


def test_a_stopped_sample_cannot_be_chosen() -> None:
    made = material([[1], [1], [2]], [-3, -2, -1])
    made = replace(made, values=(0.9, 0.8, 0.1))
    stopped = stopped_material(made, [None, 32, None])
    assert stopped.samples[1].code is None and stopped.samples[1].tokens == 32
    assert stopped.survivors == (0, 2)
    for name in ("vote", "public", "logprob", "value", "vote_value"):
        assert registry.get(name).choose(stopped, range(3)).place != 1, name
    everything = stopped_material(made, [32, 32, 32])
    assert registry.get("vote").choose(everything, range(3)).place in (0, 1, 2)


def pool_of(rows: list[tuple[list[bool], list[float]]]) -> Stoppable:
    """Problems of 100-token samples: what passes, and the value of each after 40 tokens."""
    base = make_problem("reverse_string", difficulty=1, split="test", seed=0, index=0)
    problems = tuple(replace(base, id=str(n), statement=str(n)) for n in range(len(rows)))
    materials: dict[str, Material] = {}
    for n, (passed, _values) in enumerate(rows):
        made = material(
            [[int(ok)] for ok in passed], [-1.0 - place for place in range(len(passed))]
        )
        samples = tuple(replace(sample, tokens=100) for sample in made.samples)
        materials[str(n)] = replace(made, samples=samples, problem=problem(((1,), 1), id=str(n)))
    pool = Pool(
        problems=problems,
        samples={key: each.samples for key, each in materials.items()},
        passed={str(n): tuple(passed) for n, (passed, _v) in enumerate(rows)},
        fractions={str(n): tuple(map(float, passed)) for n, (passed, _v) in enumerate(rows)},
        faults=0,
    )
    prefixes = {
        (str(n), place): ((40, value),)
        for n, (_passed, values) in enumerate(rows)
        for place, value in enumerate(values)
    }
    return Stoppable(pool=pool, materials=materials, prefixes=prefixes)


def stopping(rows: list[tuple[list[bool], list[float]]], asked: float | None) -> dict[str, Any]:
    of = pool_of(rows)
    at = scorer(of.pool, of.pool.size, [1.0] * len(rows))
    return early_stopping(of, registry.get("logprob"), at, asked)


@pytest.mark.parametrize("passed", [True, False])
def test_rates_that_are_all_alike_are_no_proof(passed: bool) -> None:
    of = pool_of([([passed, passed], [0.9, 0.9])] * 10)
    at = scorer(of.pool, of.pool.size, [1.0] * 10)
    far = 1 / (1 + 2.2622**2 / 10)  # Wilson's bound at 10 of 10, with Student's t of 9 degrees
    for found in (at.policy_score(), at.mean([float(passed)] * 10)):
        assert found.value == float(passed)
        bounds = (far, 1.0) if passed else (0.0, 1 - far)
        assert (found.low, found.high) == pytest.approx(bounds, abs=1e-4)


def test_a_difference_may_lie_below_0_where_no_problem_got_worse() -> None:
    of = pool_of([([True, False], [0.9, 0.9])] * 10)
    at = scorer(of.pool, of.pool.size, [1.0] * 10)
    better, same = [1.0] + [0.5] * 9, [0.5] * 10
    found = at.difference(better, same)
    assert found.value == pytest.approx(0.05) and -0.1 < found.low < 0 < found.high
    assert at.score(better, Cost(generated=1, forward=1, cpu_s=0, flops=None)).gain == found
    assert at.mean([0.0] * 9 + [0.1]).low == 0.0  # a rate never does


def test_tokens_saved_and_the_paired_loss() -> None:
    """The second sample fails; where its value is low it is stopped and nothing is lost."""
    rows = [([True, False], [0.9, 0.04])] * 8
    found = stopping(rows, None)
    row = next(row for row in found["thresholds"] if row["below"] == 0.05)
    assert row["tokens_saved"] == pytest.approx(60 * 8 / 1600)
    assert (row["stopped"], row["passing_stopped"], row["changed"]) == (0.5, 0.0, 0)
    assert row["loss"]["value"] == row["loss"]["high"] == row["oracle_loss"]["value"] == 0
    below = next(row for row in found["thresholds"] if row["below"] == 0.02)
    assert below["tokens_saved"] == 0.0
    assert found["proposed"] == 0.05  # of equals that save the same, the most careful
    said = stopping_lines(found)[0]
    assert "search.stop_below=0.05" in said and "30.0 % of the tokens saved" in said


def test_a_threshold_that_stops_right_samples_costs() -> None:
    rows = [([True, False], [0.9, 0.01])] * 4 + [([True, False], [0.15, 0.9])] * 4
    found = stopping(rows, 0.25)
    row = next(row for row in found["thresholds"] if row["below"] == 0.25)
    assert row["changed"] == 4 and row["loss"]["value"] == row["oracle_loss"]["value"] == 0.5
    assert row["loss"]["low"] > 0 and row["passing_stopped"] == 0.5
    assert found["proposed"] == 0.02  # below 0.02 is the most that loses nothing
    assert "chosen on another pool" in stopping_lines(found)[0]
    assert stopping([([True], [0.001])] * 4, None)["proposed"] is None
    assert stopping_lines(None) == []


def test_the_threshold_of_a_head_is_the_one_that_saves_most_and_loses_no_program() -> None:
    def own(rows: list[tuple[list[bool], list[float]]]) -> dict[str, Any]:
        of = replace(pool_of(rows), materials={})  # nobody chooses: the oracle's loss counts
        return own_threshold(of, scorer(of.pool, of.pool.size, [1.0] * len(rows)))

    found = own([([True, False], [0.9, 0.04])] * 4 + [([False, False], [0.12, 0.18])] * 4)
    assert found["proposed"] == 0.2  # hopeless problems are stopped whole, and nothing is lost
    row = next(row for row in found["thresholds"] if row["below"] == 0.2)
    assert (row["stopped"], row["passing_stopped"]) == (0.75, 0.0)
    assert row["tokens_saved"] == pytest.approx(0.75 * 0.6)
    careful = own([([True, False], [0.9, 0.04])] * 4 + [([True, False], [0.12, 0.18])] * 4)
    assert careful["proposed"] == 0.05
    assert own([([True], [0.001])] * 4)["proposed"] is None


def test_a_replay_is_reported_at_the_heads_own_threshold() -> None:
    of = pool_of([([True, False], [0.9, 0.04])] * 8)
    at = scorer(of.pool, of.pool.size, [1.0] * 8)
    found = early_stopping(of, registry.get("logprob"), at, None, 0.03)
    assert found["of_head"] == 0.03 and found["proposed"] == 0.05
    assert 0.03 in [row["below"] for row in found["thresholds"]]
    said = stopping_lines(found)[0]
    assert "below 0.03 (chosen on the head's own pools): 0.0 % of the tokens" in said
    typed = early_stopping(of, registry.get("logprob"), at, 0.07, 0.03)
    assert "below 0.07 (chosen on another pool)" in stopping_lines(typed)[0]
    table = stopping_blocks(typed)[1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows if "(" in str(row[0])] == [
        "0.03 (the head's)",
        "0.07 (asked)",
    ]


def test_values_become_material_by_problem_and_sample() -> None:
    made = material([[1], [2]])
    known = with_values(made, {("p", 1): 0.7, ("p", 0): 0.2, ("q", 0): 0.9})
    assert known.values == (0.2, 0.7)
    assert registry.missing(registry.get("value"), [known]) == ""
    assert registry.get("value").choose(known, [0, 1]).place == 1
    assert compute(500, 10) == 10_000 and compute(None, 10) is None
