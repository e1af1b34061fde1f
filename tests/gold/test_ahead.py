"""Rounds drawn ahead: what comes out is what rounds that wait for each other give."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.core.types import CaseResult, Completion, Problem, Status, Verdict
from axiom_rl.gold.collect import Tries, to_come, try_unsolved
from axiom_rl.gold.experts import Expert
from axiom_rl.gold.store import GoldStore
from axiom_rl.problems import make_problem
from axiom_rl.problems.splits import Splits
from axiom_rl.rollouts.ahead import VERDICT_STEPS
from axiom_rl.rollouts.draw import Drawn
from axiom_rl.run.folder import Run
from axiom_rl.run.tracking import Tracker
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.base import Key

TYPES = ("reverse_string", "is_palindrome", "fizzbuzz", "two_sum")
PASS = "# passes"


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the midst of a step."""


class Killed(BaseException):
    """kill -9 there: nobody writes anything any more."""


def answer(key: Key, words: int, *, passes: bool) -> str:
    name = key[0].partition("/")[0]
    program = f"def {name}(*given):\n    return {words}, {key[1]}  {PASS if passes else '# fails'}"
    return f"{'word ' * words}\n```python\n{program}\n```"


@dataclass
class World:
    """What a model would say, how long it takes to say it, and which of it passes."""

    seed: int
    problems: int
    rate: float

    def text(self, key: Key) -> str:
        chance = random.Random(f"{self.seed}/{key}")
        return answer(key, chance.choice((2, 5, 9, 40)), passes=chance.random() < self.rate)

    @property
    def ids(self) -> dict[str, Problem]:
        made = [make_problem(kind, difficulty=1) for kind in TYPES[: self.problems]]
        return {problem.id: problem for problem in made}


@dataclass
class Words:
    """A batch whose samples grow by one word in a step."""

    world: World
    asked: set[Key]
    slots: int
    ahead: int
    finished: list[Key]
    stop_after: list[int]
    left: dict[Key, int] = field(default_factory=dict)
    most: int = 0

    @property
    def running(self) -> list[Key]:
        return list(self.left)

    @property
    def free(self) -> int:
        return self.slots - len(self.left)

    @property
    def spare(self) -> int:
        return max(min(self.ahead, self.slots) - len(self.left), 0)

    def start(self, keys: Sequence[Key]) -> None:
        assert len(keys) <= self.free and len(set(keys)) == len(keys)
        for key in keys:
            assert key in self.asked and key not in self.left, "not announced, or running already"
            self.left[key] = len(self.world.text(key).split())
        self.most = max(self.most, len(self.left))

    def drop(self, keys: Collection[Key]) -> int:
        return sum(len(self.world.text(key).split()) - self.left.pop(key) for key in [*keys])

    def step(self) -> list[Completion]:
        if self.stop_after:
            self.stop_after[0] -= 1
            if not self.stop_after[0]:
                self.stop_after.pop(0)
                raise Stopped if len(self.stop_after) % 2 else Killed
        done = [key for key, left in self.left.items() if not left]
        for key in done:
            del self.left[key]
        self.left = {key: left - 1 for key, left in self.left.items()}
        self.finished += done
        return [completion(self.world, key) for key in done]


def completion(world: World, key: Key) -> Completion:
    text = world.text(key)
    return Completion(
        problem_id=key[0],
        sample=key[1],
        text=text,
        prompt_tokens=3,
        completion_tokens=len(text.split()),
        truncated=False,
    )


@dataclass
class Waits:
    """A sampler without a batch: rounds wait for each other."""

    world: World
    finished: list[Key]

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        for request in requests:
            for sample in request.samples:
                assert temperature == (1.0 if sample >= 4 else None)
                self.finished.append((request.problem_id, sample))
                yield completion(self.world, self.finished[-1])


@dataclass
class Ahead(Waits):
    """A sampler with one."""

    slots: int = 12
    ahead: int = 8
    stop_after: list[int] = field(default_factory=list)
    batches: list[Words] = field(default_factory=list)

    @contextmanager
    def batch(self, requests: Mapping[float | None, Sequence[SampleRequest]]) -> Iterator[Words]:
        assert [*requests][-1] == 1.0
        every = [each for asked in requests.values() for each in asked]
        keys = [(each.problem_id, sample) for each in every for sample in each.samples]
        asked = set(keys)
        assert len(asked) == len(keys), "a sample is asked for twice"
        self.batches.append(
            Words(self.world, asked, self.slots, self.ahead, self.finished, self.stop_after)
        )
        yield self.batches[-1]


class Late(Future[Verdict]):
    """A verdict that is there when it was asked for a few times."""

    def __init__(self, verdict: Verdict, asks: int) -> None:
        super().__init__()
        self.set_result(verdict)
        self.asks = asks

    def done(self) -> bool:
        self.asks -= 1
        return self.asks < 0


class Judge:
    """Accepts what says that it passes, sooner or later."""

    stats = SimpleNamespace(candidate_cpu_s=0.0)

    def submit(self, item: tuple[Problem, str | None], *, tests: str = "hidden") -> Late:
        code = item[1] or ""
        passed = PASS in code
        status = Status.ACCEPTED if passed else Status.WRONG_ANSWER
        verdict = Verdict(
            status=status,
            passed=passed,
            pass_fraction=float(passed),
            cases=(CaseResult(index=0, status=status, passed=passed),),
            total_tests=1,
        )
        return Late(verdict, len(code) % 5)


def context_of(folder: Path, sampler: Any, train: Sequence[Problem] = ()) -> RunContext:
    """Return a run in a folder whose programs the scripted judge judges."""
    (folder / "completions").mkdir(parents=True, exist_ok=True)
    unused: Any = None
    judge: Any = Judge()
    return RunContext(
        run=Run(folder, Tracker(folder), []),
        splits=Splits(train=tuple(train), val=(), test=()),
        verifier=judge,
        load_sampler=unused,
        sampler=sampler,
        style="direct",
        seed=0,
        fresh_seed=0,
        model={},
    )


def gather(
    world: World, folder: Path, sampler: Waits, *, budget: int | None, searching: Any = None
) -> tuple[Drawn, list[tuple[str, str]]]:
    """Gather gold with at most 24 attempts from the 4th on, in rounds of 4, 8 and 12."""
    context = context_of(folder, SimpleNamespace(n=4))
    problems, store = world.ids, GoldStore()
    deciding = Expert(
        name="hidden", problems=problems, model_name="m", stream="s", searching=searching
    )
    drawn = try_unsolved(
        *(context, store, deciding, problems, Policy(None, lambda *_: sampler)),
        Tries(phase="attempts", iteration=1, attempts=range(4, 24), budget=budget, temperature=1.0),
        output=folder / "gold.jsonl",
    )
    return drawn, [(item.problem_id, item.solution_code) for item in store.solutions]


def rows(folder: Path) -> list[dict[str, Any]]:
    found = [*read_jsonl(folder / "completions" / "attempts.jsonl")]
    return sorted(found, key=lambda row: (row["problem_id"], row["sample"]))


def keys(drawn: Drawn) -> list[Key]:
    return [(item.completion.problem_id, item.completion.sample) for item in drawn.rollouts]


def words(drawn: Drawn) -> int:
    return sum(item.completion.completion_tokens for item in drawn.rollouts)


SCENES = [
    (World(seed, problems, rate), budget)
    for seed in range(3)
    for problems, rate, budget in [
        (1, 0.0, None), (2, 0.06, None), (4, 0.1, None), (4, 0.1, 40), (3, 0.03, 29), (2, 0.3, 64),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("world", "budget"), SCENES)
def test_what_comes_out_is_what_rounds_that_wait_give(
    world: World, budget: int | None, tmp_path: Path
) -> None:
    waits = Waits(world, [])
    drawn, gold = gather(world, tmp_path / "waits", waits, budget=budget)
    ahead = Ahead(world, [])
    again, same = gather(world, tmp_path / "ahead", ahead, budget=budget)
    assert keys(again) == keys(drawn) and same == gold
    assert rows(tmp_path / "ahead") == rows(tmp_path / "waits")
    assert sorted(keys(again)) == sorted(waits.finished)
    assert words(again) == words(drawn) == drawn.tokens
    assert len(ahead.finished) == len(set(ahead.finished)), "a sample was drawn twice"
    assert not drawn.discarded_tokens
    _counts_what_it_threw_away(tmp_path / "ahead", ahead, again)


def _counts_what_it_threw_away(folder: Path, ahead: Ahead, drawn: Drawn) -> None:
    """Asked for or thrown away: every word that the batch drew is in one of the two numbers."""
    step_to_end = len(ahead.finished)  # a sample takes one step more than it has words
    assert drawn.tokens == words(drawn) + drawn.discarded_tokens + step_to_end
    taken = {*keys(drawn)}
    finished = sum(len(ahead.world.text(key).split()) for key in ahead.finished if key not in taken)
    assert drawn.discarded_tokens >= finished
    assert drawn.discarded_tokens <= 8 * 50 * len(drawn.rollouts), "a bound by the rows ahead"
    assert [batch.left for batch in ahead.batches] == [{}], "something runs on"
    assert ahead.batches[0].most <= 12
    kept = folder / "checkpoints" / "ahead_attempts.jsonl"
    assert (kept.exists() or not finished) and not (folder / "ahead_attempts.jsonl").exists()


@pytest.mark.parametrize(("world", "budget"), SCENES[1::2])
def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_gold(
    world: World, budget: int | None, tmp_path: Path
) -> None:
    drawn, gold = gather(world, tmp_path / "waits", Waits(world, []), budget=budget)
    ahead = Ahead(world, [], stop_after=[3, 11, 14, 22, 12, 45])
    folder, before = tmp_path / "ahead", set[Key]()
    while ahead.stop_after:
        try:
            gather(world, folder, ahead, budget=budget)
        except (Stopped, Killed):
            on_disk = written(folder)
            assert before <= on_disk, "what was written is lost"
            assert len(on_disk) >= len(ahead.finished) - 12, "more is lost than ran in one go"
            lost = {*ahead.finished} - on_disk
            ahead.finished[:] = [key for key in ahead.finished if key not in lost]
            before = on_disk
        else:
            break
    again, same = gather(world, folder, ahead, budget=budget)
    assert keys(again) == keys(drawn) and same == gold
    assert _plain(rows(folder)) == _plain(rows(tmp_path / "waits"))
    assert len(ahead.finished) == len(set(ahead.finished)), "a judged sample was drawn again"
    once = again.discarded_tokens
    asked = len(ahead.finished)
    over, _ = gather(world, folder, ahead, budget=budget)
    assert (over.discarded_tokens, len(ahead.finished), over.tokens) == (once, asked, 0)


def written(folder: Path) -> set[Key]:
    files = [folder / "completions" / "attempts.jsonl"]
    files.append(folder / "checkpoints" / "ahead_attempts.jsonl")
    found = [row for file in files if file.exists() for row in read_jsonl(file)]
    return {(row["problem_id"], row["sample"]) for row in found}


def _plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what a verdict read back from disk does not hold: its cases."""
    verdicts = ("hidden", "fresh")
    return [{key: value for key, value in row.items() if key not in verdicts} for row in found]


def test_a_solved_problem_is_broken_off_and_the_others_take_its_place(tmp_path: Path) -> None:
    """The first problem passes at once; what ran ahead of it ends, and is counted to the word."""

    class First(World):
        def text(self, key: Key) -> str:
            quick = key[0].startswith("reverse") and key[1] == 4
            return answer(key, 1 if quick else 30, passes=quick)

    world = First(0, 2, 0.0)
    ahead = Ahead(world, [], slots=16, ahead=16)
    drawn, gold = gather(world, tmp_path, ahead, budget=None)
    assert [problem_id.partition("/")[0] for problem_id, _ in gold] == ["reverse_string"]
    reverse = [sample for problem_id, sample in keys(drawn) if problem_id.startswith("reverse")]
    assert reverse == [4, 5, 6, 7]
    ended = {sample for problem_id, sample in ahead.finished if problem_id.startswith("reverse")}
    assert ended == {4, 5, 6, 7}, "nothing of it is drawn to its end"
    assert 0 < drawn.discarded_tokens <= 4 * (15 + VERDICT_STEPS), (
        "four samples of it ran ahead for some steps"
    )
    assert drawn.discarded_tokens == _broken_off(tmp_path)


def _broken_off(folder: Path) -> int:
    path = folder / "checkpoints" / "ahead_attempts.json"
    return int(read_json(path)["broken_off_tokens"])


def test_a_real_model_draws_ahead_what_it_draws_in_rounds(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    """In float32, with prompts shared and rows broken off: every token of every file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from axiom_rl.config import TransformersSamplerConfig
    from axiom_rl.sampling.hf.sampler import TransformersSampler

    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    values: dict[str, Any] = {"backend": "transformers", "n": 4, "temperature": 0.7, "top_p": 1.0}
    values |= {"max_new_tokens": 10, "memory_gb": 1.0, "max_batch": 20}
    real = TransformersSampler(model.eval(), tokenizer, TransformersSamplerConfig(**values))
    unused: Any = SimpleNamespace(sample=real.sample)
    world = World(0, 2, 0.0)
    drawn, _ = gather(world, tmp_path / "waits", unused, budget=37)
    real_too: Any = real
    again, _ = gather(world, tmp_path / "ahead", real_too, budget=37)
    assert keys(again) == keys(drawn) and len(keys(drawn)) == 36
    ahead, waits = rows(tmp_path / "ahead"), rows(tmp_path / "waits")
    for row, other in zip(ahead, waits, strict=True):
        assert row.pop("logprobs") == pytest.approx(other.pop("logprobs"), abs=2e-5)
        assert row == other
    assert (tmp_path / "ahead" / "checkpoints" / "ahead_attempts.jsonl").exists()
    assert words(again) == words(drawn) and again.discarded_tokens == 0


def test_an_expert_that_searches_decides_over_whole_rounds_and_nothing_runs_ahead(
    tmp_path: Path,
) -> None:
    world = World(0, 2, 0.1)
    ahead = Ahead(world, [])
    gather(world, tmp_path, ahead, budget=None, searching=object())
    assert ahead.batches == []


@pytest.mark.parametrize(
    ("left", "solved", "expected"),
    [
        (None, {}, [(8, "a"), (8, "b"), (9, "a"), (9, "b"), (10, "a"), (10, "b")]),
        (None, {"a": 5}, [(8, "b"), (9, "b"), (10, "b")]),
        (None, {"a": 8}, [(8, "a"), (8, "b"), (9, "a"), (9, "b"), (10, "b")]),
        (None, {"a": 5, "b": 7}, []),
        (5, {}, [(8, "a"), (8, "b"), (9, "a"), (9, "b")]),
        (1, {}, []),
        (1, {"b": 0}, [(8, "a")]),
        (3, {"b": 9}, [(8, "a"), (8, "b")]),
    ],
)
def test_to_come_is_what_the_plan_asks_if_nothing_more_passes(
    left: int | None, solved: dict[str, int], expected: list[tuple[int, str]]
) -> None:
    found = to_come(["a", "b"], [range(8, 10), range(10, 11)], left, solved)
    assert [(sample, problem_id) for problem_id, sample in found] == expected


def test_what_runs_beside_what_does_not_depend_on_how_soon_verdicts_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    for name, done in (("at once", True), ("late", False)):
        monkeypatch.setattr(Late, "done", lambda _late, done=done: done)
        ahead = Ahead(World(1, 4, 0.1), [])
        drawn, _ = gather(ahead.world, tmp_path / name, ahead, budget=None)
        orders.append((ahead.finished, drawn.discarded_tokens))
    assert orders[0] == orders[1]
