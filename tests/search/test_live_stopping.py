"""Early stopping while stage=solve draws: to the sample what a replay would have stopped."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_search_stages import OWN, Likely, own

import axiom_rl.stages
import axiom_rl.stages.opening
from axiom_rl.config import SelectConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion
from axiom_rl.evaluation.search import valued
from axiom_rl.evaluation.search.stopping import stopped_material, stops_below
from axiom_rl.evaluation.search.valued import HeadInUse
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.splits import read_splits
from axiom_rl.report.page import write_report
from axiom_rl.rollouts import draw
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling.base import EarlyStopping, SampleRequest
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.search import registry
from axiom_rl.search import solve as solving
from axiom_rl.search.material import Material
from axiom_rl.value.head import END, EVERYTHING, PREFIX, Probe, SeenProblems, ValueHead, save_head
from axiom_rl.value.recipe import Recipe
from axiom_rl.value.values import Trace

EVERY = 6
NEED = "search.allocation=need"
composed = functools.cache(load_config)


def a_probe(width: int, seed: int, spread: float = 0.5) -> Probe:
    """Random weights, with probabilities on both sides of a half."""
    weights = np.random.default_rng(seed).normal(size=(1, width)) * spread
    return Probe(
        mean=np.full(width, seed / 100), scale=np.ones(width), layers=((weights, np.zeros(1)),)
    )


def a_head(resolved: ResolvedModel, inputs: Sequence[str] = ("hidden", "logprob")) -> ValueHead:
    width = 64 * ("hidden" in inputs) + len(set(inputs) - {"hidden"})
    parts = ((EVERYTHING, END), (EVERYTHING, PREFIX), ("jsonl", PREFIX), ("jsonl", END))
    return ValueHead(
        probes={part: a_probe(width, seed) for seed, part in enumerate(parts)},
        base={"sha256": resolved.sha256, "name": "tiny", "format": resolved.format},
        adapter_sha256="",
        recipe=Recipe(layer=0.5, every=EVERY),
        inputs=tuple(inputs),
        seen=SeenProblems(ids=(), questions=(), types=(), pools=("outputs/x",)),
        stop_below=0.3,
    )


class Live:
    """Runs stages with the tiny model's own samples, in float32."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.folder = folder
        self.problems = own(folder / "own.jsonl", OWN)
        self.model = (
            *(f"model.path={model}", "model.dtype=float32", "model.device=cpu"),
            *("sandbox.servers=1", "sampler=transformers"),
            *("sampler.max_new_tokens=31", "sampler.temperature=1.0"),
        )

    def __call__(self, name: str, *overrides: str) -> Path:
        config = copy.deepcopy(composed(*self.model, *overrides))
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        axiom_rl.stages.run_stage(config, folder)
        return folder

    def solve(self, name: str, *overrides: str, search: str = "vote_value") -> Path:
        return self(name, "stage=solve", *self.problems, f"search={search}", *overrides)


@pytest.fixture
def live(
    resolved: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Live]:
    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: "")
    save_head(tmp_path / "value", a_head(resolved), {})
    yield Live(resolved.folder, tmp_path)


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[HeadInUse]:
    """The heads that runs open."""
    opened: list[HeadInUse] = []
    of = HeadInUse.values

    def values(self: HeadInUse, *args: Any, **kwargs: Any) -> Any:
        opened.append(self)
        return of(self, *args, **kwargs)

    monkeypatch.setattr(HeadInUse, "values", values)
    return opened


Drawn = dict[tuple[str, int], Rollout]


def drawn(folder: Path) -> Drawn:
    items = read_rollouts(folder / "completions" / "solve.jsonl")
    found = {(item.completion.problem_id, item.completion.sample): item for item in items}
    assert len(found) == len(items), "nothing is drawn twice"
    return found


def traces(head: HeadInUse, folder: Path) -> Mapping[tuple[str, int], Trace]:
    """Return the values of the prefixes of a run's samples."""
    splits = read_splits(folder / "problems")
    assert splits is not None
    problems = {p.id: p for p in (*splits.train, *splits.val, *splits.test)}
    items = [(problems[key[0]], item) for key, item in drawn(folder).items()]
    return head.values(folder, items).prefixes


def replayed(head: HeadInUse, folder: Path, below: float) -> dict[tuple[str, int], int | None]:
    """Return where a replay stops the samples of a run that drew them whole."""
    lengths = {key: item.completion.completion_tokens for key, item in drawn(folder).items()}
    found = traces(head, folder)
    stops = stops_below([found[key] for key in lengths], [*lengths.values()], below)
    return dict(zip(lengths, stops, strict=True))


def middle(head: HeadInUse, folder: Path) -> float:
    """Return a threshold that stops half of the samples that are long enough."""
    lowest = sorted(min(v for _n, v in trace) for trace in traces(head, folder).values() if trace)
    half = len(lowest) // 2
    assert lowest[half] - lowest[half - 1] > 1e-6, "far from both, so that rounding decides nothing"
    return float(lowest[half - 1] + lowest[half]) / 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), id="even"),
        pytest.param(
            ("search.cross_fit=true", NEED), id="cross_fit, by need", marks=pytest.mark.slow
        ),
    ],
)
def test_live_stopping_is_that_of_a_replay(
    live: Live,
    heads: list[HeadInUse],
    more: Sequence[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    head = f"search.head={live.folder / 'value'}"
    cross = [each for each in more if each != NEED]
    full = live.solve("full", head, "sampler.n=16", *cross)
    below = middle(heads[0], full)
    stops = replayed(heads[0], full, below)
    n = "sampler.n=4" if NEED in more else "sampler.n=16"
    folder = live.solve("live", head, n, f"search.stop_below={below}", *more)
    whole, found = drawn(full), drawn(folder)
    assert len(found) == 3 * (4 if NEED in more else 16)
    for key, item in found.items():
        own, at = item.completion, stops[key]
        assert own.stopped == (at is not None), key
        assert own.token_ids == whole[key].completion.token_ids[:at]
        assert own.completion_tokens == len(own.token_ids) == len(own.logprobs)
        assert item.code is None or not own.stopped
    stopped = [item.completion for item in found.values() if item.completion.stopped]
    assert 0 < len(stopped) < len(found)
    tokens = sum(item.completion.completion_tokens for item in found.values())
    (row,) = [row for row in read_metrics(folder, "timing") if row["name"] == "solve"]
    assert row["tokens"] == tokens and row["stopped_samples"] == len(stopped)
    assert row["stopped_tokens"] == sum(each.completion_tokens for each in stopped)
    really = sum(whole[key].completion.completion_tokens for key in found) - tokens
    assert 0.7 * really < row["saved_tokens"] < 1.4 * really
    assert f"stopped early: {len(stopped)} of {len(found)} samples" in caplog.text
    solved = list(read_jsonl(folder / "solved.jsonl"))
    assert sum(row["stopped"] for row in solved) == len(stopped)
    (features,) = (folder / "search").glob("features_*.jsonl")
    read = {(row["problem_id"], row["sample"]) for row in read_jsonl(features)}
    assert read == {key for key, item in found.items() if not item.completion.stopped}
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert f"{len(stopped)} samples were stopped early" in text and "stopped early |" in text
    (row,) = [row for row in read_metrics(full, "timing") if row["name"] == "solve"]
    assert "stopped_samples" not in row
    write_report(full)
    assert "stopped early" not in (full / "report.md").read_text()


def test_killed_while_it_stops_samples_it_goes_on_alike(
    live: Live, heads: list[HeadInUse], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (f"search.head={live.folder / 'value'}", "sampler.n=6", "sampler.max_batch=5")
    full = live.solve("full", *asked)
    asked = (*asked, f"search.stop_below={middle(heads[0], full)}")
    whole = live.solve("whole", *asked)
    monkeypatch.setattr(draw, "WRITTEN_TOGETHER", 1)
    written, ends = draw._write, [5]

    def killed(path: Path, rollouts: list[Rollout], iteration: int) -> list[Rollout]:
        made = written(path, rollouts, iteration)
        if ends and len(read_rollouts(path)) >= ends[0]:
            ends.pop(0)
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(draw, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        live.solve("killed", *asked)
    before = drawn(live.folder / "killed")
    assert any(item.completion.stopped for item in before.values()) and len(before) < 18
    folder = live.solve("killed", *asked)
    assert drawn(folder) == drawn(whole) and not ends
    assert [*read_jsonl(folder / "solved.jsonl")] == [*read_jsonl(whole / "solved.jsonl")]
    (row,) = [row for row in read_metrics(folder, "timing") if row["name"] == "solve"]
    (same,) = [row for row in read_metrics(whole, "timing") if row["name"] == "solve"]
    columns = ("tokens", "stopped_samples", "stopped_tokens", "saved_tokens")
    assert [row[name] for name in columns] == [same[name] for name in columns]


class Scripted(Likely):
    """Answers by a script in real tokens, and stops by log-probabilities as the model would."""

    tokenizer: Any
    early: EarlyStopping | None = None

    def stopping(self, early: EarlyStopping) -> Scripted:
        made = copy.copy(self)
        made.early = early
        return made

    def sample(self, requests: Any, *, temperature: float | None = None) -> Any:
        prompts = {r.problem_id: len(prompt_tokens(self.tokenizer, r.messages)) for r in requests}
        for done in super().sample(requests):
            ids = tuple(self.tokenizer(done.text, add_special_tokens=False)["input_ids"])
            likely = tuple(-1.0 - ((done.sample * 7 + n) % 10) / 10 for n in range(len(ids)))
            yield self._ended(
                replace(
                    done,
                    token_ids=ids,
                    prompt_tokens=prompts[done.problem_id],
                    completion_tokens=len(ids),
                    logprobs=likely,
                )
            )

    def _ended(self, done: Completion) -> Completion:
        early = self.early
        if early is None:
            return done
        nothing = np.zeros(64, dtype=np.float32)
        for at in range(early.every, done.completion_tokens, early.every):
            if early.hopeless(done.problem_id, nothing, done.logprobs[:at]):
                return replace(
                    done,
                    text=done.text[:at],
                    token_ids=done.token_ids[:at],
                    logprobs=done.logprobs[:at],
                    completion_tokens=at,
                    stopped=True,
                )
        return done


Scripts = Callable[[SampleRequest, int], str]


@pytest.fixture
def scripted(live: Live, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> Live:
    """Programs of which some are right; the head looks at log-probabilities and length alone."""
    bodies = (
        "return s[::-1]", "return s", "return ''.join(reversed(s))", "raise ValueError",
        "return s[::-1] if s else 'x'", "t = list(s)\n    t.reverse()\n    return ''.join(t)",
    )  # fmt: skip

    def say(request: SampleRequest, sample: int) -> str:
        if request.stream.endswith("/written"):
            return "assert reverse_string('abcd') == 'dcba'"
        return f"```python\ndef reverse_string(s):\n    {bodies[sample % len(bodies)]}\n```"

    sampler = Scripted(say)
    sampler.tokenizer = load_tokenizer(resolved)
    monkeypatch.setattr(axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _a: sampler)
    head = a_head(resolved, ("logprob", "length"))
    save_head(live.folder / "small", head, {})
    return live


def test_the_program_chosen_is_that_of_a_replay(
    scripted: Live, heads: list[HeadInUse], monkeypatch: pytest.MonkeyPatch
) -> None:
    materials: list[dict[str, Material]] = []
    chosen = solving._chosen

    def keep(of: dict[str, Material], how: Any) -> Any:
        materials.append(of)
        return chosen(of, how)

    monkeypatch.setattr(solving, "_chosen", keep)
    asked = (f"search.head={scripted.folder / 'small'}", "sampler.n=8", "search.written_tests=1")
    full = scripted.solve("full", *asked)
    below = middle(heads[0], full)
    stops = replayed(heads[0], full, below)
    folder = scripted.solve("live", *asked, f"search.stop_below={below}")
    rows = {row["problem_id"]: row for row in read_jsonl(folder / "solved.jsonl")}
    for key, material in materials[0].items():
        own = [stops[key, sample.sample] for sample in material.samples]
        after = stopped_material(material, own)
        assert 0 < rows[key]["stopped"] == len(own) - own.count(None) < len(own)
        for name in ("public", "vote", "value", "vote_value", "codet"):
            chooser = registry.get(name)
            choice = chooser.choose(after, range(8))
            assert choice == chooser.choose(materials[1][key], range(8)), name
            if name == "vote_value":
                assert rows[key]["sample"] == after.samples[choice.place].sample
                assert rows[key]["code"] == after.samples[choice.place].code
    assert rows["reverse"]["voters"] and rows["reverse"]["public_passed"] == 2
    written = [row["text"] for row in read_jsonl(folder / "search" / "written.jsonl")]
    assert written == [row["text"] for row in read_jsonl(full / "search" / "written.jsonl")]


@pytest.mark.slow
def test_an_evaluation_draws_its_samples_to_their_end(scripted: Live) -> None:
    asked = (
        *("stage=evaluate", "stage.split=test", "problems.types=[reverse_string]", "sampler.n=4"),
        *("problems.sizes.test=2", f"search.head={scripted.folder / 'small'}"),
    )
    folder = scripted("e", *asked, "search=vote_value", "search.stop_below=0.9")
    rows = list(read_jsonl(folder / "completions" / "before.jsonl"))
    assert len(rows) == 8 and not any("stopped" in row for row in rows)
    result = axiom_rl.core.files.read_json(folder / "search" / "result.json")["early_stopping"]
    assert result["asked"] == 0.9 and result["of_head"] == 0.3
    pool = f"stage.pool={folder}"
    asked = ("stage=search", pool, f"search.head={scripted.folder / 'small'}", "search=vote")
    own_of = scripted("s", *asked, "search.stop_below=head") / "search" / "result.json"
    result = axiom_rl.core.files.read_json(own_of)["early_stopping"]
    assert result["asked"] is None and result["of_head"] == 0.3, "what null shows too"
    path = folder / "completions" / "before.jsonl"
    axiom_rl.core.files.write_jsonl(path, [row | {"stopped": row["sample"] == 3} for row in rows])
    with pytest.raises(AxiomError, match="some of its samples were stopped early"):
        scripted("r", *asked)


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({}, ("sampler=vllm",), "sampler=vllm cannot stop .* add sampler=transformers"),
        ({}, ("sampler=vllm_server", "sampler.url=http://x/v1"), "sampler=vllm_server cannot"),
        ({}, ("search.head=null",), "is of a value head: give search.head="),
        ({"base": {"sha256": "x", "name": "big", "format": "f"}}, (), "of big .* trainer=value"),
        ({"adapter_sha256": "x"}, (), "samples of another adapter"),
        ({}, ("sampler.max_new_tokens=6",), "every 6 tokens, and sampler.max_new_tokens=6 ends"),
        ({"recipe": Recipe(layer=0.5, every=40)}, (), "with a smaller trainer.every"),
        ({"probes": "ends"}, (), "no sample that it was fitted on was so long"),
        ({"stop_below": None}, ("search.stop_below=head",), "no threshold.*stop_below=0.05"),
        ({}, ("search.stop_below=1.0",), "must be above 0 and below 1, or head"),
        ({}, ("search.stop_below=0.0",), "must be above 0 and below 1, or head"),
        ({}, ("search.stop_below=heads",), "must be above 0 and below 1, or head"),
        ({}, ("search.stop_below=1",), "a decimal number, such as 0.05, or a word"),
        ({}, ("stage=collect", "stage.expert=vote"), "stage=collect counts which samples pass"),
        ({}, ("stage=train", "trainer.expert=vote"), "use it with stage=solve"),
        ({}, ("stage=list",), "stage=list does not search: leave search= out"),
    ],
)
def test_what_could_not_stop_is_refused_before_anything_is_loaded(
    live: Live,
    resolved: ResolvedModel,
    changes: dict[str, Any],
    overrides: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(axiom_rl.stages.opening, "open_run", lambda *_: pytest.fail("opened"))
    head = a_head(resolved)
    if changes.get("probes") == "ends":
        ends = head.probes[EVERYTHING, END]
        changes = {"probes": {(EVERYTHING, END): ends, (EVERYTHING, PREFIX): ends}}
    save_head(live.folder / "odd", replace(head, **changes), {})
    asked = (f"search.head={live.folder / 'odd'}", "search.stop_below=0.2", *overrides)
    with pytest.raises(AxiomError, match=message):
        live.solve("x", *asked)
    assert not list((live.folder / "x").glob("*"))


def test_auto_that_means_vllm_is_refused_once_it_is_known(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axiom_rl.sampling.choose._obstacle", lambda *_: "")
    monkeypatch.setattr("axiom_rl.sampling.choose.FASTER", ("cpu", "cuda"))
    asked = (f"search.head={live.folder / 'value'}", "search.stop_below=0.2", "sampler=auto")
    with pytest.raises(AxiomError, match="sampler=vllm cannot stop samples"):
        live.solve("x", *asked)


def test_the_word_head_means_the_stored_threshold(live: Live, resolved: ResolvedModel) -> None:
    search = load_config("search=vote", "search.stop_below=head", "search.head=x").search
    assert isinstance(search, SelectConfig)
    frozen: Any = None
    used = valued.head_in_use(replace(search, head=str(live.folder / "value")), frozen)
    assert used is not None
    assert used.stops("head", [], 100).below == 0.3 and used.stops(0.1, [], 100).below == 0.1
