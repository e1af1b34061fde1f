"""Who decides what is gold, each expert on a hand-made pool whose right choice is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from handmade import ERROR, material

from axiom_rl.config import EXPERTS, SELECTORS
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.gold.experts import Expert, agreeing, by_verdict, is_row
from axiom_rl.gold.store import GoldStore, normalise
from axiom_rl.problems import make_problem
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search import registry

POOL = [
    [1, 2, 3],  # 0
    [9, 9, 9],  # 1: the likeliest, and agrees with nobody
    [1, 2, 3],  # 2
    None,  # 3: fails a public test
    [1, 2, ERROR],  # 4: agrees on two inputs of three
    [1, 2, 3],  # 5
]
LIKELY = [-1.0, -0.1, -1.0, -1.0, -1.0, -1.0]


@pytest.mark.parametrize(
    ("name", "places"),
    [("public", [0, 1, 2, 4, 5]), ("vote", [0, 2, 5])],
)
def test_a_search_takes_what_agrees_with_its_choice(name: str, places: list[int]) -> None:
    found = agreeing(name, material(POOL, LIKELY))
    assert list(found) == places
    assert set(found.values()) == {(1, 1)}, "the public test alone was seen"


def test_codet_takes_the_group_that_passes_the_same_written_tests() -> None:
    pool = material(POOL, LIKELY, written=((0, 1), (2, 3), (1, 7)), has_written=True)
    found = agreeing("codet", pool)
    assert list(found) == [0, 2, 5]
    assert set(found.values()) == {(1 + 2, 1 + 3)}, "of the written tests two pass"


def test_a_value_head_takes_its_choice_alone_and_breaks_ties_of_the_vote() -> None:
    values = (0.2, 0.1, 0.9, 0.95, 0.3, 0.2)
    assert list(agreeing("value", material(POOL, values=values))) == [2], "3 fails a public test"
    assert list(agreeing("vote_value", material(POOL, values=values))) == [0, 2, 5]
    tied = material([[1], [1], [2], [2]], values=(0.1, 0.2, 0.3, 0.1))
    assert list(agreeing("vote_value", tied)) == [2, 3]
    unrun = material([[ERROR], [ERROR]], values=(0.1, 0.2))
    assert list(agreeing("vote_value", unrun)) == [1], "no vote: the value decides"


@pytest.mark.parametrize("name", [name for name in SELECTORS if "value" not in name])
def test_without_a_check_there_is_no_gold(name: str) -> None:
    nobody = material([None, None], has_written=True)
    assert agreeing(name, nobody) == {}
    bare = material([[1], [1]], public=[0, 0], has_written=True)
    object.__setattr__(bare.problem, "public_tests", ())
    assert agreeing(name, bare) == {}, "no public test: nothing was checked"
    if name != "public":
        assert agreeing(name, material([[ERROR], [ERROR]], has_written=True)) == {}


def rollout(
    code: str | None,
    passed: bool,
    *,
    sample: int = 0,
    truncated: bool = False,
    status: Status | None = None,
    problem: str = "p",
) -> Rollout:
    verdict = Verdict(
        status=status or (Status.ACCEPTED if passed else Status.WRONG_ANSWER),
        passed=passed,
        pass_fraction=1.0 if passed else 0.25,
        total_tests=8,
    )
    text = f"```python\n{code}\n```" if code else "I do not know."
    completion = Completion(
        problem_id=problem,
        sample=sample,
        text=text,
        prompt_tokens=1,
        completion_tokens=2,
        truncated=truncated,
    )
    return Rollout(completion=completion, code=code, hidden=verdict, fresh=None)


def program(number: int) -> str:
    return f"def f(x):\n    return x + {number}"


ITEMS = [
    rollout(program(0), True),
    rollout(program(1), False),
    rollout(program(0) + "  # again", True),
    rollout(None, False, status=Status.NO_CODE),
    rollout(program(2), True, truncated=True),
    rollout(program(3), False, status=Status.SANDBOX_FAULT),
    rollout(program(4), False),
]


@pytest.mark.parametrize(
    ("name", "places", "tests"),
    [
        ("hidden", [0, 2], {(8, 8)}),
        ("wrong", [1, 6], {(2, 8)}),
        ("all", [0, 1, 2, 5, 6], {(0, 0)}),
    ],
)
def test_by_verdicts_and_whatever_they_are(
    name: str, places: list[int], tests: set[tuple[int, int]]
) -> None:
    gold = by_verdict(name, ITEMS, "s")
    assert [next(n for n, i in enumerate(ITEMS) if i is g.rollout) for g in gold] == places
    assert {g.tests for g in gold} == tests


def distinct(gold: Sequence[Rollout]) -> int:
    return len({normalise(item.code or "") for item in gold})


@pytest.mark.parametrize("seed", range(25))
def test_shuffled_keeps_how_many_solutions_a_problem_has(seed: int) -> None:
    random = Random(seed)
    right = random.sample(range(6), 2)
    drawn = [random.randrange(6) for _ in range(8)]
    items = [
        rollout(program(n), n in right, sample=place, truncated=random.random() < 0.1)
        for place, n in enumerate(drawn)
    ]
    counts = {
        name: distinct([g.rollout for g in by_verdict(name, items, f"{seed}")])
        for name in ("hidden", "shuffled", "wrong", "all")
    }
    assert counts["shuffled"] == counts["hidden"]
    assert counts["all"] == counts["hidden"] + counts["wrong"]


def test_shuffled_is_seeded_and_often_wrong() -> None:
    items = [rollout(program(n), n < 2, sample=n) for n in range(8)]
    chosen = [
        tuple(g.rollout.completion.sample for g in by_verdict("shuffled", items, str(seed)))
        for seed in range(60)
    ]
    assert chosen[0] == tuple(
        g.rollout.completion.sample for g in by_verdict("shuffled", items, "0")
    )
    often = Counter(sample for pair in chosen for sample in pair)
    assert set(often) == set(range(8)), "every sample is taken by some permutation"
    assert all(len(set(pair)) == 2 for pair in chosen)


@pytest.mark.parametrize(
    "code", [None, "", "  \n", "Use this:\n```python\ndef f(x):\n    return x\n```"]
)
def test_what_is_no_program_is_never_a_row(code: str | None) -> None:
    assert not is_row(rollout(code, False))


def test_the_names_are_those_of_the_searches() -> None:
    assert set(SELECTORS) <= set(registry.names())
    assert len(EXPERTS) == 9
    with pytest.raises(ValueError, match="no expert by verdicts: public"):
        by_verdict("public", ITEMS, "s")


def a_problem() -> Problem:
    return make_problem("two_sum", difficulty=1, split="train", seed=0, index=0)


@pytest.mark.parametrize("name", ["hidden", "wrong", "all", "shuffled"])
def test_records_name_their_expert_and_hold_no_verdict(name: str) -> None:
    problem = a_problem()
    items = [rollout(program(n), n % 2 == 0, sample=n, problem=problem.id) for n in (0, 1, 2, 2, 3)]
    expert = Expert(name=name, problems={problem.id: problem}, model_name="m", stream="s")
    store = GoldStore()
    expert.add(store, items[:2])
    expert.add(store, items[2:])
    whole = GoldStore()
    expert.fill(whole)
    assert {one.expert for one in whole.solutions} == {name}
    assert all(one.hidden_passed is None for one in whole.solutions)
    assert all((one.completion or "").startswith("```python") for one in whole.solutions)
    assert expert.taken >= len(whole)
    if name != "shuffled":  # whose permutation may turn as samples come
        assert [s.solution_code for s in store.solutions] == [
            s.solution_code for s in whole.solutions
        ]
