"""Whole runs with an expert: blind, resumed to the same gold, arms of equal size from one pool."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_run import Stage, Stopped, fenced

import axiom_rl.evaluation.search.replayed
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.core.types import Solution
from axiom_rl.evaluation.experts.pool import _drawn_beside, with_pool
from axiom_rl.evaluation.experts.retained import expert_of_gold, learned_from
from axiom_rl.gold.store import read_solutions
from axiom_rl.report.page import write_report
from axiom_rl.report.sections.search.retention import _sentence
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import SampleRequest
from axiom_rl.trainers.expert_iter import arms
from axiom_rl.trainers.expert_iter.arms import that_fit

REVERSE = (
    "return s",  # fails the example
    "return {'hello': 'olleh', 'Hi, you': 'uoy ,iH'}.get(s, s)",  # hard-coded
    "return s[::-1]",
    "raise ValueError",
    "return ''.join(reversed(s))",
    "return s[::-1] if s else 'x'",  # wrong for the empty string alone
    "t = list(s)\n    t.reverse()\n    return ''.join(t)",
    "",
)
PALINDROME = (
    "return s == s[::-1]",
    "return list(s) == list(reversed(s))",
    "return True",
    "return False",
    "return s == ''.join(reversed(s))",
    "return all(a == b for a, b in zip(s, reversed(s)))",
    "raise ValueError",
    "return len(s) % 2 == 1",
)
OPTIONS = (
    "problems.types=[reverse_string,is_palindrome]",
    *("sampler.n=8", "trainer.max_attempts=8", "trainer.iterations=1"),
    *("trainer.args.num_train_epochs=1", "trainer.args.warmup_steps=0"),
)


def say(request: SampleRequest, sample: int) -> str:
    if "/written" in request.stream:
        return "assert reverse_string('abcd') == 'dcba'\nassert is_palindrome('aab') == False"
    name = request.problem_id.partition("/")[0]
    body = {"reverse_string": REVERSE, "is_palindrome": PALINDROME}[name][sample % 8]
    return fenced(f"def {name}(s):\n    {body}") if body else "I do not know."


@pytest.fixture
def experts(stage: Stage) -> Stage:
    stage.script = say
    stage.overrides = (*stage.overrides, *OPTIONS)
    return stage


def gold(folder: Path, iteration: int = 1) -> list[tuple[str, str]]:
    found = read_solutions(folder / "solutions" / f"iter_{iteration}.jsonl")
    return [(item.problem_id.partition("/")[0], item.solution_code) for item in found]


def bodies(folder: Path, name: str) -> set[int]:
    """Indices of the samples whose program is gold."""
    script = {"reverse_string": REVERSE, "is_palindrome": PALINDROME}[name]
    codes = [f"def {name}(s):\n    {body}" for body in script]
    return {codes.index(code.strip()) for kind, code in gold(folder) if kind == name}


def collected(folder: Path) -> dict[str, Any]:
    return [row for row in read_metrics(folder) if row["phase"] == "collect"][-1]


@pytest.mark.usefixtures("recwarn")
def test_gold_by_the_vote_is_blind_named_and_judged_apart(
    experts: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = experts.run(tmp_path / "vote", "trainer.expert=vote", "search=vote")
    assert bodies(folder, "reverse_string") == {2, 4, 6}
    assert bodies(folder, "is_palindrome") == {0, 1, 4, 5}
    rows = list(read_jsonl(folder / "solutions" / "iter_1.jsonl"))
    assert {row["expert"] for row in rows} == {"vote"}
    assert {row["hidden_passed"] for row in rows} == {None}
    shown = {"reverse_string": set(), "is_palindrome": set()}  # type: dict[str, set[Any]]
    for problem in read_jsonl(folder / "problems" / "train.jsonl"):
        shown[problem["type"]] = {len(problem["public_tests"])}
    for row in rows:
        assert {row["passed_tests"], row["total_tests"]} == shown[row["problem_id"].split("/")[0]]
    truth = list(read_jsonl(folder / "evaluation" / "gold_1.jsonl"))
    assert [row["hidden_passed"] for row in truth] == [True] * len(rows)
    assert collected(folder)["false_gold"] == 0.0 and collected(folder)["expert"] == "vote"
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "## From search to weights" in text and "| vote (learned from) |" in text
    assert "| trained policy + vote |" in text and "| pass@k |" in text

    from axiom_rl.verify.verifier import Verifier

    judge = Verifier.submit

    def nonsense(self: Verifier, item: Any, tests: str = "hidden") -> Any:
        problem, code = item
        secret = problem.hidden_tests + problem.fresh_tests
        if tests in ("hidden", "fresh") and secret and problem.split:  # not the search's own
            code = "def nothing():\n    pass"
        return judge(self, (problem, code), tests=tests)  # type: ignore[arg-type]

    monkeypatch.setattr(Verifier, "submit", nonsense)
    blind = experts.run(tmp_path / "blind", "trainer.expert=vote", "search=vote")
    assert gold(blind) == gold(folder), "no verdict of hidden or fresh tests was read"
    assert collected(blind)["passed"] == 0 and collected(blind)["false_gold"] == 1.0


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_search_is_composed_where_none_is_given_and_saved(experts: Stage, tmp_path: Path) -> None:
    folder = experts.run(tmp_path / "public", "trainer.expert=public")
    assert bodies(folder, "reverse_string") == {1, 2, 4, 5, 6}
    saved = (folder / "config.yaml").read_text()
    assert "selector: public" in saved and "inputs: 0" in saved
    assert 0 < collected(folder)["false_gold"] < 1
    document = read_json(folder / "search" / "retention.json")
    assert list(document["retention"]) == ["public", "oracle"]


CORNERS = (
    "draw 0/before is_palindrome 3",
    "draw 0/written_before is_palindrome 0",
    "before collect/1 is recorded",
    "after collect/1",
    "before train/1 is recorded",
    "draw 0/written_iter_1 reverse_string 0",
    "before collect/2 is recorded",
    "after evaluate/iter_2",
    "after publish/2",
)


@pytest.mark.parametrize(
    "stops",
    [
        pytest.param(CORNERS[5:6], id="one_corner"),
        pytest.param(CORNERS, id="every_corner", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("recwarn")
def test_a_run_killed_anywhere_resumes_to_the_same_gold(
    experts: Stage, tmp_path: Path, stops: tuple[str, ...]
) -> None:
    options = ("trainer.expert=codet", "search=codet", "trainer.iterations=2")
    whole = experts.run(tmp_path / "whole", *options)
    experts.drawn.clear()
    experts.stops = list(stops)
    for _ in stops:
        with pytest.raises(Stopped):
            experts.run(tmp_path / "stopped", *options)
    stopped = experts.run(tmp_path / "stopped", *options)
    assert [gold(stopped, n) for n in (1, 2)] == [gold(whole, n) for n in (1, 2)]
    assert len(experts.drawn) == len(set(experts.drawn)), "nothing is drawn twice"
    for name in ("evaluation/gold_2.jsonl", "search/retention.json"):
        both = [(folder / name).read_text() for folder in (whole, stopped)]
        assert both[0].split('"training"')[0] == both[1].split('"training"')[0]
    weights = [f / "adapter" / "adapter_model.safetensors" for f in (whole, stopped)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


ARMS = ("all", "shuffled", "wrong", "public", "vote", "hidden")


@pytest.fixture
def pool(experts: Stage, tmp_path: Path) -> Path:
    return experts.run(tmp_path / "pool", "stage=evaluate", "stage.split=train")


def trained(folder: Path) -> tuple[int, int]:
    (row,) = [r for r in read_metrics(folder, "timing") if r["name"] == "train"]
    assert row["row_tokens"] > 0
    return row["solutions"], row["steps"]


@pytest.mark.usefixtures("recwarn")
def test_arms_take_equal_rows_and_steps_from_one_pool(
    experts: Stage, tmp_path: Path, pool: Path
) -> None:
    drawn = len(experts.drawn)
    assert drawn == 16
    common = (f"trainer.pool={pool}", f"trainer.arms=[{','.join(ARMS)}]", "search=vote")
    sizes, found = set(), {}
    for arm in ("all", "vote"):
        folder = experts.run(tmp_path / arm, f"trainer.expert={arm}", *common)
        sizes.add((read_json(folder / "arms.json")["rows"], *trained(folder)))
        found[arm] = read_json(folder / "arms.json")["arms"]
        streams = [stream for stream, *_rest in experts.drawn[drawn:]]
        assert set(streams) == {"0/iter_1"}, "the first round is the pool's"
        drawn = len(experts.drawn)
    assert len(sizes) == 1, "rows and steps are equal"
    assert all(counts == found["all"] for counts in found.values())
    assert found["all"]["shuffled"] == found["all"]["hidden"] > 0
    assert min(found["all"].values()) == next(iter(sizes))[0]


def test_arms_count_what_the_style_trains_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "sft_rows", lambda solutions, *_: solutions)
    monkeypatch.setattr(arms, "load_tokenizer", lambda _: None)
    monkeypatch.setattr(arms, "row_lengths", lambda rows, _: [9] * len(rows))
    made = [
        Solution(
            **{"problem_id": "p", "problem_title": "", "solution_code": f"x = {n}"},
            **{"passed_tests": 1, "total_tests": 1, "model_name": "", "timestamp": ""},
            reasoning=reasoning,
        )
        for n, reasoning in enumerate(["", "Think.", " ", "Torn </think> in two."])
    ]
    for style, kept in (("think", made[1:2]), ("direct", made)):
        context: Any = SimpleNamespace(style=style, splits=SimpleNamespace(train=()))
        trainer: Any = SimpleNamespace(args={}, target="completion")
        assert that_fit(context, made, trainer, None) == kept  # type: ignore[arg-type]
        trainer.args = {"max_length": 8}
        assert that_fit(context, made, trainer, None) == []  # type: ignore[arg-type]


def test_gold_of_several_experts_is_of_no_one_search() -> None:
    """Nor of the oracle: of a file of the vote and of public tests no hidden test chose a row."""
    gold: list[Any] = [SimpleNamespace(expert=name) for name in ("vote", "public", "vote")]
    assert expert_of_gold(gold[:1]) == "vote" and expert_of_gold(gold) == "public + vote"
    assert learned_from("public + vote") is None and learned_from("hidden") == "oracle"
    document: Any = {
        "expert": "public + vote", "learned_from": None, "not_available": {}, "retention": {},
        "problems": 2, "split": "test", "units": 2, "samples": 8,
    }  # fmt: skip
    said = _sentence(document)
    assert "of several experts (public + vote)" in said and "is a control" not in said


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_jobs_of_a_sweep_share_the_pool_of_the_first(experts: Stage, tmp_path: Path) -> None:
    def job(number: int, *overrides: str) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        write_json(folder / "job.json", {"schema": 1, "job": number})
        return experts.run(folder, "trainer.pool=sweep", *overrides)

    first = job(0, "trainer.expert=all")
    assert {stream for stream, *_rest in experts.drawn} == {"0/before", "0/iter_1"}
    experts.drawn.clear()
    second = job(1, "trainer.expert=hidden")
    assert {stream for stream, *_rest in experts.drawn} == {"0/iter_1"}
    rows = [list(read_jsonl(f / "completions" / "before.jsonl")) for f in (first, second)]
    assert rows[0] == rows[1]
    assert _drawn_beside(second) == first
    saved = second / "config.yaml"
    saved.write_text(saved.read_text().replace("seed: 0", "seed: 1"))
    assert _drawn_beside(second) is None, "another seed draws other samples"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.expert=hiden",), "trainer.expert=hiden: must be one of hidden, public"),
        (("trainer.target=text",), "must be one of completion, code"),
        (("trainer.arms=[vote,vote]",), "a list of different ones"),
        (("trainer.arms=[vote,all]",), "must hold trainer.expert=hidden"),
        (("trainer.expert=value",), "expert value: .*needs search.head="),
        (("trainer.expert=vote_value", "search=vote"), "expert vote_value: .*needs search.head="),
        (("trainer.arms=[hidden,value]",), "expert value: .*type search=value search.head="),
        (("trainer.expert=vote", "search=public"), "expert vote: .*search.inputs=1"),
        (("trainer.expert=codet", "search=vote"), "expert codet: .*search.written_tests=1"),
        (("trainer.expert=vote", "search=repair"), "search=repair stands beside"),
        (("trainer.arms=[hidden]", "trainer.max_attempts=16"), "set trainer.max_attempts=8"),
        (("trainer.arms=[hidden]", "trainer.rounds.hot.samples=4"), "set trainer.rounds.hot.sam"),
        (
            ("trainer.arms=[hidden]", "trainer.problems_per_iteration=2"),
            "leave trainer.problems_per_iteration null",
        ),
        (("trainer.pool=nowhere",), "trainer.pool=nowhere: there is no config.yaml"),
        (("stage=collect", "stage.expert=value"), "expert value"),
        (("stage=collect", "search=vote"), "name an expert that searches"),
        (("stage=collect", "stage.expert=all", "search=vote"), "name an expert that searches"),
    ],
)
def test_what_cannot_decide_is_refused_before_anything_is_drawn(
    experts: Stage, tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(AxiomError, match=message):
        experts.run(tmp_path, *overrides)
    assert not experts.drawn and not (tmp_path / "config.yaml").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_pool_that_does_not_fit_is_refused(
    experts: Stage, tmp_path: Path, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(*overrides: str) -> None:
        monkeypatch.setattr(axiom_rl.evaluation.search.replayed, "_typed", lambda: list(overrides))

    def refused(message: str, *overrides: str) -> None:
        drawn = len(experts.drawn)
        with pytest.raises(AxiomError, match=message):
            experts.run(tmp_path / "arm", *overrides)
        assert len(experts.drawn) == drawn
        shutil.rmtree(tmp_path / "arm", ignore_errors=True)

    where = f"trainer.pool={pool}"
    typed("problems.types=[fizzbuzz]")
    refused("come from trainer.pool; leave out problems.types", where, "problems.types=[fizzbuzz]")
    typed("problems.prompt=few_shot")
    refused("leave out problems.prompt", where, "problems.prompt=few_shot")
    typed("sampler.n=4")
    refused("leave out sampler.n", where, "sampler.n=4")
    typed()
    path = pool / "evaluation" / "before.json"
    document = read_json(path)
    write_json(path, document | {"model": document["model"] | {"sha256": "0" * 64}})
    refused("drawn with other weights", where)
    write_json(path, document)
    solve = experts.run(tmp_path / "list", "stage=collect", "stage.max_attempts=8")
    refused("it is a run of stage=collect", f"trainer.pool={solve}")
    saved = (pool / "config.yaml").read_text()
    for key in ("  expert: hidden\n", "  arms: []\n"):  # as an older version wrote it
        assert key in saved
        saved = saved.replace(key, "")
    (pool / "config.yaml").write_text(saved)
    assert with_pool(load_config(where)).sampler.n == 8
    rows = list(read_jsonl(pool / "completions" / "before.jsonl"))
    write_jsonl(pool / "completions" / "before.jsonl", rows[:0])
    refused("holds no completions", where)


@pytest.mark.usefixtures("recwarn")
def test_collect_by_an_expert_tries_what_it_has_not_solved(
    experts: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def late(request: SampleRequest, sample: int) -> str:
        """The palindrome's examples are passed late."""
        if request.problem_id.startswith("is_palindrome") and sample < 8:
            return "I do not know."
        return say(request, sample)

    experts.script = late
    out = tmp_path / "gold.jsonl"
    experts.run(
        tmp_path / "run",
        *("stage=collect", "stage.expert=vote", "stage.max_attempts=16", f"stage.output={out}"),
    )
    found = read_solutions(out)
    assert {item.expert for item in found} == {"vote"}
    assert {item.problem_id.partition("/")[0] for item in found} == {
        "reverse_string",
        "is_palindrome",
    }
    asked = [problem.partition("/")[0] for _stream, problem, _sample in experts.drawn]
    assert asked.count("reverse_string") == 8 and asked.count("is_palindrome") == 16
    assert collected(tmp_path / "run")["false_gold"] == 0.0
    drawn = len(experts.drawn)
    experts.run(tmp_path / "again", "stage=collect", "stage.max_attempts=16", f"stage.output={out}")
    assert "gold.jsonl holds gold of another expert (vote)" in caplog.text
    assert len(experts.drawn) == drawn, "as said, what the vote solved counts as solved"

    experts.script = say
    experts.overrides = tuple(o for o in experts.overrides if not o.startswith("trainer."))
    options = ("trainer=sft", f"trainer.solutions={out}", "search=vote")
    folder = experts.run(tmp_path / "sft", *options, "trainer.args.num_train_epochs=1")
    document = read_json(folder / "search" / "retention.json")
    assert document["learned_from"] == "vote" and list(document["retention"]) == ["vote", "oracle"]
    assert document["retention"]["vote"]["trained_gain"]["value"] == 0.0, (
        "the script stays as it is"
    )
    assert document["training"]["row_tokens"] > 0
    assert document["training"]["drawn_tokens"] is None, "by another run, which is not known here"
    write_report(folder)
    assert "| in another run |" in (folder / "report.md").read_text()
    assert "that the expert vote took" in (folder / "adapter" / "README.md").read_text()


OWN = "Add one to x."


def own_problems(path: Path, *, train: bool, test: bool) -> tuple[str, ...]:
    """A file of problems of which the train and the test one have an example each, or not."""
    cases = [{"args": [n], "expected": n + 1} for n in (2, 3, 10)]
    rows: list[dict[str, Any]] = [
        {"id": split, "statement": f"{OWN} ({split})", "entry_point": "f", "signature": "(x)"}
        | {"split": split, "tests": cases}
        | ({"examples": [{"args": [1], "expected": 2}]} if shown else {})
        for split, shown in (("train", train), ("test", test))
    ]
    write_jsonl(path, rows)
    return "problems=jsonl", f"problems.path={path}"


@pytest.fixture
def adding(stage: Stage) -> Stage:
    """Runs on problems of one's own, half of whose samples pass."""
    bodies = ("x + 1", "2", "1 + x", "x")
    stage.script = lambda _request, sample: fenced(f"def f(x):\n    return {bodies[sample % 4]}")
    stage.overrides = tuple(o for o in stage.overrides if not o.startswith("problems.types"))
    return stage


@pytest.mark.parametrize(
    "typed",
    [
        ("trainer.expert=vote",),
        ("trainer.expert=all", "trainer.arms=[all,public]", "trainer.max_attempts=4"),
        ("stage=collect", "stage.expert=codet"),
    ],
)
def test_an_expert_that_could_take_nothing_is_refused_before_anything_is_drawn(
    adding: Stage, tmp_path: Path, typed: tuple[str, ...]
) -> None:
    given = own_problems(tmp_path / "own.jsonl", train=False, test=True)
    if typed[0] == "stage=collect":
        adding.overrides = tuple(o for o in adding.overrides if not o.startswith("trainer."))
    with pytest.raises(AxiomError, match=r"none of the 1 problems has one: give them examples"):
        adding.run(tmp_path / "run", *given, *typed)
    assert not adding.drawn


@pytest.mark.usefixtures("recwarn")
def test_a_search_that_cannot_be_scored_is_no_control(adding: Stage, tmp_path: Path) -> None:
    given = own_problems(tmp_path / "own.jsonl", train=True, test=False)
    folder = adding.run(tmp_path / "run", *given, "trainer.expert=vote", "trainer.iterations=1")
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "Retention of vote is not defined: needs inputs to run programs on" in text
    assert "is a control" not in text
