"""Policy, search and oracle from one pool: live, replayed, killed, refused."""

from __future__ import annotations

import copy
import functools
import json
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
from axiom_rl.core.files import read_json, read_jsonl, write_jsonl
from axiom_rl.evaluation.search.words import lines
from axiom_rl.report.page import build_page, write_report
from axiom_rl.report.run_folder import read_run
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.search import registry

RIGHT = (
    "return s[::-1]",
    "return ''.join(reversed(s))",
    "t = list(s)\n    t.reverse()\n    return ''.join(t)",
)
SAMPLES = (
    "return s",  # fails the example
    "return {'hello': 'olleh', 'Hi, you': 'uoy ,iH'}.get(s, s)",  # hard-coded, and the likeliest
    RIGHT[0],
    "raise ValueError",
    RIGHT[1],
    "return s[::-1] if s else 'x'",
    RIGHT[2],
    "I do not know.",
)
PASSING = (2, 4, 6)
EVALUATE = (
    *("stage=evaluate", "stage.split=test", "problems.types=[reverse_string]", "sampler.n=8"),
    *("problems.sizes.test=2", "problems.levels=[1,2]"),
)


composed = functools.cache(load_config)
"""Composing costs a good part of a run with a script."""


class Likely(ScriptedSampler):
    """Log-probabilities by index: sample 1 is the likeliest."""

    def sample(self, requests: Any, *, temperature: float | None = None) -> Any:
        for completion in super().sample(requests):
            likely = -0.1 if completion.sample == 1 else -1.0 - completion.sample / 10
            yield replace(completion, logprobs=(likely, likely), token_ids=(1, 2))


class Runs:
    """Runs stages with scripted answers, and remembers what was drawn."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.drawn: list[tuple[str, str, int]] = []

    def say(self, request: SampleRequest, sample: int) -> str:
        self.drawn.append((request.stream, request.problem_id, sample))
        if request.stream.endswith("/written"):
            return "assert reverse_string('abcd') == 'dcba'\nassert reverse_string(x) == 1"
        if request.problem_id == "impossible":
            return "```python\ndef impossible(s):\n    return s\n```"
        body = SAMPLES[sample % len(SAMPLES)]
        if body.startswith("I "):
            return body
        return f"```python\ndef reverse_string(s):\n    {body}\n```"

    def __call__(self, name: str, *overrides: str) -> Path:
        model = (f"model.path={self.model}", "model.dtype=float32", "model.device=cpu")
        config = copy.deepcopy(composed(*model, "sandbox.servers=1", *overrides))
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        axiom_rl.stages.run_stage(config, folder)
        return folder


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: None)
        yield patch


@pytest.fixture
def run(tiny_model_folder: Path, tmp_path: Path, patched: pytest.MonkeyPatch) -> Runs:
    made = Runs(tiny_model_folder, tmp_path)
    patched.setattr(
        axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _a: Likely(made.say)
    )
    return made


@pytest.fixture(scope="module")
def searched(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch
) -> Path:
    """A finished evaluation with search=vote; tests that change it take a copy."""
    made = Runs(tiny_model_folder, tmp_path_factory.mktemp("searched"))
    patched.setattr(
        axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _a: Likely(made.say)
    )
    return made("pool", *EVALUATE, "search=vote")


@pytest.fixture
def pool(searched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "pool"))


def value(document: dict[str, Any], name: str, n: int = 8) -> float:
    return document["selectors"][name][str(n)]["score"]["value"]  # type: ignore[no-any-return]


def test_evaluate_says_policy_search_and_oracle(pool: Path) -> None:
    folder, result = pool, read_json(pool / "search" / "result.json")
    assert result["policy"]["value"] == pytest.approx(3 / 8)
    assert list(result["selectors"]) == ["vote", "oracle"]
    assert value(result, "vote") == value(result, "oracle") == 1.0
    assert result["selectors"]["vote"]["8"]["gap_closed"]["value"] == 1.0
    assert result["selectors"]["vote"]["8"]["cost"]["generated"] > 8
    count = result["problems"]
    assert result["survivors"]["programs"] == 7 * count
    assert result["survivors"]["survivors"] == 5 * count
    assert result["survivors"]["false"] == 2 * count
    assert (folder / "evaluation" / "before.json").exists()  # the plain policy, always
    rows = list(read_jsonl(folder / "search" / "choices.jsonl"))
    assert {row["sample"] for row in rows} <= set(PASSING) and all(row["passed"] for row in rows)
    assert {row["agreeing"] for row in rows} == {3} and {row["voters"] for row in rows} == {5}
    clusters = next(iter(read_jsonl(folder / "search" / "clusters.jsonl")))
    assert clusters["clusters"][0]["samples"] == list(PASSING)
    assert len(clusters["clusters"][0]["outputs"]) == len(clusters["inputs"]) == 24
    said = "\n".join(lines(result))
    assert "policy alone: 37.5 %" in said and "oracle gap closed 100.0 %" in said


def test_a_replay_draws_and_runs_nothing_and_equals_the_live_search(
    run: Runs, pool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ran = (pool / "search" / "executions.jsonl").read_text()
    folder = run("replay", "stage=search", f"stage.pool={pool}")
    assert not run.drawn
    assert (pool / "search" / "executions.jsonl").read_text() == ran
    result = read_json(folder / "search" / "result.json")
    assert list(result["selectors"]) == ["random", "logprob", "public", "vote", "oracle"]
    assert set(result["not_available"]) == {"codet", "value", "vote_value"}
    assert list(result["selectors"]["vote"]) == ["1", "2", "4", "8"]
    assert result["work"]["programs"] == 0
    live = {row["problem_id"]: row for row in read_jsonl(pool / "search" / "choices.jsonl")}
    for row in read_jsonl(folder / "search" / "choices.jsonl"):
        if row["selector"] == "vote":
            assert row == live[row["problem_id"]]
    one = {value(result, name, 1) for name in result["selectors"]}
    assert one == {3 / 8}  # of one sample there is no choice, on the same subsets
    assert value(result, "logprob") == value(result, "public") == 0.0
    assert value(result, "random") < value(result, "vote") == 1.0
    for n in (1, 2, 4, 8):
        best = value(result, "oracle", n)
        assert all(value(result, name, n) <= best + 1e-9 for name in result["selectors"])
    said = [record.message.split()[0] for record in caplog.records]
    assert [name for name in said if name in result["selectors"]] == list(result["selectors"])
    assert "value       not available: needs search.head=" in caplog.text
    again = read_json(run("again", "stage=search", f"stage.pool={pool}") / "search" / "result.json")
    assert again == result


@pytest.mark.slow
def test_a_pool_without_search_is_run_once(run: Runs, pool: Path) -> None:
    shutil.rmtree(pool / "search")
    first = read_json(run("r1", "stage=search", f"stage.pool={pool}") / "search" / "result.json")
    assert first["work"]["programs"] > 0
    second = read_json(run("r2", "stage=search", f"stage.pool={pool}") / "search" / "result.json")
    assert second["work"]["programs"] == 0 and second["selectors"] == first["selectors"]


def test_nonsense_in_the_place_of_hidden_and_fresh_tests_changes_no_choice(
    run: Runs, pool: Path
) -> None:
    keys = ("problem_id", "selector", "sample", "agreeing", "voters", "tied")

    def choices(name: str) -> list[list[Any]]:
        folder = run(name, "stage=search", f"stage.pool={pool}")
        rows = read_jsonl(folder / "search" / "choices.jsonl")
        return [[row[key] for key in keys] for row in rows]

    before = choices("r1")
    (pool / "search" / "executions.jsonl").unlink()
    rows = list(read_jsonl(pool / "completions" / "before.jsonl"))
    for row in rows:
        row["fresh"] |= {"passed": False, "status": "wrong_answer", "pass_fraction": 0.0}
    write_jsonl(pool / "completions" / "before.jsonl", rows)
    assert choices("r2") == before


def test_codet_draws_tests_once_and_counts_their_tokens(run: Runs) -> None:
    folder = run("c", *EVALUATE, "search=codet")
    result = read_json(folder / "search" / "result.json")
    assert value(result, "codet") == 1.0 and result["unread_tests"] == 2 * result["problems"]
    assert result["work"]["written_tokens"] > 0
    of_samples = result["selectors"]["oracle"]["8"]["cost"]["generated"]
    assert result["selectors"]["codet"]["8"]["cost"]["generated"] > of_samples
    drawn = len(run.drawn)
    replayed = run("cr", "stage=search", f"stage.pool={folder}")
    assert len(run.drawn) == drawn
    assert "codet" in read_json(replayed / "search" / "result.json")["selectors"]
    path = folder / "search" / "written.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [row for row in rows if row["problem_id"] == rows[0]["problem_id"]])
    part = read_json(run("cp", "stage=search", f"stage.pool={folder}") / "search" / "result.json")
    assert "codet" in part["not_available"] and part["work"]["written_tokens"] == 0


def test_a_search_killed_in_the_middle_goes_on(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    from axiom_rl.search import execute

    monkeypatch.setattr(execute, "TOGETHER", 2)
    stored, calls = execute.Executions._store, []

    def stop(self: Any, *args: Any) -> None:
        stored(self, *args)
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(execute.Executions, "_store", stop)
    with pytest.raises(KeyboardInterrupt):
        run("k", *EVALUATE, "search=vote")
    drawn = len(run.drawn)
    folder = run("k", *EVALUATE, "search=vote")
    assert len(run.drawn) == drawn
    rows = [
        (r["problem_id"], r["program"], r["inputs"])
        for r in read_jsonl(folder / "search" / "executions.jsonl")
    ]
    assert len(rows) == len(set(rows))
    assert value(read_json(folder / "search" / "result.json"), "vote") == 1.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("stage=search",), "needs stage.pool"),
        (("stage=search", "stage.pool=nowhere"), "no config.yaml"),
        (("stage=evaluate", "search=value"), r"needs search.head="),
        (("stage=evaluate", "search=vote", "search.head=x"), "there is no head.safetensors"),
        (("stage=evaluate", "search=vote", "search.stop_below=0.1"), "is of a value head"),
        (("stage=evaluate", "search=repair", "search.turns=0"), "must be 1 or more"),
        (("stage=evaluate", "search=vote", "sampler.n=0"), "must be 1 or more"),
        (("stage=evaluate", "search=own"), "search.selector: unknown selector 'own'"),
        (("stage=evaluate", "search=own", "search.selector=vot"), "did you mean vote"),
        (("stage=evaluate", "search=own", "search.imports=[nix]"), "search.imports: cannot import"),
        (("stage=evaluate", "search=vote", "search.inputs=0"), "search.inputs=1"),
        (("stage=evaluate", "search=codet", "search.written_tests=0"), "search.written_tests=1"),
        (("stage=evaluate", "search=vote", "search.time_limit_s=0"), "must be above 0"),
        (("stage=collect", "search=vote"), "does not search"),
        (("stage=collect", "stage.expert=vote", "search=repair"), "give search=vote"),
        (("stage=search", "search=repair"), "a replay draws none"),
        (("trainer=grpo", "search=vote"), "does not search"),
        (("trainer=pipeline", "search=vote"), "trainer=pipeline does not search"),
        (("trainer=distill", "search=vote"), "trainer=distill does not search"),
        (("stage=train", "search=repair"), "search=repair stands beside stage=evaluate alone"),
        (("stage=list", "search=vote"), "does not search"),
    ],
)
def test_what_cannot_be_searched_is_refused(run: Runs, overrides: Any, message: str) -> None:
    with pytest.raises(AxiomError, match=message):
        run("x", *overrides)
    assert not run.drawn


@pytest.mark.slow
def test_a_pool_that_is_none(run: Runs, pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def refused(message: str, *overrides: str) -> None:
        with pytest.raises(AxiomError, match=message):
            run("y", "stage=search", f"stage.pool={pool}", *overrides)

    def typed(*overrides: str) -> None:
        monkeypatch.setattr(axiom_rl.evaluation.search.replayed, "_typed", lambda: list(overrides))

    typed("problems.types=[fizzbuzz]")
    refused("problems.types", "problems.types=[fizzbuzz]")
    typed("problems=hard")
    refused(r"problems=hard \(the pool has basic\)", "problems=hard")
    typed("problems=basic", "sampler.n=8")
    run("fine", "stage=search", f"stage.pool={pool}", "problems=basic", "sampler.n=8")
    typed()
    state = pool / "checkpoints" / "state.json"
    whole = state.read_text()
    state.write_text(json.dumps(json.loads(whole) | {"finished": []}))
    refused("has not finished")
    state.write_text(whole)
    path = pool / "completions" / "before.jsonl"
    text, test = path.read_text(), pool / "problems" / "test.jsonl"
    path.write_text(text + text.splitlines()[3] + "\n")
    refused("sample .* stands there 2 times")
    path.write_text(text + text.splitlines()[3][:40])  # a torn line is left out, as ever
    problems = test.read_text()
    test.write_text(problems + problems)
    refused("reverse_string/.* stands there 2 times")
    test.write_text(problems)
    rows = [{k: v for k, v in row.items() if k != "text"} for row in read_jsonl(path)]
    write_jsonl(path, rows)
    refused("no texts")
    path.unlink()
    refused("there is no completions/before.jsonl")


def test_old_rows_without_token_ids_are_read(run: Runs, pool: Path) -> None:
    path = pool / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    assert rows[0]["token_ids"] == [1, 2] and rows[0]["logprobs"]
    write_jsonl(
        path, [{k: v for k, v in r.items() if k not in ("token_ids", "logprobs")} for r in rows]
    )
    result = read_json(run("r", "stage=search", f"stage.pool={pool}") / "search" / "result.json")
    assert "logprob" in result["not_available"] and value(result, "vote") == 1.0


def test_a_selector_of_ones_own(run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_selectors.py").write_text(
        "from axiom_rl.search import Choice, register\n"
        "def last(material, places):\n    return Choice(place=max(places))\n"
        "register('last', last)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("search=own", "search.imports=[own_selectors]", "search.selector=last")
    try:
        result = read_json(run("o", *EVALUATE, *own) / "search" / "result.json")
        assert value(result, "last") == 0.0
    finally:
        registry._SELECTORS.pop("last", None)


def test_the_page_has_the_search(run: Runs, pool: Path) -> None:
    folder = run("page", "stage=search", f"stage.pool={pool}")
    for where in (pool, folder):
        write_report(where)
        text = (where / "report.md").read_text()
        assert "## Search" in text and "oracle gap closed" in text
        assert "pass not one other test" in text
        html = (where / "report.html").read_text()
        assert "How the vote came about" in html and "3 programs, 3 of them right (chosen)" in html
    choice = (
        "Choosing among 8 samples by vote: 100.0 %, 100.0 % of the oracle gap. The oracle: 100.0 %."
    )
    headlines = [build_page(read_run(where)).headline for where in (folder, pool)]
    assert headlines[0] == f"The policy alone passes 37.5 % per sample. {choice}"
    assert headlines[1].endswith(f" problems. {choice}")
    assert "| tokens drawn a problem |" in (folder / "report.md").read_text()


OWN = [
    {
        "id": "reverse",
        "statement": "Return the string backwards.",
        "entry_point": "reverse_string",
        "signature": "(s)",
        "examples": [{"args": ["hello"], "expected": "olleh"}, {"args": ["ab"], "expected": "ba"}],
    },
    {
        "id": "impossible",
        "statement": "Return the next prime.",
        "entry_point": "impossible",
        "signature": "(n)",
        "examples": [{"args": [3], "expected": 5}],
    },
    {
        "id": "bare",
        "statement": "Return the string backwards.",
        "entry_point": "reverse_string",
        "signature": "(s)",
        "tests": [{"args": ["no example"], "expected": "is shown"}],
    },
]


def own(path: Path, rows: list[dict[str, Any]]) -> tuple[str, str]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "problems=jsonl", f"problems.path={path}"


def test_solve_needs_examples_and_no_tests(
    run: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    asked = ("stage=solve", *own(tmp_path / "own.jsonl", OWN), "search=vote", "sampler.n=8")
    folder = run("solve", *asked)
    rows = {row["problem_id"]: row for row in read_jsonl(folder / "solved.jsonl")}
    solved = rows["reverse"]
    assert solved["code"] and "s" in solved["code"] and solved["sample"] in PASSING
    assert (solved["public_passed"], solved["agreeing"], solved["probability"]) == (2, 3, None)
    assert (
        solved["passes"] == [0, 1] and rows["impossible"]["passes"] == rows["bare"]["passes"] == []
    )
    unsolved = rows["impossible"]
    assert (unsolved["public_passed"], unsolved["survivors"], unsolved["voters"]) == (0, 0, 0)
    assert rows["bare"]["code"] and rows["bare"]["voters"] == 0
    assert "impossible: NOT SOLVED" in caplog.text and "reverse: passes 2 of 2" in caplog.text
    completions = list(read_jsonl(folder / "completions" / "solve.jsonl"))
    assert all(row["hidden"] is None and row["fresh"] is None for row in completions)
    drawn = len(run.drawn)
    assert list(read_jsonl(run("solve", *asked) / "solved.jsonl")) == list(rows.values())
    assert len(run.drawn) == drawn  # resumed: nothing is drawn twice
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "found for 1 of 3 problems" in text and "| impossible | 0 of 1 |" in text


@pytest.mark.parametrize(
    ("stage", "row", "message"),
    [
        ("solve", {"examples": []}, "line 1: give examples"),
        ("solve", {"examples": [{"args": 3}]}, "examples"),
        ("evaluate", {}, "tests must not be missing"),
    ],
)
def test_problems_that_cannot_be_solved(
    run: Runs, tmp_path: Path, stage: str, row: dict[str, Any], message: str
) -> None:
    where = own(tmp_path / "own.jsonl", [OWN[0] | row])
    with pytest.raises(AxiomError, match=message):
        run("s", f"stage={stage}", *where, "search=vote")


def test_solve_without_a_search_is_refused(run: Runs, tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match="add search=vote"):
        run("s", "stage=solve", *own(tmp_path / "own.jsonl", OWN))
