"""From pools to a head to a search, with scripted answers and the tiny model."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import axiom_rl.evaluation.search.replayed
import axiom_rl.stages
import axiom_rl.stages.opening
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.report.closing import next_commands
from axiom_rl.report.page import write_report
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.value import features
from axiom_rl.value.head import load_head

RIGHT = {
    "reverse_string": ("return s[::-1]", "return ''.join(reversed(s))"),
    "is_palindrome": ("return s == s[::-1]", "return s == ''.join(reversed(s))"),
    "fizzbuzz": (
        "return ['Fizz' * (i % 3 == 0) + 'Buzz' * (i % 5 == 0) or str(i) for i in range(1, n + 1)]",
    ),
}
WRONG = ("raise ValueError('no idea at all')", "return None  # no idea, it is hard")
ARGUMENT = {"reverse_string": "s", "is_palindrome": "s", "fizzbuzz": "n"}
TWO = "problems.types=[reverse_string,is_palindrome]"
SMALL = ("problems.sizes.train=3", "problems.sizes.val=2", "problems.sizes.test=2", "sampler.n=4")
TRAIN = ("stage=evaluate", "stage.split=train", TWO, *SMALL)
TEST = ("stage=evaluate", "stage.split=test", TWO, *SMALL)
OTHER = ("stage=evaluate", "stage.split=test", "problems.types=[fizzbuzz]", *SMALL)

composed = functools.cache(load_config)


class RealTokens(ScriptedSampler):
    """Answers by a script, in the tokens of the tiny model."""

    tokenizer: Any

    def sample(self, requests: Any, *, temperature: float | None = None) -> Any:
        prompts = {r.problem_id: len(prompt_tokens(self.tokenizer, r.messages)) for r in requests}
        for done in super().sample(requests, temperature=temperature):
            ids = tuple(self.tokenizer(done.text, add_special_tokens=False)["input_ids"])
            yield replace(
                done,
                token_ids=ids,
                prompt_tokens=prompts[done.problem_id],
                completion_tokens=len(ids),
                logprobs=tuple(-1.0 - done.sample / 10 for _ in ids),
            )


class Runs:
    """Runs stages, and remembers what was drawn."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.drawn: list[tuple[str, str, int]] = []

    def say(self, request: SampleRequest, sample: int) -> str:
        self.drawn.append((request.stream, request.problem_id, sample))
        if request.stream.endswith("/written"):
            return "assert reverse_string('abcd') == 'dcba'"
        name = request.problem_id.partition("/")[0]
        name = name if name in RIGHT else "reverse_string"
        right = (sample + len(request.problem_id)) % 2
        bodies = RIGHT[name] if right else WRONG
        return f"```python\ndef {name}({ARGUMENT[name]}):\n    {bodies[sample % len(bodies)]}\n```"

    def __call__(self, name: str, *overrides: str) -> Path:
        model = (f"model.path={self.model}", "model.dtype=float32", "model.device=cpu")
        config = copy.deepcopy(composed(*model, "sandbox.servers=1", *overrides))
        folder = self.folder / name
        folder.mkdir(exist_ok=True, parents=True)
        axiom_rl.stages.run_stage(config, folder)
        return folder


def runs_in(folder: Path, resolved: ResolvedModel, patch: pytest.MonkeyPatch) -> Runs:
    made = Runs(resolved.folder, folder)
    sampler = RealTokens(made.say)
    sampler.tokenizer = load_tokenizer(resolved)
    patch.setattr(axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _a: sampler)
    patch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: "")
    return made


@pytest.fixture(scope="module")
def made(resolved: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pools train, test (same questions), other (another type), and a head; tests take a copy."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("value")
        run = runs_in(folder, resolved, patch)
        train, test, other = run("train", *TRAIN), run("test", *TEST), run("other", *OTHER)
        run("head", "trainer=value", f"trainer.pools=[{train},{test},{other}]", "trainer.every=8")
        yield folder


@pytest.fixture
def run(
    made: Path, tmp_path: Path, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> Runs:
    for name in ("train", "test", "other", "head"):
        shutil.copytree(made / name, tmp_path / name)
    return runs_in(tmp_path, resolved, monkeypatch)


def test_a_head_is_fitted_and_measured(made: Path) -> None:
    report = read_json(made / "head" / "value" / "report.json")
    ways = {(Path(entry["pool"]).name, entry["how"]) for entry in report["measured"]}
    assert ways == {
        ("train", "new problems"), ("train", "new types"), ("test", "new types"),
        ("other", "new questions"),
    }  # fmt: skip
    assert report["fitted_on"] == {
        "samples": 24, "problems": 6, "types": ["is_palindrome", "reverse_string"],
    }  # fmt: skip
    first = report["measured"][0]
    assert first["with_both"] == 6 and first["units"] == 2
    assert first["auc_within"]["value"]["value"] > 0.9  # right and wrong read differently
    assert set(first["auc_within"]) == {"value", "logprob", "length"}
    assert set(first["minus"]) == {"logprob", "length"}
    assert sum(part["samples"] for part in first["reliability"]) == 24
    assert set(report["measured"][1]["prefixes"]) == {"0.25", "0.5", "0.75"}
    assert report["features_computed"] == 24 + 16 + 8 and report["forward_tokens"] > 0
    head = load_head(made / "head" / "value")
    assert len(head.seen.ids) == 6 and len(head.seen.questions) == 2
    assert {fold for fold, _part in head.probes} == {"", "is_palindrome", "reverse_string"}
    stopping = report["early_stopping"]
    assert head.stop_below == stopping["proposed"]
    saved = [row["tokens_saved"] for row in stopping["thresholds"]]
    assert saved == sorted(saved) and saved[-1] > 0 and stopping["thresholds"][0]["below"] == 0.01
    write_report(made / "head")
    text = (made / "head" / "report.md").read_text()
    assert "## Value head" in text and "value minus logprob" in text
    assert "The value head orders the samples" in text and "has not finished" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pools", "said"),
    [
        (("train", "test"), "search.cross_fit=true"),
        pytest.param(("train", "other", "test"), "/other", marks=pytest.mark.slow),
        pytest.param(("train",), "stage=evaluate", marks=pytest.mark.slow),
    ],
)
def test_what_to_type_next_is_not_refused(run: Runs, pools: tuple[str, ...], said: str) -> None:
    given = f"trainer.pools=[{','.join(str(run.folder / pool) for pool in pools)}]"
    folder = run("next", "trainer=value", given, "trainer.every=8")
    assert said in next_commands(composed("trainer=value", given), folder)[0]


def test_a_search_by_value_live_and_replayed_is_the_same(run: Runs) -> None:
    head = f"search.head={run.folder / 'head' / 'value'}"
    live = run("live", *OTHER, "search=value", head)
    result = read_json(live / "search" / "result.json")
    assert list(result["selectors"]) == ["value", "oracle"]
    work = result["work"]
    assert work["value_computed"] == 8 and work["value_tokens"] > 0 and work["value_seconds"] > 0
    cost = result["selectors"]["value"]["4"]["cost"]
    assert cost["forward"] > result["selectors"]["oracle"]["4"]["cost"]["forward"]
    assert cost["flops"] == pytest.approx(
        2 * result["parameters"] * (cost["generated"] + cost["forward"])
    )
    drawn = len(run.drawn)
    again = run("again", "stage=search", f"stage.pool={live}", "search=vote_value", head)
    assert len(run.drawn) == drawn
    replayed = read_json(again / "search" / "result.json")
    assert {"value", "vote_value"} <= replayed["selectors"].keys()
    assert replayed["work"]["value_computed"] == 0
    assert (
        replayed["selectors"]["value"]["4"]["score"] == result["selectors"]["value"]["4"]["score"]
    )
    rows = {
        folder: {
            row["problem_id"]: row["sample"]
            for row in read_jsonl(folder / "search" / "choices.jsonl")
            if row["selector"] == "value"
        }
        for folder in (live, again)
    }
    assert rows[live] == rows[again]
    stopping = replayed["early_stopping"]
    assert stopping["selector"] == "vote_value" and stopping["asked"] is None
    assert stopping["of_head"] == load_head(run.folder / "head" / "value").stop_below
    saved = [row["tokens_saved"] for row in stopping["thresholds"]]
    assert saved == sorted(saved)
    write_report(again)
    text = (again / "report.md").read_text()
    assert "Early stopping" in text and "value head read" in text


def test_the_pool_of_the_head_is_refused_and_cross_fitting_is_not(run: Runs) -> None:
    head = f"search.head={run.folder / 'head' / 'value'}"

    def replay(name: str, *overrides: str) -> Path:
        pool = f"stage.pool={run.folder / name}"
        return run(f"of_{name}", "stage=search", pool, head, *overrides)

    with pytest.raises(AxiomError, match=r"trained on these problems.*search.cross_fit=true"):
        replay("train", "search=value")
    with pytest.raises(AxiomError, match=r"4 of 4: .*trainer.holdout_types"):
        replay("test", "search=value")
    with pytest.raises(AxiomError, match=r"stage.split=test"):
        replay("train", "search=value", "search.cross_fit=true")
    assert not [*(run.folder / "of_train").iterdir(), *(run.folder / "of_test").iterdir()]
    shutil.rmtree(run.folder / "test" / "search")
    out = run(
        "crossed", "stage=search", f"stage.pool={run.folder / 'test'}", head, "search=value",
        "search.cross_fit=true", "search.stop_below=0.3",
    )  # fmt: skip
    result = read_json(out / "search" / "result.json")
    assert "value" in result["selectors"] and result["early_stopping"]["asked"] == 0.3
    with pytest.raises(AxiomError, match="trained on these problems"):
        run("live", *TEST, "search=value", head)
    assert not run.drawn  # before a token


def test_what_a_search_by_value_refuses(run: Runs) -> None:
    pool, place = run.folder / "other", run.folder / "head" / "value"
    head = f"search.head={place}"

    def refused(message: str, *overrides: str) -> None:
        with pytest.raises(AxiomError, match=message):
            run("r", "stage=search", f"stage.pool={pool}", *overrides)

    refused("needs search.head=", "search=value")
    refused("there is no head.safetensors", "search=value", "search.head=nowhere")
    refused("search.cross_fit is of a value head", "search=vote", "search.cross_fit=true")
    refused("must be above 0 and below 1", "search=value", head, "search.stop_below=1.0")
    environment = pool / "environment.json"
    whole = read_json(environment)
    changed = copy.deepcopy(whole)
    changed["sessions"][-1]["model"] |= {"sha256": "other", "name": "big"}
    write_json(environment, changed)
    refused("trained on samples of tiny.* and these are of big", "search=value", head)
    write_json(environment, whole)
    path = pool / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [{k: v for k, v in row.items() if k != "text"} for row in rows])
    refused("hold no texts", "search=value", head)
    (place / "head.safetensors").write_bytes(b"cut")
    write_jsonl(path, rows)
    refused("damaged", "search=value", head)
    assert not run.drawn


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), r"needs trainer.pools=\[...\]"),
        (("trainer.pools=[nowhere]",), "there is no config.yaml"),
        (("trainer.pools=[TRAIN,TRAIN]",), "twice"),
        (("trainer.pools=[TRAIN,TRAIN/../train/]",), "twice"),
        (("trainer.pools=[TEST]",), "no problem of the train split"),
        (("trainer.pools=[HEAD]",), "it is a run of stage=train"),
        (("trainer.pools=[TRAIN]", "trainer.holdout_types=[lcs]"), "there are is_palindrome"),
        (
            ("trainer.pools=[TRAIN]", "trainer.holdout_types=[is_palindrome,reverse_string]"),
            "no problem of the train split",
        ),
        (("trainer.pools=[TRAIN]", "trainer.epochs=0"), "must be 1 or more"),
        (("trainer.pools=[TRAIN]", "trainer.layer=0"), "must be above 0"),
        (("trainer.pools=[TRAIN]", "trainer.inputs=[]"), "a list of hidden, logprob, length"),
        (("trainer.pools=[TRAIN]", "+trainer.args.max_steps=3"), "does not train by TRL"),
        (("trainer.pools=[TRAIN]", "search=vote"), "does not search"),
    ],
)
def test_what_cannot_be_fitted_is_refused(run: Runs, overrides: Any, message: str) -> None:
    places = {name.upper(): str(run.folder / name) for name in ("train", "test", "head")}
    given = list(overrides)
    for name, place in places.items():
        given = [each.replace(name, place) for each in given]
    with pytest.raises(AxiomError, match=message):
        run("x", "trainer=value", *given)
    assert not (run.folder / "x" / "value").exists()


def test_pools_that_do_not_go_together_or_teach_nothing(
    run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = run.folder / "train", run.folder / "test"

    def refused(message: str, *overrides: str) -> None:
        with pytest.raises(AxiomError, match=message):
            run("x", "trainer=value", f"trainer.pools=[{train},{test}]", *overrides)

    environment = test / "environment.json"
    whole = read_json(environment)
    changed = copy.deepcopy(whole)
    changed["sessions"][-1]["model"] |= {"sha256": "other", "name": "big"}
    write_json(environment, changed)
    refused("of big .*: a head reads one model")
    write_json(environment, whole)
    path = train / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [row | {"logprobs": []} for row in rows])
    refused(r"trainer.inputs=\[hidden,length\]")
    for row in rows:
        row["fresh"] |= {"passed": False, "status": "wrong_answer"}
    write_jsonl(path, rows)
    refused("all samples of the train problems in trainer.pools fail")
    typed = ["problems=hard", "trainer=value", "model.device=cpu"]
    monkeypatch.setattr(axiom_rl.evaluation.search.replayed, "_typed", lambda: typed)
    refused("from trainer.pools; leave out problems")


@pytest.mark.slow
def test_fitting_killed_in_the_middle_reads_no_sample_twice(
    run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = f"trainer.pools=[{run.folder / 'train'},{run.folder / 'test'}]"
    monkeypatch.setattr(features, "TOGETHER", 2)
    written, read, stopped = features.append_jsonl, [], []

    def stop(path: Path, rows: list[dict[str, Any]]) -> None:
        written(path, rows)
        read.extend((path, row["problem_id"], row["sample"]) for row in rows)
        if len(read) >= 10 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(features, "append_jsonl", stop)
    asked = ("trainer=value", pools, "trainer.every=16", "trainer.inputs=[hidden]")
    with pytest.raises(KeyboardInterrupt):
        run("k", *asked)
    folder = run("k", *asked)
    assert len(read) == len(set(read)) == 24 + 16
    first = (folder / "value" / "head.safetensors").read_bytes()
    shutil.rmtree(folder)
    assert (run("k", *asked) / "value" / "head.safetensors").read_bytes() == first
    assert len(read) == 40


def test_solve_gives_a_probability_and_says_of_what(
    run: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    import json

    caplog.set_level("INFO")
    own = run.folder / "own.jsonl"
    row = {
        "id": "mirror", "statement": "Return the mirrored text.", "entry_point": "reverse_string",
        "signature": "(s)", "examples": [{"args": ["ab"], "expected": "ba"}],
    }  # fmt: skip
    own.write_text(json.dumps(row) + "\n")
    head = f"search.head={run.folder / 'head' / 'value'}"
    asked = ("stage=solve", "problems=jsonl", f"problems.path={own}", "sampler.n=4")
    solved = next(read_jsonl(run("s", *asked, "search=vote_value", head) / "solved.jsonl"))
    assert 0 < solved["probability"] < 1
    assert solved["calibrated_on"].endswith("not on your problems")
    assert str(run.folder / "train").rpartition("/")[2] in solved["calibrated_on"]
    assert "not on your problems" in caplog.text
    plain = next(read_jsonl(run("p", *asked, "search=vote") / "solved.jsonl"))
    assert plain["probability"] is None and plain["calibrated_on"] is None


@pytest.mark.slow
def test_nonsense_in_the_place_of_verdicts_changes_no_value(run: Runs) -> None:
    head = f"search.head={run.folder / 'head' / 'value'}"
    pool = run.folder / "other"

    def choices(name: str) -> list[tuple[str, str, int]]:
        folder = run(name, "stage=search", f"stage.pool={pool}", "search=vote_value", head)
        rows = read_jsonl(folder / "search" / "choices.jsonl")
        return [(row["problem_id"], row["selector"], row["sample"]) for row in rows]

    before = choices("b1")
    shutil.rmtree(pool / "search")
    path = pool / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    for row in rows:
        row["fresh"] |= {"passed": not row["fresh"]["passed"], "pass_fraction": 0.0}
    write_jsonl(path, rows)
    assert choices("b2") == before


@pytest.mark.slow
def test_a_pool_is_extended_once_by_what_it_lacks(run: Runs) -> None:
    pool = run("reverse", "stage=evaluate", "problems.types=[reverse_string]", *SMALL)
    run.drawn.clear()
    asked = ("stage=search", f"stage.pool={pool}")
    without = read_json(run("e0", *asked) / "search" / "result.json")
    assert "codet" in without["not_available"] and not run.drawn
    extended = read_json(run("e1", *asked, "stage.extend=true") / "search" / "result.json")
    assert "codet" in extended["selectors"] and extended["work"]["written_tokens"] > 0
    assert len(run.drawn) == len(set(run.drawn)) == 2 * extended["problems"]
    assert all(stream.endswith("/written") for stream, _problem, _sample in run.drawn)
    again = read_json(run("e2", *asked, "stage.extend=true") / "search" / "result.json")
    assert len(run.drawn) == 2 * extended["problems"]
    assert again["work"]["programs"] == 0
    for name in ("vote", "codet"):
        one, two = again["selectors"][name]["4"], extended["selectors"][name]["4"]
        assert one["score"] == two["score"]
        assert one["cost"]["generated"] == two["cost"]["generated"]
    live = run("live", "stage=evaluate", "problems.types=[reverse_string]", *SMALL, "search=codet")
    scores = read_json(live / "search" / "result.json")["selectors"]
    assert scores["codet"]["4"]["score"] == extended["selectors"]["codet"]["4"]["score"]


def test_pools_of_older_runs_can_be_searched(run: Runs) -> None:
    path = run.folder / "other" / "config.yaml"
    kept = [
        line
        for line in path.read_text().splitlines()
        if not line.strip().startswith(("cross_fit:", "stop_below:", "extend:"))
    ]
    path.write_text("\n".join(kept) + "\n")
    head = f"search.head={run.folder / 'head' / 'value'}"
    folder = run("old", "stage=search", f"stage.pool={run.folder / 'other'}", "search=value", head)
    assert "value" in read_json(folder / "search" / "result.json")["selectors"]
