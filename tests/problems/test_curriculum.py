"""The next problems: fair shares, levels that move both ways, and a stream that goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.config import CurriculumConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems.curriculum import KINDS, Curriculum


def problem(of: str, level: int, index: int = 0) -> Problem:
    return Problem(
        id=f"{of}/d{level}/{index}",
        type=of,
        difficulty=level,
        split="train",
        title="",
        statement="",
        entry_point="f",
        public_tests=(),
        hidden_tests=(),
    )


def pool(size: int = 1, **levels: Sequence[int]) -> list[Problem]:
    """Return `size` problems of each type at each of its levels."""
    return [problem(of, n, i) for of, own in levels.items() for n in own for i in range(size)]


def make(problems: Sequence[Problem], kind: str = "uniform", seed: int = 0, **changes: Any) -> Any:
    values = {"low": 0.25, "high": 0.75, "window": 2, "focus": 0.0} | changes
    return Curriculum(problems, CurriculumConfig(kind=kind, **values), seed)


def ids(problems: Sequence[Problem]) -> list[str]:
    return [each.id for each in problems]


def drawn(curriculum: Curriculum, times: int, count: int = 1) -> list[Problem]:
    return [each for _ in range(times) for each in curriculum.pick(count)]


def levels(curriculum: Curriculum) -> dict[str, int]:
    """Return the levels that come next, by type; at most one each."""
    found: dict[str, set[int]] = {}
    for each in curriculum.pick(1000):
        found.setdefault(each.type, set()).add(each.difficulty)
    assert all(len(own) == 1 for own in found.values())
    return {of: own.pop() for of, own in found.items()}


def observe(curriculum: Curriculum, of: str, level: int, *rates: float) -> None:
    for rate in rates:
        curriculum.observe(f"{of}/d{level}/0", rate)


# Any kind


def test_no_problems_and_unknown_kinds_are_named() -> None:
    with pytest.raises(AxiomError, match=r"no problems.*problems\.sizes\.train"):
        make([])
    with pytest.raises(AxiomError, match=r"curriculum\.kind=lader.*ladder, adaptive"):
        make(pool(a=[1]), "lader")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_of_one_gives_that_one_whatever_comes_back(kind: str) -> None:
    curriculum = make(pool(a=[4]), kind, window=1, focus=1.0)
    for rate in (0.0, 1.0, 0.5, 1.0, 0.0, 0.0, 1.0, 1.0):
        assert ids(curriculum.pick(3)) == ["a/d4/0"]
        curriculum.observe("a/d4/0", rate)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_smaller_than_the_count_comes_whole_and_once(kind: str) -> None:
    curriculum = make(pool(3, a=[2], b=[2]), kind)
    for count in (6, 7, 100):
        picked = ids(curriculum.pick(count))
        assert len(picked) == 6 and len(set(picked)) == 6
    assert curriculum.pick(0) == []


def test_skipped_problems_do_not_come() -> None:
    curriculum = make(pool(4, a=[1]))
    skip = frozenset({"a/d1/1", "a/d1/3"})
    for _ in range(5):
        assert set(ids(curriculum.pick(4, skip))) == {"a/d1/0", "a/d1/2"}
    assert curriculum.pick(2, frozenset(ids(pool(4, a=[1])))) == []
    assert set(ids(curriculum.pick(2))) == skip, "they were drawn least"


def test_an_unknown_problem_cannot_be_observed() -> None:
    with pytest.raises(KeyError, match="b/d1/0"):
        make(pool(a=[1])).observe("b/d1/0", 1.0)


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    orders = [ids(drawn(make(pool(8, a=[1], b=[1]), seed=seed), 8, 3)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_the_order_is_not_that_of_the_pool_every_time() -> None:
    curriculum = make(pool(8, a=[1]))
    assert len({tuple(ids(curriculum.pick(8))) for _ in range(5)}) == 5


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 9), counts=st.lists(st.integers(0, 12), max_size=12), seed=st.integers(0, 9)
)
def test_uniform_draws_no_problem_twice_more_than_another(
    size: int, counts: list[int], seed: int
) -> None:
    curriculum, times = make(pool(size, a=[1]), seed=seed), Counter(dict.fromkeys(range(size), 0))
    for count in counts:
        picked = curriculum.pick(count)
        assert len({each.id for each in picked}) == len(picked) == min(count, size)
        times.update(int(each.id.rpartition("/")[2]) for each in picked)
        assert max(times.values()) - min(times.values()) <= 1


# State


def play(curriculum: Curriculum, random: Random, steps: int) -> list[Any]:
    """Draw and observe as a run does; return all that can be seen."""
    seen: list[Any] = []
    for _ in range(steps):
        picked = curriculum.pick(3)
        for each in picked:
            curriculum.observe(each.id, random.choice([0.0, 0.1, 0.5, 0.9, 1.0]))
        seen += [ids(picked), dict(curriculum.summary())]
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("focus", [0.0, 1.5])
@pytest.mark.parametrize("steps", [0, 1, 7, 30])
def test_a_restored_curriculum_goes_on_with_the_same_stream(
    kind: str, focus: float, steps: int
) -> None:
    problems = pool(2, a=[1, 2, 5, 9], b=[3, 4], c=[10])
    whole = make(problems, kind, window=3, focus=focus)
    play(whole, Random(1), steps)
    saved = json.loads(json.dumps(whole.state()))
    assert saved == whole.state()
    restored = make(problems, kind, window=3, focus=focus)
    play(restored, Random(2), 5)  # what it learnt before is forgotten
    restored.restore(saved)
    assert restored.summary() == whole.summary()
    assert play(restored, Random(3), 30) == play(whole, Random(3), 30)
    assert restored.state() == whole.state()


def test_a_saved_state_does_not_change_afterwards() -> None:
    curriculum = make(pool(2, a=[1, 2]), "adaptive", window=3)
    play(curriculum, Random(0), 3)
    saved = curriculum.state()
    copy = json.dumps(saved)
    play(curriculum, Random(1), 9)
    assert json.dumps(saved) == copy
    curriculum.restore(saved)
    play(curriculum, Random(1), 9)
    assert json.dumps(saved) == copy


def test_a_state_holds_no_more_than_the_window() -> None:
    curriculum = make(pool(a=[1]), window=4)
    observe(curriculum, "a", 1, *(n / 100 for n in range(50)))
    assert {tuple(rates) for rates in curriculum.state()["recent"].values()} == {
        (0.46, 0.47, 0.48, 0.49)
    }


# Ladder


def test_the_ladder_opens_its_next_stage_after_a_full_window_of_passes() -> None:
    curriculum = make(pool(a=[1, 3, 4, 6, 7, 10]), "ladder")
    assert {each.difficulty for each in curriculum.pick(9)} == {1, 3}
    observe(curriculum, "a", 1, 1.0)
    assert {each.difficulty for each in curriculum.pick(9)} == {1, 3}, "half a window"
    observe(curriculum, "a", 1, 0.5)
    assert {each.difficulty for each in curriculum.pick(9)} == {4, 6}, "0.75 is enough"
    observe(curriculum, "a", 4, 1.0, 1.0)
    assert {each.difficulty for each in curriculum.pick(9)} == {7, 10}
    observe(curriculum, "a", 7, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    assert {each.difficulty for each in curriculum.pick(9)} == {7, 10}, "the top; never down"
    assert curriculum.summary() == {"stage": 2}


def test_the_ladder_starts_and_goes_on_where_there_are_problems() -> None:
    curriculum = make(pool(a=[2], b=[8]), "ladder")
    assert ids(curriculum.pick(9)) == ["a/d2/0"]
    observe(curriculum, "a", 2, 1.0, 0.4, 0.9)
    assert ids(curriculum.pick(9)) == ["a/d2/0"], "0.65 of the last two"
    observe(curriculum, "a", 2, 0.7)
    assert ids(curriculum.pick(9)) == ["b/d8/0"]
    assert ids(make(pool(a=[5], b=[9]), "ladder").pick(9)) == ["a/d5/0"]


def test_problems_of_an_earlier_stage_do_not_open_the_one_after_the_next() -> None:
    """A step observes several groups at once: those behind the move were drawn before it."""
    curriculum = make(pool(8, a=[1, 4, 7]), "ladder")
    for each in curriculum.pick(8):
        curriculum.observe(each.id, 1.0)
    assert {each.difficulty for each in curriculum.pick(8)} == {4}, "not one of them was drawn yet"


# Adaptive


def test_each_type_moves_by_itself_up_and_down_and_stays_at_its_ends() -> None:
    curriculum = make(pool(a=[1, 2, 3], b=[1, 2, 3]), "adaptive")
    observe(curriculum, "a", 1, 0.0, 0.0, 0.0)
    assert levels(curriculum) == {"a": 1, "b": 1}, "there is no lower one"
    observe(curriculum, "a", 1, 1.0, 0.5)
    assert levels(curriculum) == {"a": 2, "b": 1}
    observe(curriculum, "a", 2, 1.0)
    assert levels(curriculum) == {"a": 2, "b": 1}, "a new level has a new window"
    observe(curriculum, "a", 2, 1.0)
    observe(curriculum, "a", 3, 1.0, 1.0, 1.0)
    assert levels(curriculum) == {"a": 3, "b": 1}, "there is no higher one"
    observe(curriculum, "a", 3, 0.0)
    assert levels(curriculum) == {"a": 3, "b": 1}
    observe(curriculum, "a", 3, 0.5)
    assert levels(curriculum) == {"a": 2, "b": 1}, "0.25 is too hard"
    observe(curriculum, "b", 1, 1.0, 1.0)
    observe(curriculum, "a", 2, 0.0, 0.0)
    assert levels(curriculum) == {"a": 1, "b": 2}


def test_levels_with_gaps_are_taken_in_turn() -> None:
    curriculum = make(pool(a=[9, 2, 5]), "adaptive", window=1)
    climbed = []
    for rate in (1.0, 1.0, 1.0, 0.0, 0.0, 0.0):
        climbed.append(levels(curriculum)["a"])
        observe(curriculum, "a", climbed[-1], rate)
    assert climbed == [2, 5, 9, 9, 5, 2]


def test_rates_between_the_limits_move_nothing() -> None:
    curriculum = make(pool(a=[1, 2, 3]), "adaptive")
    observe(curriculum, "a", 1, 1.0, 1.0)
    observe(curriculum, "a", 2, *[0.3, 0.7] * 10)
    assert levels(curriculum) == {"a": 2}
    equal = make(pool(a=[1, 2]), "adaptive", low=0.5, high=0.5)
    observe(equal, "a", 1, 0.5, 0.5, 0.5)
    assert levels(equal) == {"a": 1}, "too hard and done at once"


@pytest.mark.parametrize(("rate", "after"), [(1.0, 2), (0.0, 1)])
def test_one_step_moves_a_type_by_one_level(rate: float, after: int) -> None:
    """All groups of a step were drawn from the level as it was before."""
    curriculum = make(pool(8, a=[1, 2, 3]), "adaptive")
    if not rate:
        observe(curriculum, "a", 1, 1.0, 1.0)
    for each in curriculum.pick(8):
        curriculum.observe(each.id, rate)
    assert levels(curriculum) == {"a": after}


def test_leftovers_of_the_level_before_do_not_count_at_the_new_one() -> None:
    curriculum = make(pool(3, a=[1, 2, 3]), "adaptive")
    for each in curriculum.pick(3):
        curriculum.observe(each.id, 1.0)  # two of them move it, the third was of level 1 too
    observe(curriculum, "a", 2, 0.6)
    assert levels(curriculum) == {"a": 2}, "one group of level 2 is half a window"


def test_a_type_that_moves_does_not_push_out_the_others() -> None:
    """Problems of a new level were never drawn: that is no debt to them."""
    curriculum = make(pool(a=[1, 2], b=[1]), "adaptive")
    before = Counter(each.type for each in drawn(curriculum, 60))
    assert before == {"a": 30, "b": 30}
    observe(curriculum, "a", 1, 1.0, 1.0)
    after = Counter(each.id for each in drawn(curriculum, 20))
    assert after["a/d2/0"] + after["b/d1/0"] == 20
    assert 8 <= after["b/d1/0"] <= 12


@pytest.mark.parametrize("kind", ["adaptive", "ladder"])
def test_the_level_is_logged_from_the_first_step_on(kind: str) -> None:
    summary = make(pool(a=[2, 3], b=[1]), kind).summary()
    assert summary == ({"level_a": 2, "level_b": 1} if kind == "adaptive" else {"stage": 0})


@pytest.mark.parametrize("kind", ["uniform", "pools"])
def test_kinds_without_levels_log_none(kind: str) -> None:
    curriculum = make(pool(a=[1, 2]), kind)
    play(curriculum, Random(0), 5)
    assert curriculum.summary() == {}


# Pools


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.75, 1.0])
def test_solved_and_hopeless_problems_come_a_tenth_as_often(rate: float) -> None:
    curriculum = make(pool(2, a=[1]), "pools")
    curriculum.observe("a/d1/0", rate)
    times = Counter(ids(drawn(curriculum, 220)))
    assert times["a/d1/0"] == pytest.approx(20, abs=2)


@pytest.mark.parametrize("rate", [None, 0.26, 0.5, 0.74])
def test_useful_and_unknown_problems_are_alike(rate: float | None) -> None:
    curriculum = make(pool(2, a=[1]), "pools")
    if rate is not None:
        curriculum.observe("a/d1/0", rate)
    assert Counter(ids(drawn(curriculum, 100))) == {"a/d1/0": 50, "a/d1/1": 50}


def test_a_pool_of_solved_problems_alone_still_comes() -> None:
    curriculum = make(pool(3, a=[1]), "pools")
    for index in range(3):
        curriculum.observe(f"a/d1/{index}", 1.0)
    assert len(curriculum.pick(3)) == 3


def test_a_problem_that_becomes_useful_again_does_not_make_up_for_lost_time() -> None:
    curriculum = make(pool(2, a=[1]), "pools")
    curriculum.observe("a/d1/0", 0.0)
    drawn(curriculum, 110)
    for _ in range(2):
        curriculum.observe("a/d1/0", 0.5)
    times = Counter(ids(drawn(curriculum, 20)))
    assert 8 <= times["a/d1/0"] <= 12


# Focus


@pytest.mark.parametrize(
    ("focus", "strong", "ratio"), [(0.0, 0.9, 1), (1.0, 0.5, 2), (2.0, 0.5, 4), (1.0, 1.0, 10)]
)
@pytest.mark.parametrize("count", [1, 2])
def test_shares_follow_the_weights(focus: float, strong: float, ratio: int, count: int) -> None:
    """(1 - pass rate) to the power of focus, at least a tenth of it."""
    curriculum = make(pool(4, weak=[1], strong=[1]), focus=focus)
    observe(curriculum, "weak", 1, 0.0)
    observe(curriculum, "strong", 1, strong)
    times = Counter(each.type for each in drawn(curriculum, 440 // count, count))
    assert times["weak"] / times["strong"] == pytest.approx(ratio, rel=0.15)


def test_types_that_were_not_seen_yet_count_as_weak() -> None:
    curriculum = make(pool(a=[1], b=[1]), focus=1.0)
    observe(curriculum, "a", 1, 0.5, 0.5)
    times = Counter(each.type for each in drawn(curriculum, 90))
    assert times["b"] == pytest.approx(60, abs=2)


def test_problems_of_one_type_share_its_weight_alike() -> None:
    curriculum = make(pool(4, weak=[1], strong=[1]), focus=1.0)
    observe(curriculum, "strong", 1, 0.8)
    times = Counter(ids(drawn(curriculum, 100, 3)))
    for of in ("weak", "strong"):
        own = [times[f"{of}/d1/{index}"] for index in range(4)]
        assert max(own) - min(own) <= 2 and min(own) > 0


def test_a_type_that_became_strong_is_still_looked_at() -> None:
    """Its weight is a tenth from now on, not for all that was drawn before as well."""
    curriculum = make(pool(a=[1], b=[1]), focus=1.0)
    drawn(curriculum, 40)
    observe(curriculum, "b", 1, 1.0, 1.0)
    times = Counter(each.type for each in drawn(curriculum, 110))
    assert times["b"] == pytest.approx(10, abs=3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_focus_is_so_sharp_that_nothing_comes(kind: str) -> None:
    """0.1 to the power of 400 is 0 for a computer; GroupSource would ask again for ever."""
    curriculum = make(pool(a=[1]), kind, focus=400.0)
    observe(curriculum, "a", 1, 1.0, 1.0)
    assert ids(curriculum.pick(1)) == ["a/d1/0"]
