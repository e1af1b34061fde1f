"""The whole loop on a scripted policy: what it leaves, and that a stopped run loses nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_run import PALINDROME, REVERSE, WRONG, Stage, Stopped, answer, fenced

import axiom_rl.stages.opening
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.gold.store import read_solutions
from axiom_rl.problems.splits import read_problems
from axiom_rl.report.page import write_report
from axiom_rl.run.folder import read_sessions
from axiom_rl.run.tracking import Tracker, read_metrics
from axiom_rl.sampling import SampleRequest
from axiom_rl.trainers.expert_iter import run as loop

PHASES = ("before", "attempts_1", "iter_1", "iter_2")


@pytest.mark.parametrize(
    ("passed", "options", "said"),
    [
        ((True, True), (), "at most 0.0 s for further tries"),
        ((True, True), ("trainer.iterations=2",), "at most 40.0 s"),
        ((True, False), (), "at most 40.0 s"),
        ((True, True), ("trainer.expert=vote",), "at most 40.0 s"),
    ],
)
def test_no_further_tries_are_expected_where_every_problem_is_solved(
    passed: tuple[bool, bool],
    options: tuple[str, ...],
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # 30 s, tries beside it; at its speed the evaluation alone would have taken 8 s.
    columns = {"seconds": 30.0, "tokens": 800, "tokens_per_second": 100.0}
    Tracker(tmp_path).log("timing", 0, name="evaluate", **columns)
    problems = [SimpleNamespace(id=str(number)) for number in range(2)]
    rollouts: Any = [
        SimpleNamespace(
            completion=SimpleNamespace(problem_id=p.id), hidden=SimpleNamespace(passed=ok)
        )
        for p, ok in zip(problems, passed, strict=True)
    ]
    run, splits = SimpleNamespace(folder=tmp_path), SimpleNamespace(train=problems)
    context: Any = SimpleNamespace(run=run, splits=splits)
    trainer: Any = load_config("trainer.iterations=1", "trainer.max_retries=10", *options).trainer
    with caplog.at_level("INFO"):
        loop._say_expected(context, rollouts, trainer)
    assert said in caplog.text


def rows(folder: Path, phase: str) -> list[dict[str, Any]]:
    found = read_jsonl(folder / "completions" / f"{phase}.jsonl")
    return sorted(found, key=lambda row: (row["problem_id"], row["sample"]))


def solutions(folder: Path, iteration: int) -> list[tuple[str, str]]:
    found = read_solutions(folder / "solutions" / f"iter_{iteration}.jsonl")
    return [(item.problem_id.partition("/")[0], item.solution_code) for item in found]


def numbers(folder: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl without clocks, memory and what only counts this process's work."""
    volatile = {"time", "seconds", "peak_memory_gb", "tokens_per_second", "tokens"}
    volatile |= {"verify_seconds", "verify_share", "verify_cpu_seconds"}
    return [
        {key: value for key, value in row.items() if key not in volatile}
        for row in read_metrics(folder)
    ]


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run decides, without the time of day."""
    return {
        "problems": [read_problems(folder / "problems" / f"{s}.jsonl") for s in ("train", "val")],
        "completions": {phase: rows(folder, phase) for phase in PHASES},
        "solutions": [solutions(folder, iteration) for iteration in (1, 2)],
        "adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
        "adapter_config": read_json(folder / "adapter" / "adapter_config.json"),
        "evaluation": {
            path.stem: without_adapter(read_json(path))
            for path in (folder / "evaluation").glob("*.json")
        },
        "metrics": numbers(folder),
        "finished": read_json(folder / "checkpoints" / "state.json")["finished"],
    }


def without_adapter(evaluation: dict[str, Any]) -> dict[str, Any]:
    evaluation["model"] = {k: v for k, v in evaluation["model"].items() if k != "adapter"}
    return evaluation


CORNERS = [
    "draw 0/before is_palindrome 2",
    "before evaluate/before is recorded",
    "after evaluate/before",
    "draw 0/attempts_1 fizzbuzz 4",
    "before collect/1 is recorded",
    "after collect/1",
    "train 1 step 2",
    "before train/1 is recorded",
    "after train/1",
    "draw 0/iter_1 fizzbuzz 0",
    "after evaluate/iter_1",
    "after collect/2",
    "after train/2",
    "before evaluate/iter_2 is recorded",
    "after evaluate/iter_2",
    "after publish/2",
]


@pytest.mark.parametrize(
    "stops",
    [
        pytest.param(CORNERS[1::8], id="two_corners"),
        pytest.param(CORNERS, id="every_corner", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("recwarn")
def test_expert_iteration_leaves_every_file_and_stops_nowhere_twice(
    stage: Stage, tmp_path: Path, stops: list[str]
) -> None:
    """One uninterrupted run, looked at from all sides, and one that is stopped at every corner."""
    whole = stage.run(tmp_path / "whole")
    write_report(whole)
    _left_every_file(whole)
    _gathered_the_right_gold(whole)
    _wrote_the_metrics(whole)
    assert stage.adapters == [None, *[str(whole / f"checkpoints/iter_{k}/adapter") for k in (1, 2)]]
    drawn = sorted(stage.drawn)
    assert len(drawn) == len(set(drawn))
    stage.drawn.clear()

    stage.stops = list(stops)
    stopped = tmp_path / "stopped"
    for _ in stops:
        with pytest.raises(Stopped):
            stage.run(stopped)
        assert stage.reports.pop() == stopped, "a stopped run has a report too"
    assert stage.stops == []
    stage.run(stopped)
    assert outcome(stopped) == outcome(whole)
    assert sorted(stage.drawn) == drawn, "a sample was lost or drawn twice"
    before = outcome(whole)
    stage.adapters.clear()
    stage.run(whole)
    assert outcome(whole) == before and stage.adapters == [], "a finished run is left alone"


def _left_every_file(folder: Path) -> None:
    for name in (
        *("config.yaml", "environment.json", "metrics.jsonl", "report.html", "report.md"),
        *(f"problems/{split}.jsonl" for split in ("train", "val", "test")),
        *(f"completions/{phase}.jsonl" for phase in PHASES),
        *("solutions/iter_1.jsonl", "solutions/iter_2.jsonl", "checkpoints/state.json"),
        *("adapter/adapter_config.json", "adapter/adapter_model.safetensors"),
        *(f"evaluation/{name}.json" for name in ("before", "iter_1", "iter_2", "after")),
    ):
        assert (folder / name).is_file(), name
    assert not [*folder.rglob("checkpoint-*")], "a trained iteration needs no checkpoints"
    assert not [*folder.rglob(".*.tmp")]
    before, after = (read_evaluation(folder / f"evaluation/{n}.json") for n in ("before", "after"))
    # before: reverse 3 of 4; after: reverse 3, palindrome 4, fizzbuzz 2 of 4
    assert before.pass_at_1.value == pytest.approx(3 / 12)
    assert after.pass_at_1.value == pytest.approx(9 / 12)
    assert before.tests == after.tests == "fresh tests"
    assert before.tests_sha256 == after.tests_sha256
    assert (before.solved, after.solved, after.problems) == (1, 3, 3)
    assert before.model["adapter"] is None and str(after.model["adapter"]).endswith("adapter")


def _gathered_the_right_gold(folder: Path) -> None:
    first, second = solutions(folder, 1), solutions(folder, 2)
    names = [name for name, _code in first]
    assert names == ["reverse_string", "reverse_string", "is_palindrome"], "duplicates are out"
    assert second[: len(first)] == first, "gold is kept from iteration to iteration"
    assert [name for name, _code in second[len(first) :]] == ["fizzbuzz"]
    attempts = {
        (row["problem_id"].partition("/")[0], row["sample"]) for row in rows(folder, PHASES[1])
    }
    asked = {(name, s) for name in ("is_palindrome", "fizzbuzz") for s in range(4, 8)}
    assert attempts == asked, "only unsolved problems, only new samples"
    assert not (folder / "completions" / "attempts_2.jsonl").exists(), "nothing was unsolved"


def _wrote_the_metrics(folder: Path) -> None:
    found = read_metrics(folder)
    collected = [row for row in found if row["phase"] == "collect"]
    assert [row["iteration"] for row in collected] == [1, 2]
    assert [row["total_solutions"] for row in collected] == [3, 4]
    assert [row["solutions"] for row in collected] == [3, 1]
    assert collected[0]["samples"] == 12 + 8 and collected[0]["passed"] == 4
    assert collected[0]["duplicates"] == 1 and collected[0]["unsolved"] == 1
    accuracy = [row for row in found if row["phase"] == "evaluate"]
    assert {(row["iteration"], row["split"], row["tests"]) for row in accuracy} == {
        (iteration, "train", tests)
        for iteration in (0, 1, 2)
        for tests in ("fresh tests", "hidden tests")
    }
    for iteration in (1, 2):
        steps = [r for r in found if r["phase"] == "train" and r["iteration"] == iteration]
        assert [row["step"] for row in steps] == list(range(1, len(steps) + 1)) and len(steps) >= 2
        assert all(row["loss"] > 0 and row["learning_rate"] >= 0 for row in steps)
    timed = [(row["name"], row["iteration"]) for row in found if row["phase"] == "timing"]
    assert timed == [
        ("evaluate", 0),
        *[(name, k) for k in (1, 2) for name in ("collect", "train", "evaluate")],
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_more_iterations_on_resume_are_published(stage: Stage, tmp_path: Path) -> None:
    folder = stage.run(tmp_path, "trainer.iterations=1")
    first = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    stage.run(folder, "trainer.iterations=2")
    second = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    last = folder / "checkpoints" / "iter_2" / "adapter" / "adapter_model.safetensors"
    assert first != second == last.read_bytes()
    after = read_json(folder / "evaluation" / "after.json")
    assert after == read_json(folder / "evaluation" / "iter_2.json")
    assert "iterations: 2" in (folder / "config.yaml").read_text()


@pytest.mark.usefixtures("recwarn")
@pytest.mark.slow
def test_each_iteration_starts_from_the_base_or_from_the_last_adapter(
    stage: Stage, tmp_path: Path
) -> None:
    """With no new gold in the second iteration, training the base afresh ends where it ended."""
    stage.script = lambda request, _sample: {"r": REVERSE, "i": PALINDROME}[request.problem_id[0]]
    quick = (
        "problems.types=[reverse_string,is_palindrome]",
        *("sampler.n=1", "trainer.max_attempts=1", "trainer.args.num_train_epochs=1"),
        "trainer.args.warmup_steps=0",
    )

    def adapters(start: str) -> list[bytes]:
        folder = stage.run(tmp_path / start, f"trainer.start_from={start}", *quick)
        names = (folder / f"checkpoints/iter_{k}/adapter" for k in (1, 2))
        return [(name / "adapter_model.safetensors").read_bytes() for name in names]

    base, adapter = adapters("base"), adapters("adapter")
    assert base[0] == base[1] == adapter[0] != adapter[1]


@pytest.mark.usefixtures("recwarn")
def test_supervised_training_on_a_solutions_file(stage: Stage, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    stage.run(tmp_path / "gold", "stage=collect", f"stage.output={gold}")
    stage.overrides = (
        *(option for option in stage.overrides if not option.startswith("trainer.")),
        *("trainer=sft", "trainer.args.num_train_epochs=1", f"trainer.solutions={gold}"),
    )
    stage.adapters.clear()
    folder = stage.run(tmp_path / "sft")
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert len(stage.adapters) == 2 and stage.adapters[0] is None
    phases = {path.stem for path in (folder / "completions").iterdir()}
    assert phases == {"before", "iter_1"}
    assert read_json(folder / "evaluation" / "after.json")["model"]["adapter"]
    drawn = len(stage.drawn)
    with pytest.raises(AxiomError, match=r"^trainer\.solutions=.*not among the training problems"):
        stage.run(tmp_path / "other", "problems.types=[fizzbuzz]")
    with pytest.raises(AxiomError, match=r"max_length=10: no solution fits"):
        stage.run(tmp_path / "short", "trainer.args.max_length=10")
    assert len(stage.drawn) == drawn, "refused before anything is measured"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("+trainer.args.learning_rte=1", "did you mean learning_rate"),
        ("+model.lora.rnk=1", r"peft\.LoraConfig has no such option"),
        ("problems.types=[reverse_strin]", "did you mean reverse_string"),
    ],
)
def test_options_are_checked_before_a_model_is_looked_for(
    stage: Stage, tmp_path: Path, option: str, said: str
) -> None:
    with pytest.raises(AxiomError, match=said):
        stage.run(tmp_path, "model.path=/nowhere", option)
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.usefixtures("recwarn")
def test_nothing_passes(stage: Stage, tmp_path: Path) -> None:
    stage.script = lambda *_: WRONG
    with pytest.raises(AxiomError, match=r"none of 24 samples passed.*trainer\.max_attempts"):
        stage.run(tmp_path)
    assert stage.reports == [tmp_path]
    write_report(tmp_path)
    assert "passes 0.0 %" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "adapter").exists()


@pytest.mark.usefixtures("recwarn")
def test_evaluate_is_one_measurement(stage: Stage, tmp_path: Path) -> None:
    folder = stage.run(tmp_path, "stage=evaluate", "problems.sizes.test=1")
    assert sorted(p.name for p in (folder / "evaluation").iterdir()) == ["before.json"]
    found = read_evaluation(folder / "evaluation" / "before.json")
    assert (found.split, found.samples) == ("test", 12)
    splits = [row["split"] for row in read_metrics(folder) if row["phase"] == "evaluate"]
    assert sorted(set(splits)) == ["test"]
    one = stage.run(tmp_path / "one", "stage=evaluate", "stage.split=train")
    assert len(rows(one, "before")) == 12
    with pytest.raises(AxiomError, match="the val split is empty"):
        stage.run(tmp_path / "none", "stage=evaluate", "stage.split=val")


@pytest.mark.usefixtures("recwarn")
def test_collect_tries_until_it_is_solved_and_skips_what_is(stage: Stage, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    options = ("stage=collect", f"stage.output={gold}", "stage.max_attempts=6")
    folder = stage.run(tmp_path / "a", *options)
    found = {item.problem_id.partition("/")[0] for item in read_solutions(gold)}
    assert found == {"reverse_string", "is_palindrome"}
    counts = {"reverse_string": 4, "is_palindrome": 6, "fizzbuzz": 6}
    drawn = [row["problem_id"].partition("/")[0] for row in rows(folder, "collect")]
    assert {name: drawn.count(name) for name in counts} == counts
    before = read_solutions(gold)
    stage.drawn.clear()
    stage.run(tmp_path / "b", *options, "seed=1")
    assert {problem.partition("/")[0] for _, problem, _ in stage.drawn} == {"fizzbuzz"}
    assert read_solutions(gold) == before, "what was there is kept"
    stage.drawn.clear()
    stage.run(tmp_path / "c", *options, "stage.skip_existing=false")
    assert len(stage.drawn) == 16


@pytest.mark.usefixtures("recwarn")
def test_collecting_again_draws_new_samples(stage: Stage, tmp_path: Path) -> None:
    """Into the same file, from another run folder, stopped on the way or not."""
    gold = tmp_path / "gold.jsonl"
    options = ("stage=collect", f"stage.output={gold}", "stage.max_attempts=6")
    stage.script = lambda *_: WRONG
    nothing = pytest.raises(AxiomError, match=r"holds no solution: none of 18 samples passed")
    with nothing:
        stage.run(tmp_path / "a", *options)
    first = set(stage.drawn)
    stage.stops = ["draw 0/collect_1 fizzbuzz 5"]
    with pytest.raises(Stopped):
        stage.run(tmp_path / "b", *options)
    with nothing:
        stage.run(tmp_path / "c", *options)
    stage.script = answer
    with nothing:
        stage.run(tmp_path / "b", *options)
    streams = [stream for stream, _problem, _sample in stage.drawn]
    assert {stream: streams.count(stream) for stream in streams} == {
        "0/collect": 18,
        "0/collect_1": 18,
        "0/collect_2": 18,
    }
    assert len(first) == 18 and len(stage.drawn) == len(set(stage.drawn))
    assert len(rows(tmp_path / "b", "collect_1")) == 18
    with nothing:
        stage.run(tmp_path / "b", *options)
    assert len(stage.drawn) == 54, "a finished collection is left alone"
    (row,) = [row for row in read_metrics(tmp_path / "c") if row["phase"] == "timing"]
    assert row["name"] == "collect" and row["tokens"] > 0
    gold.with_suffix(".collections.json").unlink()  # as an older version, or the user, wrote it
    stage.drawn.clear()
    stage.run(tmp_path / "d", *options)
    assert {stream for stream, *_rest in stage.drawn} == {"0/collect_1"}


@pytest.mark.usefixtures("recwarn")
def test_a_report_that_fails_hides_no_error_and_leaves_nothing_open(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[Path] = []

    def broken(_folder: Path) -> None:
        raise ZeroDivisionError("a bug in a chart")

    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", broken)
    monkeypatch.setattr(Tracker, "close", lambda tracker: closed.append(tracker.folder))
    with pytest.raises(ZeroDivisionError):
        stage.run(tmp_path / "whole", "stage=evaluate")
    stage.stops = ["draw 0/before fizzbuzz 1"]
    with pytest.raises(Stopped):
        stage.run(tmp_path / "stopped", "stage=evaluate")
    assert "a bug in a chart" in caplog.text
    (tmp_path / "damaged" / "checkpoints").mkdir(parents=True)
    (tmp_path / "damaged" / "checkpoints" / "state.json").write_text("{")
    with pytest.raises(AxiomError, match=r"state\.json is not valid JSON"):
        stage.run(tmp_path / "damaged", "stage=evaluate")
    assert closed == [tmp_path / name for name in ("whole", "stopped", "damaged")]


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_resumed_phase_counts_all_its_tokens_and_every_start(
    stage: Stage, tmp_path: Path
) -> None:
    stage.stops = ["draw 0/before fizzbuzz 1"]
    with pytest.raises(Stopped):
        stage.run(tmp_path, "stage=evaluate")
    write_report(tmp_path)
    assert "| evaluate, unfinished | 0 |" in (tmp_path / "report.md").read_text()
    stage.run(tmp_path, "stage=evaluate")
    (row,) = [row for row in read_metrics(tmp_path) if row["phase"] == "timing"]
    assert row["tokens"] == sum(item["completion_tokens"] for item in rows(tmp_path, "before"))
    assert len(read_sessions(tmp_path)) == 2
    write_report(tmp_path)
    assert "The run was started 2 times" in (tmp_path / "report.md").read_text()
    sessions = read_sessions(tmp_path)
    sessions[0]["git_commit"] = "0000000"
    write_json(tmp_path / "environment.json", {"schema": 2, "sessions": sessions})
    write_report(tmp_path)
    assert "The starts of this run differ in: git commit" in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("recwarn")
def test_collect_goes_on_where_it_stopped(stage: Stage, tmp_path: Path) -> None:
    options = ("stage=collect", "stage.max_attempts=6")
    whole = stage.run(tmp_path / "whole", *options)
    stage.drawn.clear()
    stage.stops = ["draw 0/collect is_palindrome 1", "draw 0/collect fizzbuzz 5"]
    for _ in range(2):
        with pytest.raises(Stopped):
            stage.run(tmp_path / "stopped", *options)
    stage.run(tmp_path / "stopped", *options)
    assert len(stage.drawn) == len(set(stage.drawn)) == 16

    def codes(folder: Path) -> list[tuple[str, str]]:
        read = read_solutions(folder / "solutions" / "collected.jsonl")
        return sorted((item.problem_id, item.solution_code) for item in read)

    assert codes(tmp_path / "stopped") == codes(whole) and len(codes(whole)) == 3


@pytest.mark.usefixtures("recwarn")
def test_a_seed_names_the_streams(stage: Stage, tmp_path: Path) -> None:
    streams: set[str] = set()

    def note(request: SampleRequest, _sample: int) -> str:
        streams.add(request.stream)
        return REVERSE

    stage.script = note
    stage.run(tmp_path, "stage=evaluate", "seed=5", "problems.types=[reverse_string]")
    assert streams == {"5/before"}


@pytest.mark.usefixtures("recwarn")
def test_a_training_counts_the_rows_that_it_trains_on(stage: Stage, tmp_path: Path) -> None:
    filler = "x" * 4000
    long = fenced(f"def reverse_string(s):\n    t = '{filler}'\n    return s[::-1]")
    stage.script = lambda _request, sample: long if sample else REVERSE
    folder = stage.run(
        tmp_path / "run",
        *("problems.types=[reverse_string]", "trainer.args.max_length=2000"),
        *("trainer.iterations=1", "trainer.args.num_train_epochs=1"),
    )
    (row,) = [row for row in read_metrics(folder, "timing") if row["name"] == "train"]
    assert row["solutions"] == 1 and 0 < row["row_tokens"] <= 2000
    card = (folder / "adapter" / "README.md").read_text()
    assert "fine-tuned on 1 program" in card
