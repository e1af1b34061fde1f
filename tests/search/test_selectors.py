"""Every selector on pools whose right choice is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from handmade import ERROR, material

from axiom_rl.core.errors import AxiomError
from axiom_rl.search import Choice, Material, registry
from axiom_rl.search.replay import replay
from axiom_rl.search.selectors import oracle, vote
from axiom_rl.search.sharing.need import evidence

HUGE = 10**5000
NAN = math.nan
VOTES: dict[str, tuple[list[Any], list[float] | None, int, tuple[int, int, bool, bool]]] = {
    # rows, log-probabilities: choice, (agreeing, voters, tied, majority)
    "the majority": ([[1, 2], [1, 2], [9, 9]], [-9, -8, -1], 1, (2, 3, False, True)),
    "a tie goes to the likelier": ([[1], [1], [2], [2]], [-3, -2, -5, -1], 3, (2, 4, True, False)),
    "then to the first": ([[1], [1], [2], [2]], None, 0, (2, 4, True, False)),
    "errors agree with nothing": (
        [[ERROR, 1], [ERROR, 1], [3, 4], [3, 4]], None, 2, (2, 4, False, False),
    ),
    "all errors: no vote": ([[ERROR], [ERROR]], [-2, -1], 1, (0, 0, False, False)),
    "no agreement": ([[1], [2], [3]], [-3, -1, -2], 1, (1, 3, True, False)),
    "only survivors vote": ([None, None, None, [5]], [-1, -1, -1, -9], 3, (1, 1, False, True)),
    "nobody survives: most public tests": ([None, None], [-2, -1], 1, (0, 0, False, False)),
    "unhashable values": ([[[{1}]], [[{1}]], [{"a": []}]], [-9, -9, -1], 0, (2, 3, False, True)),
    "huge integers": ([[HUGE], [HUGE + 1], [HUGE]], [-9, -1, -8], 2, (2, 3, False, True)),
    "floats within tolerance, NaN with NaN": (
        [[0.1 + 0.2, NAN], [0.3, NAN], [0.4, 1]], [-9, -8, -1], 1, (2, 3, False, True),
    ),
    "a list is no tuple": ([[[1]], [(1,)], [[1]]], [-9, -1, -8], 2, (2, 3, False, True)),
    "one odd input does not end the support": (
        [[1, 2, 3, 9], [1, 2, 3, 8], [1, 2, 3, 7], [4, 4, 4, 4], [4, 4, 4, 4]],
        [-1, -2, -3, -4, -5], 0, (1, 5, True, False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VOTES)
def test_the_vote(case: str) -> None:
    rows, logprobs, place, counts = VOTES[case]
    made = material(rows, logprobs)
    choice = vote.choose(made, range(len(rows)))
    assert choice.place == place
    assert (choice.agreeing, choice.voters, choice.tied, choice.majority) == counts


def test_a_vote_depends_on_the_samples_it_is_given() -> None:
    made = material([[1], [2], [2], [1], [1]])
    assert vote.choose(made, range(5)).place == 0
    assert vote.choose(made, [0, 1, 2]).place == 1
    assert vote.choose(made, [4, 2, 1]).place == 1
    groups = vote.clusters(made, range(5))
    assert list(groups.values()) == [[0, 3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("name", "fields", "place"),
    [
        ("random", {}, 0),
        ("logprob", {}, 3),
        ("public", {}, 1),
        ("public", {"public": [0, 0, 0, 0]}, 3),
        ("value", {"values": (0.1, 0.2, 0.9, 1.0)}, 2),
        ("vote_value", {"values": (0.9, 0.2, 0.1, 1.0)}, 0),
        ("codet", {"written": ((0, 7), (1, 8), (1, 6)), "has_written": True}, 2),
        ("codet", {"written": ((0, 99),), "has_written": True}, 1),
    ],
)
def test_the_other_selectors(name: str, fields: dict[str, Any], place: int) -> None:
    made = material([[1, 1], [2, 2], [7, 8], None], [-4, -2, -3, -1], **fields)
    assert registry.get(name).choose(made, range(4)).place == place


@pytest.mark.parametrize("name", ["logprob", "public", "vote"])
def test_a_sample_of_unknown_likelihood_is_not_the_likeliest(name: str) -> None:
    made = material([[1], [1], [1]], [None, -2, -3])
    assert registry.get(name).choose(made, range(3)).place == 1
    unknown = material([[1], [1]], [None, None])
    assert registry.get(name).choose(unknown, range(2)).place == 0  # the one drawn first
    assert evidence(made).likely == (-math.inf, -2, -3)


def test_a_sample_without_a_program_is_chosen_only_where_there_is_no_other() -> None:
    from dataclasses import replace

    made = material([[1], None], [-5, -1])
    empty = replace(made.samples[1], code=None)
    some = replace(made, samples=(made.samples[0], empty), public_passed=(0, 0))
    none = replace(made, samples=(empty, empty), public_passed=(0, 0), answers=(None, None))
    for name in ("logprob", "public", "vote"):
        assert registry.get(name).choose(some, range(2)).place == 0, name
        assert registry.get(name).choose(none, range(2)).place in (0, 1), name


def test_the_oracle_is_told_the_verdicts() -> None:
    assert oracle.choose([False, True, True], [2, 0, 1]) == 2
    assert oracle.choose([False, False], [1, 0]) == 1


def test_what_a_selector_lacks_is_said() -> None:
    plain = material([[1], [2]], [None, None])
    lacks = {name: registry.missing(registry.get(name), [plain]) for name in registry.names()}
    assert {name for name, why in lacks.items() if why} == {
        "logprob", "codet", "value", "vote_value"
    }  # fmt: skip
    assert "search.head=" in lacks["value"] and "search=codet" in lacks["codet"]


def test_a_selector_of_ones_own() -> None:
    def shortest(made: Material, places: Sequence[int]) -> Choice:
        return Choice(place=min(places, key=lambda place: len(made.samples[place].code or "")))

    registry.register("shortest", shortest)
    registry.register("shortest", shortest)
    try:
        with pytest.raises(AxiomError, match="already registered"):
            registry.register("shortest", vote.choose)
        with pytest.raises(AxiomError, match="did you mean shortest"):
            registry.get("shortes")
        with pytest.raises(AxiomError, match="known: logprobs"):
            registry.register("needy", shortest, needs=["verdicts"])
        outside = registry.Selector("outside", lambda _made, _places: Choice(place=2))
        made = material([[1], [2], [3]])
        assert outside.chosen(made, range(3)).place == 2
        with pytest.raises(AxiomError, match=r"outside chose place 2 of p, and may choose of \["):
            replay(outside, made, [1, 2], 0)
    finally:
        del registry._SELECTORS["shortest"]
