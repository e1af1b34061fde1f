"""Gold by a value head: hand-made heads on the tiny model, whose right choice is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scripted_run import Stage, Stopped
from test_experts_run import OPTIONS, bodies, collected, gold, say

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.core.types import Completion, Problem
from axiom_rl.models.load import load_tokenizer
from axiom_rl.problems.splits import read_problems
from axiom_rl.report.page import write_report
from axiom_rl.rollouts.records import read_rollouts
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.value import features
from axiom_rl.value.head import END, PREFIX, Probe, SeenProblems, ValueHead, save_head
from axiom_rl.value.recipe import Recipe, question_hash, short_hash

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

TESTED = "problems.sizes.test=1"
TYPES = ("reverse_string", "is_palindrome")
LONGEST, SHORTEST = 1.0, -1.0
"""Weight of a head on the logarithm of the length."""


def anew(request: SampleRequest, sample: int) -> str:
    """The same programs in each phase, in other words."""
    phase = request.stream.partition("/")[2]
    return f"As {phase}: {say(request, sample)}"


class InTokens(ScriptedSampler):
    """Answers by a script, in the tokens of the tiny model; it says when it makes room."""

    def __init__(self, stage: Stage, tokenizer: Any, events: list[str]) -> None:
        super().__init__(stage.say)
        self.tokenizer, self.events = tokenizer, events

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        self.events.append("sample")
        sizes = {r.problem_id: len(prompt_tokens(self.tokenizer, r.messages)) for r in requests}
        for done in super().sample(requests, temperature=temperature):
            ids = tuple(self.tokenizer(done.text, add_special_tokens=False)["input_ids"])
            size = sizes[done.problem_id]
            yield replace(done, token_ids=ids, prompt_tokens=size, completion_tokens=len(ids))

    def rest(self) -> None:
        self.events.append("rest")


@pytest.fixture
def events(stage: Stage, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sampled from, let go of and read, in order."""
    seen: list[str] = []
    tokenizer, read = load_tokenizer(resolved), features.open_reader

    def load(adapter: str | None) -> InTokens:
        stage.adapters.append(adapter)
        return InTokens(stage, tokenizer, seen)

    def noted(*given: Any) -> Any:
        seen.append("read")
        return read(*given)

    monkeypatch.setattr(stage, "load", load)
    monkeypatch.setattr("axiom_rl.stages.opening._sampler_loader", lambda *_: load)
    monkeypatch.setattr(features, "open_reader", noted)
    stage.script = anew
    stage.overrides = (*stage.overrides, *OPTIONS)
    return seen


def a_head(
    folder: Path,
    resolved: ResolvedModel,
    weight: float = LONGEST,
    *,
    inputs: tuple[str, ...] = ("length",),
    seen: Sequence[Problem] = (),
    folds: Sequence[str] = (),
    **changed: Any,
) -> tuple[str, str]:
    """A linear head of one input; returns what is typed for it."""
    probe = Probe(
        mean=np.zeros(1), scale=np.ones(1), layers=((np.full((1, 1), weight), np.zeros(1)),)
    )
    head = ValueHead(
        probes={(fold, part): probe for fold in ("", *folds) for part in (END, PREFIX)},
        base={"sha256": resolved.sha256, "name": "tiny", "format": "safetensors float32"},
        adapter_sha256="",
        recipe=Recipe(layer=0.5, every=16),
        inputs=inputs,
        seen=SeenProblems(
            ids=tuple(problem.id for problem in seen),
            questions=tuple(question_hash(problem) for problem in seen),
            types=tuple(problem.type for problem in seen),
            pools=("elsewhere",),
        ),
    )
    save_head(folder / "value", replace(head, **changed), {})
    return "search=value", f"search.head={folder / 'value'}"


def stored(folder: Path) -> list[tuple[str, int, str]]:
    """Samples whose features lie in a run, as often as they were read."""
    paths = [*(folder / "search").glob("features_*.jsonl")]
    rows = [row for path in paths for row in read_jsonl(path)]
    return [(row["problem_id"], row["sample"], row["text"]) for row in rows]


def assert_room_was_made(events: Sequence[str]) -> None:
    assert "read" in events
    sampling = False
    for event in events:
        assert not (event == "read" and sampling), "read beside a sampler that holds its memory"
        sampling = event == "sample" or (sampling and event != "rest")


@pytest.mark.usefixtures("recwarn")
@pytest.mark.slow
def test_gold_is_the_heads_choice_among_the_survivors(
    stage: Stage,
    events: list[str],
    tmp_path: Path,
    resolved: ResolvedModel,
) -> None:
    typed = a_head(tmp_path, resolved, LONGEST)
    options = ("trainer.expert=value", "trainer.iterations=2", TESTED)
    folder = stage.run(tmp_path / "run", *options, *typed)
    assert bodies(folder, "reverse_string") == {1}, "it is hard-coded, and the longest"
    assert len(bodies(folder, "is_palindrome")) == 1
    rows = list(read_jsonl(folder / "solutions" / "iter_1.jsonl"))
    assert {row["expert"] for row in rows} == {"value"}
    assert {row["hidden_passed"] for row in rows} == {None}
    assert collected(folder)["false_gold_total"] > 0
    for phase in ("before", "iter_1", "iter_2"):
        document = read_json(folder / "search" / f"{phase}.json")
        assert [*document["searches"]] == ["value", "oracle"] and not document["not_available"]
        assert document["value_tokens"] > 0
    retention = read_json(folder / "search" / "retention.json")
    assert retention["learned_from"] == "value" and not retention["not_available"]
    assert [*retention["retention"]] == ["value", "oracle"]
    assert max(Counter(stored(folder)).values()) == 1
    assert_room_was_made(events)
    assert events.count("read") == 5, "three evaluations, and the train samples of two"
    write_report(folder)
    assert "| value (learned from) |" in (folder / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_log_probabilities_are_those_of_the_heads_own_policy(
    stage: Stage, events: list[str], tmp_path: Path, resolved: ResolvedModel
) -> None:
    """The samples have none of their own here, and those of an adapter are another policy's."""
    typed = a_head(tmp_path, resolved, inputs=("logprob",))
    options = ("trainer.expert=value", TESTED, *typed)
    folder = stage.run(tmp_path / "run", *options)
    (path,) = (folder / "search").glob("features_*.jsonl")
    read = {(r["problem_id"], r["sample"], r["text"]): r["logprobs"][-1] for r in read_jsonl(path)}
    assert len(read) == len(stored(folder)) and all(mean < 0 for mean in read.values())
    train = read_problems(folder / "problems" / "train.jsonl")
    (problem,) = [problem for problem in train if problem.type == "reverse_string"]
    drawn = read_rollouts(folder / "completions" / "before.jsonl")
    texts = {short_hash(item.completion.text) for item in drawn}
    likely = {
        key[1]: mean for key, mean in read.items() if key[0] == problem.id and key[2] in texts
    }
    assert set(likely) == {1, 2, 4, 5, 6}, "the survivors are read, and no others"
    best = max(likely, key=lambda place: (likely[place], -place))
    assert bodies(folder, "reverse_string") == {best}


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_stopped_anywhere_it_reads_nothing_twice_and_finds_the_same_gold(
    stage: Stage,
    events: list[str],
    tmp_path: Path,
    resolved: ResolvedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _search, head = a_head(tmp_path, resolved)
    options = (
        "trainer.expert=vote_value",
        "search=vote_value",
        head,
        TESTED,
        "trainer.iterations=2",
    )
    whole = stage.run(tmp_path / "whole", *options)
    written, count = features.append_jsonl, [0]

    def stop(path: Path, rows: list[dict[str, Any]]) -> None:
        written(path, rows)
        count[0] += 1
        if count[0] in (1, 4):
            raise Stopped(str(path))

    monkeypatch.setattr(features, "append_jsonl", stop)
    monkeypatch.setattr(features, "TOGETHER", 2)
    stage.drawn.clear()
    stage.stops = ["before collect/1 is recorded", "before collect/2 is recorded"]
    for _ in range(4):
        with pytest.raises(Stopped):
            stage.run(tmp_path / "stopped", *options)
    stopped = stage.run(tmp_path / "stopped", *options)
    assert [gold(stopped, n) for n in (1, 2)] == [gold(whole, n) for n in (1, 2)]
    assert sorted(stored(stopped)) == sorted(stored(whole))
    assert len(set(stored(stopped))) == len(stored(stopped))
    assert len(stage.drawn) == len(set(stage.drawn)), "nothing is drawn twice"
    both = [read_json(folder / "search" / "retention.json") for folder in (whole, stopped)]
    assert both[0]["retention"] == both[1]["retention"]

    events.clear()
    again = (f"trainer.pool={stopped}", *options[:4], "trainer.arms=[hidden,vote_value]")
    third = stage.run(tmp_path / "arm", *again)
    assert read_json(third / "arms.json")["arms"].keys() == {"hidden", "vote_value"}
    assert "read" not in events, "what the pool's run read comes with the pool"


@pytest.mark.usefixtures("recwarn")
def test_a_collection_judges_rounds_of_other_prompts_as_own_answers(
    stage: Stage, events: list[str], tmp_path: Path, resolved: ResolvedModel
) -> None:
    def late(request: SampleRequest, sample: int) -> str:
        """The palindrome's examples are passed in the round alone, whose samples begin at 0."""
        asked = request.stream.endswith("/collect_shots")
        if request.problem_id.startswith("is_palindrome") and not asked:
            return "def is_palindrome(s):\n    return 'no, ' + s"
        return say(request, sample)

    stage.script = late
    stage.overrides = tuple(o for o in stage.overrides if not o.startswith("trainer."))
    out = tmp_path / "gold.jsonl"
    rounds = "+stage.rounds={shots: {how: few_shot, temperature: 1.0, samples: 8}}"
    typed = a_head(tmp_path, resolved, inputs=("logprob",))
    options = ("stage=collect", "stage.expert=value", "stage.max_attempts=8", rounds)
    folder = stage.run(tmp_path / "run", *options, f"stage.output={out}", *typed)
    found = [row["problem_id"].partition("/")[0] for row in read_jsonl(out)]
    assert sorted(found) == ["is_palindrome", "reverse_string"]
    row = collected(folder)
    assert row["expert"] == "value" and row["taken"] == row["solutions"] == 2
    assert len(set(stored(folder))) == len(stored(folder)), "counting at the end read nothing anew"
    assert_room_was_made(events)


@pytest.fixture
def own(stage: Stage, events: list[str], tmp_path: Path) -> list[Problem]:
    """The train problems of the runs."""
    folder = stage.run(tmp_path / "pool", "stage=evaluate", "stage.split=train")
    stage.drawn.clear()
    return list(read_problems(folder / "problems" / "train.jsonl"))


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_head_that_must_not_decide_is_refused_before_anything_is_drawn(
    stage: Stage, tmp_path: Path, resolved: ResolvedModel, own: list[Problem]
) -> None:
    for number, (made, options, message) in enumerate(
        [
            (
                {"base": {"sha256": "0", "name": "big", "format": "x"}},
                (),
                "samples of big.* of tiny",
            ),
            ({"adapter_sha256": "a"}, (), "samples of another adapter: train a head on pools"),
            ({"seen": own}, (), "trained on these problems"),
            ({"seen": [replace(p, id=f"{p.id}/x") for p in own]}, (), "or type search.cross_fit="),
            ({"seen": own}, ("search.cross_fit=true",), "train one on"),
            ({"seen": own, "folds": TYPES[:1]}, ("search.cross_fit=true",), "1 of 2"),
        ]
    ):
        typed = a_head(tmp_path / str(number), resolved, **made)  # type: ignore[arg-type]
        for name, expert in (
            ("train", ("trainer.expert=value",)),
            ("collect", ("stage=collect", "stage.expert=value")),
        ):
            folder = tmp_path / str(number) / name
            with pytest.raises(AxiomError, match=message) as refused:
                stage.run(folder, *expert, *typed, *options)
            assert "\n" not in str(refused.value)
            assert not stage.drawn and not (folder / "config.yaml").exists()
    for missing in ("nowhere", str(tmp_path)):
        given = ("trainer.expert=value", "search=value", f"search.head={missing}")
        with pytest.raises(AxiomError, match=r"there is no head.safetensors"):
            stage.run(tmp_path / "m", *given)


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_head_fitted_without_a_type_may_decide_over_it(
    stage: Stage, events: list[str], tmp_path: Path, resolved: ResolvedModel, own: list[Problem]
) -> None:
    typed = a_head(tmp_path, resolved, SHORTEST, seen=own, folds=TYPES)
    options = ("trainer.expert=value", *typed, "search.cross_fit=true")
    assert bodies(stage.run(tmp_path / "run", *options), "reverse_string") == {2}


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_an_evaluation_is_not_before_any_training(
    stage: Stage, events: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stage.run(tmp_path / "evaluated", "stage=evaluate")
    assert "samples pass" in caplog.text and "before training" not in caplog.text
    caplog.clear()
    stage.run(tmp_path / "trained")
    assert "before training: " in caplog.text and "after iteration 1: " in caplog.text
