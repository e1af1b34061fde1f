"""Samples shared by need: who needs one, who gets one, and that no verdict is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from handmade import ERROR, material, problem

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.search.scores import Pool, oracle_rates, scorer
from axiom_rl.evaluation.search.sharing.compared import (
    Shareable,
    check_shareable,
    compare_shares,
    shared_counts,
)
from axiom_rl.evaluation.search.words import sharing_lines
from axiom_rl.problems import make_problem
from axiom_rl.report.sections.search.sharing import sharing_blocks
from axiom_rl.search import Material, registry
from axiom_rl.search.budget import orders
from axiom_rl.search.sharing.need import Need, evidence
from axiom_rl.search.sharing.rounds import ceiling, first_round, next_round, part_of


def need_of(rows: Sequence[Sequence[Any] | None], **fields: Any) -> Need:
    return evidence(material(rows, **fields)).need(range(len(rows)))


def test_need_by_hand() -> None:
    """P(the choice is wrong) x P(another sample is one that it lacks), by Jeffreys' prior."""
    assert need_of([None] * 4).help == pytest.approx(0.5 / 5)  # nothing survives: the first to pass
    assert need_of([[1, 2]]).help == pytest.approx(1 / 4 * 0.5 / 2)  # Beta(2, 1) below 1/2
    assert need_of([[1, 2]] * 4).help == pytest.approx(1 / 32 * 0.5 / 5)
    assert need_of([[1], [2]]).help == pytest.approx(1 / 2 * 1.5 / 3)  # one against one
    half = need_of([[1, 2], [1, 3]])  # they agree on one of two inputs
    assert need_of([[1, 2]] * 2).help < half.help < need_of([[1, 2], [3, 4]]).help


def test_who_needs_more() -> None:
    """From the one that is settled to the one where nothing passes the public tests."""
    rows: list[list[list[Any] | None]] = [
        [[1], [1], [1], [1]],
        [[1], [1], [1], None],
        [[1], [1], None, None],
        [[1], None, None, None],
        [None, None, None, None],
        [[1], [2], [3], [4]],
    ]
    helps = [need_of(each).help for each in rows]
    assert helps == sorted(helps) and len(set(helps)) == len(helps)
    longer = [need_of([None] * n).help for n in range(1, 30)]
    assert longer == sorted(longer, reverse=True)  # hopeless problems do not draw for ever
    assert need_of([[ERROR, ERROR], [ERROR, ERROR]]).help > need_of([[1, 2], [1, 2]]).help


def test_a_head_sharpens_the_need_and_serves_alone() -> None:
    def valued(rows: Sequence[Any], values: tuple[float, ...]) -> float:
        made = replace(material(rows), values=values)
        return evidence(made).need(range(len(rows))).help

    plain = need_of([[1], [1]]).help
    assert valued([[1], [1]], (0.9, 0.9)) == pytest.approx(0.1 * plain)
    assert valued([[1], [1]], (0.1, 0.1)) == pytest.approx(0.9 * plain)
    assert valued([None, None], (0.9, 0.9)) == need_of([None, None]).help  # they fail an example
    rivals = valued([[1], [1], [2]], (0.5, 0.5, 0.9))
    assert rivals > valued([[1], [1], [2]], (0.5, 0.5, 0.1))
    bare = material([None, None], public=[0, 0])
    bare = replace(bare, problem=problem(), answers=())
    assert not evidence(bare).tells and bare.survivors == (0, 1)
    alone = evidence(replace(bare, values=(0.2, 0.7)))
    assert alone.tells
    assert alone.need([0, 1]).help == pytest.approx(0.3 * (0.2 + 0.5) / 3)
    assert alone.need([0]).help == pytest.approx(0.8 * 0.5 / 2)


def test_where_nothing_was_run_survivors_count_as_agreeing() -> None:
    made = replace(material([[1], [2], [3]]), inputs=(), answers=())
    assert evidence(made).need([0, 1, 2]).help == pytest.approx(1 / 16 * 0.5 / 4)


def test_a_part_of_the_samples_is_read_as_if_the_others_were_not_drawn() -> None:
    rows = [[1, 2], None, [1, 3], [ERROR, 2], [4, 4], [1, 2]]
    whole = evidence(material(rows))
    for places in ([0], [0, 1], [2, 3, 5], [1], [0, 2, 3, 4, 5]):
        alone = need_of([rows[place] for place in places])
        assert whole.need(places) == alone, places


def test_a_round_goes_where_the_next_draw_helps_most() -> None:
    needs = {"a": Need(0.01, 0.5), "b": Need(0.2, 0.5), "c": Need(0.08, 0.1)}
    drawn = dict.fromkeys(needs, 2)
    assert next_round(needs, drawn, ceiling(8, needs), 5) == ["b", "b", "c", "c", "c"]
    assert next_round(needs, drawn, {"a": 4, "b": 2, "c": 3}, 9) == ["c", "a", "a"]
    assert next_round(needs, drawn, ceiling(8, needs), 0) == []
    costs = {"a": 10.0, "b": 60.0, "c": 30.0}
    assert next_round(needs, drawn, ceiling(8, needs), 100, costs) == ["b", "c", "a"]
    equal = dict.fromkeys("xyz", Need(0.1, 0.1))
    assert next_round(equal, {"x": 3, "y": 2, "z": 2}, ceiling(8, equal), 3) == ["y", "z", "x"]
    assert [first_round(n) for n in (1, 2, 4, 8, 16)] == [1, 1, 1, 2, 4]
    assert part_of(80, 20) == 20 and part_of(80, 70) == 10 and part_of(2, 1) == 1
    assert ceiling(8, "a") == {"a": 32} and ceiling(8, "a", 16) == {"a": 16}


SETTLED: list[Any] = [[1]] * 8
RARE: list[Any] = [None] * 7 + [[1]]


def pool_of(rows: Sequence[list[Any]], tokens: int = 100) -> Shareable:
    """Problems by what their samples return; what survives is right."""
    base = make_problem("reverse_string", difficulty=1, split="test", seed=0, index=0)
    problems = tuple(replace(base, id=str(n), statement=str(n)) for n in range(len(rows)))
    materials: dict[str, Material] = {}
    for n, each in enumerate(rows):
        made = material(each)
        samples = tuple(replace(sample, tokens=tokens) for sample in made.samples)
        materials[str(n)] = replace(made, samples=samples, problem=problem(((1,), 1), id=str(n)))
    passed = {str(n): tuple(row is not None for row in each) for n, each in enumerate(rows)}
    pool = Pool(
        problems=problems,
        samples={key: each.samples for key, each in materials.items()},
        passed=passed,
        fractions={key: tuple(map(float, each)) for key, each in passed.items()},
        faults=0,
    )
    return Shareable(pool=pool, materials=materials, selector=registry.get("vote"), seed=0)


def compared(of: Shareable) -> dict[str, Any]:
    return compare_shares(of, lambda n: scorer(of.pool, n, oracle_rates(of.pool, n, of.seed)))


def test_rare_programs_are_found_with_the_tokens_that_settled_problems_leave() -> None:
    document = compared(pool_of([SETTLED] * 4 + [RARE] * 4))
    assert [row["samples"] for row in document["rows"]] == [2, 4]
    for row in document["rows"]:
        n, even, need = row["samples"], row["even"], row["need"]
        assert even["score"]["value"] == pytest.approx((4 + 4 * n / 8) / 8)  # one in eight is right
        assert even["tokens"] == 100 * n and need["tokens"] == pytest.approx(100 * n)
        assert even["least"] == even["most"] == even["drawn"] == n == pytest.approx(need["drawn"])
        assert need["least"] < n < need["most"]
        assert row["difference"]["value"] > 0.08 and row["difference"]["low"] > 0
        assert row["difference"]["value"] == pytest.approx(row["oracle_difference"]["value"])
    said = sharing_lines(document)
    assert said[1].startswith("shared by need (examples and votes), 4 samples a problem: vote ")
    assert "400 and 400 tokens" in said[1] and sharing_lines(None) == []
    assert len(sharing_blocks(document)) == 2 and sharing_blocks(None) == []


def test_alike_problems_are_shared_evenly_and_lose_nothing() -> None:
    row = compared(pool_of([SETTLED] * 6))["rows"][1]
    assert row["need"]["drawn"] == row["need"]["least"] == row["need"]["most"] == 4
    assert row["difference"]["value"] == 0


def test_need_never_spends_more_tokens_than_the_even_way() -> None:
    of = pool_of([SETTLED] * 3 + [RARE] * 3)
    lengths = {key: [20, 30, 40, 50, 60, 200, 300, 400] for key in of.materials}
    samples = {
        key: tuple(replace(s, tokens=n) for s, n in zip(each, lengths[key], strict=True))
        for key, each in of.pool.samples.items()
    }
    uneven = replace(of, pool=replace(of.pool, samples=samples))
    for row in compared(uneven)["rows"]:
        assert 0.8 * row["even"]["tokens"] < row["need"]["tokens"] <= row["even"]["tokens"]
    known = {key: evidence(each) for key, each in of.materials.items()}
    taken = {key: orders(key, 8, 0)[3] for key in known}
    counts = shared_counts(known, taken, lengths, 4, 8)
    spent = sum(lengths[key][p] for key in known for p in taken[key][: counts[key]])
    assert spent <= sum(lengths[key][p] for key in known for p in taken[key][:4])
    assert max(counts.values()) <= 8


def test_verdicts_take_no_part_in_who_gets_what() -> None:
    of = pool_of([SETTLED] * 2 + [RARE] * 2)
    turned = {key: tuple(not ok for ok in each) for key, each in of.pool.passed.items()}
    blind = replace(of, pool=replace(of.pool, passed=turned))
    for one, other in zip(compared(of)["rows"], compared(blind)["rows"], strict=True):
        for key in ("tokens", "drawn", "least", "most"):
            assert one["need"][key] == other["need"][key]
        assert one["need"]["score"] != other["need"]["score"]


def test_problems_of_which_nothing_tells_get_the_even_share() -> None:
    of = pool_of([SETTLED, RARE, SETTLED])
    bare = replace(of.materials["2"], problem=problem(id="2"), answers=())
    known = {key: evidence(each) for key, each in (of.materials | {"2": bare}).items()}
    counts = shared_counts(
        known, dict.fromkeys(known, range(8)), dict.fromkeys(known, [9] * 8), 4, 8
    )
    assert counts["2"] == 4 and counts["0"] < 4 < counts["1"] and sum(counts.values()) == 12


def test_a_pool_too_small_to_share_is_refused() -> None:
    of = pool_of([[[1], [1], [1]]])
    with pytest.raises(AxiomError, match=r"stage.pool=here has 3 samples.* sampler.n=8"):
        check_shareable(of.pool, "here")
    check_shareable(pool_of([SETTLED]).pool, "here")
