"""Groups of a step: drawn, judged, replaced where they have no signal, and counted honestly."""

from __future__ import annotations

import functools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_run import PALINDROME, REVERSE, WRONG, composed

from axiom_rl.config import CurriculumConfig, GrpoConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.problems import make_problem
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.rollouts import rewards
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.trainers.grpo.groups import Batch, Group, GroupSource, _replace
from axiom_rl.verify import Verifier

FAULT = "```python\ndef reverse_string(s):\n    FAULT\n```"
NO_CODE = "I do not know."
SIZE = 4
Script = Callable[[SampleRequest, int], str]


class Faulty(Verifier):
    """A verifier whose sandbox fails for programs that say so."""

    def submit(self, candidate: tuple[Problem, str | None]) -> Future[Verdict]:
        if candidate[1] is None or "FAULT" not in candidate[1]:
            return super().submit(candidate)
        future: Future[Verdict] = Future()
        total = len(candidate[0].hidden_tests)
        future.set_result(
            Verdict(status=Status.SANDBOX_FAULT, passed=False, pass_fraction=0.0, total_tests=total)
        )
        return future


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Faulty(composed("trainer=grpo", "sandbox=debug").sandbox) as made:
        yield made


@functools.cache
def problem(index: int = 0, of: str = "reverse_string") -> Problem:
    return make_problem(of, difficulty=1, split="train", seed=0, index=index)


def some(count: int) -> list[Problem]:
    return [problem(index) for index in range(count)]


def attempt(request: SampleRequest) -> int:
    """Whether a request replaces groups: 0 for the first groups of a step, 1 for extra ones."""
    return int(request.stream.rpartition("/")[2])


def mixed(_request: SampleRequest, sample: int) -> str:
    return REVERSE if sample % 2 else NO_CODE


def dull(_request: SampleRequest, _sample: int) -> str:
    return NO_CODE


def dull_at_first(request: SampleRequest, sample: int) -> str:
    return mixed(request, sample) if attempt(request) else NO_CODE


@dataclass
class Play:
    """A source of groups with a script, and what was asked of the script."""

    verifier: Verifier
    folder: Path
    problems: Sequence[Problem]
    script: Script
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "completions" / "grpo.jsonl"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(read_jsonl(self.path))

    def say(self, request: SampleRequest, sample: int) -> str:
        self.asked.append((request.stream, request.problem_id, sample))
        return self.script(request, sample)

    def source(
        self,
        *,
        sampler: type[ScriptedSampler] = ScriptedSampler,
        reward: str = "binary",
        focus: float = 0.0,
        seed: int = 0,
        **changes: Any,
    ) -> GroupSource:
        trainer = composed(
            "trainer=grpo", "sandbox=debug", "trainer.rewards={fraction: 1.0}"
        ).trainer
        assert isinstance(trainer, GrpoConfig)
        rules = CurriculumConfig(kind="uniform", low=0.1, high=0.8, window=16, focus=focus)
        return GroupSource(
            replace(trainer, **{"rewards": {reward: 1.0}} | changes),
            Curriculum(self.problems, rules, seed),
            sampler=lambda: sampler(self.say),
            verifier=self.verifier,
            style="direct",
            seed=seed,
            group_size=SIZE,
            max_length=20,
            completions=self.path,
        )


Start = Callable[[Sequence[Problem], Script], Play]


@pytest.fixture
def start(verifier: Verifier, tmp_path: Path) -> Start:
    return lambda problems, script: Play(verifier, tmp_path, problems, script)


def names(groups: Sequence[Group]) -> list[str]:
    return [group.problem.id for group in groups]


def test_groups_with_signal_are_used_and_nothing_more_is_drawn(start: Start) -> None:
    play = start(some(3), mixed)
    batch = play.source().draw(7, 2)
    assert len(batch.used) == 2 and batch.thrown_away == ()
    assert {stream.rpartition("/")[0] for stream, _, _ in play.asked} == {"0/grpo/7"}
    for group in batch.used:
        assert group.rewards == (0.0, 1.0, 0.0, 1.0) and group.pass_rate == 0.5
        assert {item.completion.problem_id for item in group.rollouts} == {group.problem.id}
        assert [item.completion.sample for item in group.rollouts] == [0, 1, 2, 3]
    assert batch.seconds >= batch.verify_seconds >= 0


@pytest.mark.parametrize("text", [REVERSE, NO_CODE, FAULT])
def test_groups_that_earn_the_same_are_replaced_by_others(start: Start, text: str) -> None:
    """All right, all wrong, and all faults, which have no reward at all."""
    first: list[str] = []

    def script(request: SampleRequest, sample: int) -> str:
        if not attempt(request) and request.problem_id not in first:
            first.append(request.problem_id)
        is_dull = not attempt(request) and first.index(request.problem_id) == 1
        return text if is_dull else mixed(request, sample)

    batch = start(some(6), script).source().draw(1, 3)
    used = names(batch.used)
    assert (used[0], used[2]) == (first[0], first[2]) and used[1] not in first
    assert names(batch.thrown_away) == [first[1]]
    assert [group.has_signal for group in batch.used] == [True] * 3


def test_extra_groups_without_signal_are_thrown_away_too(start: Start) -> None:
    play = start(some(9), dull)
    batch = play.source(max_extra_groups=3).draw(1, 4)
    assert len(batch.used) == 4 and len(batch.thrown_away) == 3
    assert [int(stream.rpartition("/")[2]) for stream, _, _ in play.asked] == [0] * 16 + [1] * 12
    assert batch.numbers()["zero_variance_share"] == 1.0
    assert batch.numbers()["zero_variance_used"] == 1.0


@pytest.mark.parametrize("changes", [{"max_extra_groups": 0}, {"dynamic_sampling": False}])
def test_no_extra_group_is_drawn_where_none_is_wanted(
    start: Start, changes: dict[str, Any]
) -> None:
    play = start(some(9), dull_at_first)
    batch = play.source(**changes).draw(1, 4)
    assert len(play.asked) == 16 and batch.thrown_away == ()
    assert not any(group.has_signal for group in batch.used)
    assert batch.numbers()["extra_groups"] == batch.numbers()["thrown_away_tokens"] == 0


@pytest.mark.parametrize(("cap", "replaced"), [(1, 1), (2, 2), (4, 4), (50, 4)])
def test_extra_groups_are_capped_and_never_more_than_needed(
    start: Start, cap: int, replaced: int
) -> None:
    batch = start(some(12), dull_at_first).source(max_extra_groups=cap).draw(1, 4)
    assert [group.has_signal for group in batch.used] == [True] * replaced + [False] * (
        4 - replaced
    )
    assert len(batch.thrown_away) == batch.numbers()["extra_groups"] == replaced
    assert batch.numbers()["zero_variance_used"] == 1 - replaced / 4
    assert batch.numbers()["zero_variance_share"] == 4 / (4 + replaced)


def test_the_numbers_are_over_all_that_was_drawn(start: Start) -> None:
    def script(request: SampleRequest, sample: int) -> str:
        return mixed(request, sample) if attempt(request) else WRONG

    batch = start(some(5), script).source().draw(1, 2)
    numbers = batch.numbers()
    words = {text: len(text.split()) for text in (REVERSE, NO_CODE, WRONG)}
    extra = 4 * words[REVERSE] + 4 * words[NO_CODE]
    assert numbers["samples"] == 16 and numbers["extra_groups"] == 2
    assert numbers["tokens"] == 8 * words[WRONG] + extra
    assert numbers["thrown_away_tokens"] == 8 * words[WRONG]
    assert numbers["completion_length"] == numbers["tokens"] / 16
    assert numbers["completion_length_max"] == max(words.values())
    assert numbers["pass_rate"] == numbers["reward"] == 0.25
    assert numbers["verdicts"] == {"accepted": 4, "no_code": 4, "wrong_answer": 8}
    assert numbers["problems"] == {"reverse_string": 4}
    assert numbers["truncated_share"] == numbers["faults"] == 0
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers


def test_faults_are_counted_and_are_in_no_mean(start: Start) -> None:
    play = start(some(1), lambda _, sample: (FAULT, REVERSE, FAULT, NO_CODE)[sample])
    source = play.source()
    batch = source.draw(1, 1)
    (group,) = batch.used
    assert group.rewards == (None, 1.0, None, 0.0) and group.pass_rate == 0.5
    assert group.has_signal and batch.thrown_away == ()
    numbers = batch.numbers()
    assert (numbers["faults"], numbers["samples"]) == (2, 4)
    assert numbers["pass_rate"] == numbers["reward"] == 0.5
    assert numbers["tokens"] == sum(len(t.split()) for t in (FAULT, FAULT, REVERSE, NO_CODE))
    assert source.curriculum.state()["recent"][group.problem.id] == [0.5]
    assert [row["reward"] for row in play.rows] == [None, 1.0, None, 0.0]


def test_a_step_of_nothing_but_faults_teaches_the_curriculum_nothing(start: Start) -> None:
    play = start(some(2), lambda *_: FAULT)
    source = play.source()
    batch = source.draw(1, 2)
    assert source.curriculum.state()["recent"] == {}
    assert [group.pass_rate for group in (*batch.used, *batch.thrown_away)] == [None] * 4
    numbers = batch.numbers()
    assert numbers["reward"] is numbers["pass_rate"] is None
    assert numbers["faults"] == numbers["samples"] == 16
    json.dumps(numbers, allow_nan=False)


def test_one_reward_among_faults_is_no_signal(start: Start) -> None:
    play = start(some(1), lambda _, sample: REVERSE if sample == 2 else FAULT)
    (group,) = play.source(max_extra_groups=0).draw(1, 1).used
    assert not group.has_signal and group.pass_rate == 1.0


def test_a_reward_function_that_counts_no_row_gives_no_signal(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = start(some(2), mixed)
    monkeypatch.setitem(rewards._REWARDS, "nothing", lambda _verdict: None)
    source = play.source(reward="nothing")
    batch = source.draw(1, 1)
    assert batch.numbers()["reward"] is None and batch.numbers()["pass_rate"] == 0.5
    assert batch.numbers()["faults"] == 0, "the sandbox did its work"
    assert batch.used[0].rewards == (None,) * 4 and not batch.used[0].has_signal


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_finite_number_stops_the_run(
    start: Start, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One infinity in a group makes every advantage of it NaN, and then every weight."""
    play = start(some(2), mixed)
    monkeypatch.setitem(rewards._REWARDS, "odd", lambda v: value if v.passed else 0.0)
    source = play.source(reward="odd")
    with pytest.raises(AxiomError, match=r"trainer\.rewards: odd returned"):
        source.draw(1, 1)


def test_several_rewards_are_weighted_and_each_is_logged(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def longer(problem: Problem, completion: Completion, tokens: tuple[int, ...]) -> float:
        seen.append((problem.type, completion.sample, tokens))
        return float(len(completion.text))

    monkeypatch.setitem(rewards._REWARDS, "longer", longer)
    play = start(some(1), lambda _, sample: (REVERSE, NO_CODE, FAULT)[min(sample, 2)])
    source = play.source(rewards={"binary": 1.0, "longer": 0.25, "fraction": 0})
    batch = source.draw(1, 1)
    right, none = len(REVERSE), len(NO_CODE)
    assert batch.used[0].rewards == (1 + right / 4, none / 4, None, None)
    each = {"binary": 0.5, "longer": (right + none) / 2, "fraction": 0.5}
    assert batch.numbers()["rewards"] == each, "faults are in no mean"
    assert [row["rewards"]["longer"] for row in play.rows] == [right, none, None, None]
    assert seen == [("reverse_string", 0, ()), ("reverse_string", 1, ())], "faults are not shown"


def test_differences_of_rounding_are_no_signal() -> None:
    def group(*earned: float | None) -> Group:
        return Group(problem=problem(), rollouts=(), rewards=earned)

    assert not group(0.1 + 0.2, 0.3).has_signal
    assert not group().has_signal and not group(None, None).has_signal
    assert not group(1.0, None, 1.0).has_signal
    assert group(0.3, 0.3 + 1e-6).has_signal and group(None, -1.0, 1.0).has_signal


def test_a_pool_of_one_fills_every_group_with_samples_of_its_own(start: Start) -> None:
    play = start(some(1), mixed)
    batch = play.source().draw(1, 3)
    assert names(batch.used) == [problem().id] * 3
    samples = [item.completion.sample for group in batch.used for item in group.rollouts]
    assert samples == list(range(3 * SIZE))
    assert len(play.asked) == len(set(play.asked)) == 12


def test_a_pool_smaller_than_the_count_repeats_no_problem_more_than_another(start: Start) -> None:
    batch = start(some(3), mixed).source().draw(1, 7)
    times = Counter(names(batch.used))
    assert sorted(times.values()) == [2, 2, 3]
    for group in batch.used:
        assert len({item.completion.sample for item in group.rollouts}) == SIZE


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_sample_index_names_one_row_of_a_step(start: Start, size: int) -> None:
    """Also where extra groups are of the same problem, as there is no other."""
    play = start(some(size), dull_at_first)
    source = play.source()
    for step in (1, 2):
        source.draw(step, 2)
    rows = [(row["step"], row["problem_id"], row["sample"]) for row in play.rows]
    assert len(rows) == 2 * 4 * SIZE
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("seed", range(4))
def test_extra_groups_are_of_other_problems_while_there_are_any(start: Start, seed: int) -> None:
    """Also where focus would draw the weak one ten times before the strong one."""
    weak, strong = problem(), problem(of="is_palindrome")
    play = start([weak, strong], dull)
    source = play.source(focus=1.0, seed=seed)
    source.curriculum.observe(strong.id, 1.0)
    for step in range(1, 5):
        batch = source.draw(step, 1)
        assert {*names(batch.used), *names(batch.thrown_away)} == {weak.id, strong.id}


def test_a_step_draws_the_same_again_and_other_steps_and_seeds_draw_others(start: Start) -> None:
    def chance(request: SampleRequest, sample: int) -> str:
        name = f"{request.stream}/{request.problem_id}/{sample}"
        return random.Random(name).choice([REVERSE, WRONG, NO_CODE])

    seen = []
    for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1)):
        play = start(some(5), chance)
        batch = play.source(seed=seed, reward="fraction").draw(step, 3)
        texts = [item.completion.text for g in batch.used for item in g.rollouts]
        seen.append((names(batch.used), names(batch.thrown_away), texts, play.asked))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2] and seen[0] != seen[3]


def test_the_order_of_finishing_does_not_matter(start: Start) -> None:
    class Shuffled(ScriptedSampler):
        def sample(
            self, requests: Sequence[SampleRequest], *, temperature: float | None = None
        ) -> Iterator[Completion]:
            items = list(super().sample(requests))
            random.Random(3).shuffle(items)
            return iter(items)

    def outcome(sampler: type[ScriptedSampler]) -> list[tuple[str, tuple[float | None, ...]]]:
        play = start(some(2), lambda _, sample: (REVERSE, WRONG, NO_CODE, FAULT)[sample % 4])
        batch = play.source(sampler=sampler, reward="fraction").draw(1, 3)
        return [(group.problem.id, group.rewards) for group in batch.used]

    assert outcome(Shuffled) == outcome(ScriptedSampler)


def test_every_sample_is_written_with_its_step_reward_and_use(start: Start) -> None:
    def script(request: SampleRequest, sample: int) -> str:
        return dull_at_first(request, sample)

    play = start(some(6), script)
    source = play.source()
    batches = [source.draw(step, 2) for step in (1, 2)]
    rows = play.rows
    assert len(rows) == sum(batch.numbers()["samples"] for batch in batches) == 32
    for step, batch in enumerate(batches, start=1):
        own = [row for row in rows if row["step"] == step]
        used = [row["problem_id"] for row in own if row["used"]]
        assert Counter(used) == Counter(dict.fromkeys(names(batch.used), SIZE))
        assert sum(row["completion_tokens"] for row in own) == batch.numbers()["tokens"]
        wasted = sum(row["completion_tokens"] for row in own if not row["used"])
        assert wasted == batch.numbers()["thrown_away_tokens"] > 0
    assert {(row["phase"], row["iteration"]) for row in rows} == {("grpo", 1)}
    for row in rows:
        assert row["reward"] == float(row["hidden"]["passed"])


def test_the_curriculum_learns_from_every_group_drawn(start: Start) -> None:
    play = start(some(4), dull_at_first)
    source = play.source()
    batch = source.draw(1, 2)
    recent = source.curriculum.state()["recent"]
    assert {name: recent[name] for name in names(batch.used)} == {
        name: [0.5] for name in names(batch.used)
    }
    assert [recent[name] for name in names(batch.thrown_away)] == [[0.0], [0.0]]
    assert sorted(recent["type:reverse_string"]) == [0.0, 0.0, 0.5, 0.5]


def test_small_terms_come_with_the_answers_form_and_length(start: Start) -> None:
    class Cut(ScriptedSampler):
        def sample(
            self, requests: Sequence[SampleRequest], *, temperature: float | None = None
        ) -> Iterator[Completion]:
            for item in super().sample(requests):
                long = 20 if item.sample % 2 else 10
                yield replace(item, truncated=bool(item.sample % 2), completion_tokens=long)

    play = start(some(1), lambda _, sample: (NO_CODE, NO_CODE, REVERSE, REVERSE)[sample])
    source = play.source(
        sampler=Cut, failure_reward=-1.0, format_weight=0.4, length_weight=0.2, max_extra_groups=0
    )
    (group,) = source.draw(1, 1).used
    test = 1 / len(problem().hidden_tests)
    wanted = (-1 - 0.1 * test, -1 - 0.2 * test, 1 + 0.3 * test, 1 - 0.2 * test)
    assert group.rewards == pytest.approx(wanted, abs=1e-12)
    assert play.source(sampler=Cut).draw(2, 1).numbers()["truncated_share"] == 0.5


def test_each_type_is_judged_by_its_own_tests(start: Start) -> None:
    both = [problem(), problem(of="is_palindrome")]
    batch = start(both, lambda _, sample: REVERSE if sample % 2 else PALINDROME).source().draw(1, 2)
    rewards_of = {group.problem.type: group.rewards for group in batch.used}
    assert rewards_of == {
        "reverse_string": (0.0, 1.0, 0.0, 1.0),
        "is_palindrome": (1.0, 0.0, 1.0, 0.0),
    }
    assert batch.numbers()["problems"] == {"is_palindrome": 1, "reverse_string": 1}


def test_the_sampler_is_asked_for_when_it_is_needed_and_its_errors_come_through(
    start: Start,
) -> None:
    def broken(request: SampleRequest, sample: int) -> str:
        if attempt(request):
            raise AxiomError("no memory left")
        return NO_CODE

    play = start(some(4), broken)
    with pytest.raises(AxiomError, match="no memory left"):
        play.source().draw(1, 2)
    assert not play.path.exists(), "a step is written whole"


@given(st.lists(st.booleans(), max_size=8), st.lists(st.booleans(), max_size=8))
def test_replacing_loses_no_group_and_throws_no_signal_away_in_vain(
    first: list[bool], extra: list[bool]
) -> None:
    def groups(signals: list[bool]) -> list[Group]:
        return [Group(problem=problem(), rollouts=(), rewards=(0.0, float(s))) for s in signals]

    old, new = groups(first), groups(extra)
    used, thrown_away = _replace(old, new)
    assert len(used) == len(old)
    assert sorted(map(id, (*used, *thrown_away))) == sorted(map(id, (*old, *new)))
    assert all(mine is his for mine, his in zip(used, old, strict=True) if his.has_signal)
    if not all(group.has_signal for group in used):
        assert not any(group.has_signal for group in thrown_away)


def test_numbers_of_a_batch_without_time_divide_by_nothing() -> None:
    verdict = Verdict(status=Status.NO_CODE, passed=False, pass_fraction=0.0, total_tests=2)
    said = Completion(
        problem_id="x", sample=0, text="", prompt_tokens=1, completion_tokens=0, truncated=True
    )
    item = Rollout(completion=said, code=None, hidden=verdict, fresh=None)
    group = Group(problem=problem(), rollouts=(item,), rewards=(0.0,))
    batch = Batch(used=(group,), thrown_away=(), seconds=0.5, verify_seconds=0.6)
    numbers = batch.numbers()
    assert numbers["tokens"] == numbers["completion_length_max"] == 0
    assert numbers["generation_seconds"] >= 0 and numbers["truncated_share"] == 1.0
