"""GRPO from baseline to report on a tiny model: it learns, repeats itself and survives a stop."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from scripted_run import Stopped, composed
from torn_model import train_torn_model

import axiom_rl.stages
import axiom_rl.stages.opening
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.evaluation.power import read_plan
from axiom_rl.evaluation.recheck import read_claims
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.report.page import write_report
from axiom_rl.report.run_folder import read_run
from axiom_rl.run.folder import Run as FinishedRun
from axiom_rl.run.tracking import Tracker, read_metrics
from axiom_rl.trainers.grpo.groups import GroupSource

TIMES = {
    *("time", "seconds", "generation_seconds", "verification_seconds", "training_seconds"),
    *("rest_seconds", "tokens_per_second", "peak_memory_gb", "verify_seconds", "verify_share"),
    "verify_cpu_seconds",
}
Run = Callable[..., Path]


@pytest.fixture(scope="session")
def torn_model(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained once for all workers: it takes longer than most tests."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "torn"
    with FileLock(shared / "torn.lock"):
        if not (folder / "config.json").exists():
            folder.mkdir(exist_ok=True)
            train_torn_model(tiny_model_folder, folder)
    return folder


@pytest.fixture(scope="module")
def run(torn_model: Path) -> Iterator[Run]:
    """Return a function that runs trainer=grpo in a folder; the report is left out."""

    def run(folder: Path, *overrides: str) -> Path:
        config = composed(
            *("trainer=grpo", "problems.types=[reverse_string,is_palindrome]", "sandbox=debug"),
            *(f"model.path={torn_model}", "model.dtype=float32", "model.device=cpu"),
            *("model.lora.r=4", "sampler.n=32", "sampler.max_new_tokens=48"),
            *("trainer.args.max_completion_length=48", "trainer.args.learning_rate=2e-3"),
            *("trainer.forgetting=[]", "trainer.args.max_steps=8", "trainer.signal_high=0.95"),
            *("trainer.args.per_device_train_batch_size=8",),
            *("trainer.args.gradient_accumulation_steps=2", "trainer.args.save_steps=2"),
            *overrides,
        )
        axiom_rl.stages.run_stage(copy.deepcopy(config), folder)
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: None)
        yield run


@pytest.fixture(scope="module")
def learned(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 steps, which learns."""
    folder = tmp_path_factory.mktemp("learned")
    return run(folder, "trainer.args.max_steps=20", "trainer.eval_every=0")


def numbers(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_metrics(folder)]


def steps(folder: Path) -> list[dict[str, Any]]:
    return [row for row in numbers(folder) if row["phase"] == "train"]


def outcome(folder: Path) -> dict[str, Any]:
    return {
        "metrics": numbers(folder),
        "rollouts": list(read_jsonl(folder / "completions" / "grpo.jsonl")),
        "adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
        "finished": read_json(folder / "checkpoints" / "state.json")["finished"],
        "files": sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        ),
    }


def test_reward_rises_and_everything_is_on_disk(learned: Path) -> None:
    folder = learned
    before, after = (read_evaluation(folder / f"evaluation/{n}.json") for n in ("before", "after"))
    # 64 samples each; the intervals, not only the values, lie apart.
    assert before.pass_at_1.value < 0.8 and after.pass_at_1.low > before.pass_at_1.high
    rows = steps(folder)
    assert [row["step"] for row in rows] == list(range(1, 21))
    late = [row["reward"] for row in rows[10:]]
    assert sum(late) / len(late) > before.pass_at_1.high
    rollouts = list(read_jsonl(folder / "completions" / "grpo.jsonl"))
    assert len(rollouts) == sum(row["samples"] for row in rows)
    assert sum(row["tokens"] for row in rows) == sum(r["completion_tokens"] for r in rollouts)
    for row in rows:
        own = [item for item in rollouts if item["step"] == row["step"]]
        assert sum(item["used"] for item in own) == 16
        assert row["reward"] == pytest.approx(sum(item["reward"] for item in own) / len(own))
        assert sum(row["verdicts"].values()) == row["samples"] == len(own)
        assert 0 <= row["zero_variance_share"] <= 1 and row["logprob_gap"] < 1e-5
        assert row["entropy"] >= 0 and row["grad_norm"] >= 0
        assert {"loss", "learning_rate", "clip_share", "truncated_share"} <= row.keys()
        assert "importance_clipped" not in row, "in float32 there is nothing to correct"
    write_report(folder)
    assert "better than model N" in (folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_importance_ratios_where_sampler_and_trainer_round_differently(
    run: Run, tmp_path: Path
) -> None:
    options = ("model.dtype=bfloat16", "trainer.args.max_steps=2", "trainer.eval_every=0")
    rows = steps(run(tmp_path / "run", *options))
    assert rows[-1]["logprob_gap"] > 1e-5
    assert all(0 <= row["importance_clipped"] < 0.05 for row in rows)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    run: Run, tmp_path: Path
) -> None:
    steps = ("sampler.n=8", "trainer.args.max_steps=2")
    one, again = (run(tmp_path / name, *steps) for name in ("one", "again"))
    assert outcome(one) == outcome(again)
    other = run(tmp_path / "other", "sampler.n=8", "trainer.args.max_steps=1", "seed=1")
    texts = [
        [row["text"] for row in read_jsonl(folder / "completions" / "grpo.jsonl")][:16]
        for folder in (one, other)
    ]
    assert texts[0] != texts[1]


PLACES = ("log 1", "log 3", "log 4", "judge 5", "log 8", "before train/1")


@pytest.mark.slow  # by default the run of the next test is stopped
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (
        *("sampler.n=8", "trainer.curriculum.kind=pools", "trainer.curriculum.focus=1"),
        *("trainer.eval_every=0", "trainer.signal_low=0"),
    )
    whole = outcome(run(tmp_path / "whole", *options))
    stop_once(monkeypatch, left := list(PLACES))
    for _ in PLACES:
        with pytest.raises(Stopped):
            run(tmp_path / "stopped", *options)
    assert left == []
    assert outcome(run(tmp_path / "stopped", *options)) == whole
    assert outcome(run(tmp_path / "stopped", *options)) == whole, "a finished run is left alone"


FURTHER = ("log 5", "judge 7", "before train/1", "before evaluate/iter_1", "before publish/1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "places",
    [
        pytest.param(FURTHER[1:2], id="one_place"),
        pytest.param(FURTHER, id="every_place", marks=pytest.mark.slow),
    ],
)
def test_a_finished_run_goes_on_further_as_if_it_had_not_ended(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...]
) -> None:
    """Stopped at up to five places, among them before anything of the new end is recorded."""
    options = (
        *("sampler.n=8", "trainer.curriculum.kind=pools", "trainer.eval_every=0"),
        *("trainer.forgetting=[memorisable]", "trainer.signal_low=0"),
    )
    whole = run(tmp_path / "whole", *options, "trainer.args.max_steps=8")
    folder = run(tmp_path / "run", *options, "trainer.args.max_steps=4")
    first = outcome(folder)
    ended = (folder / "evaluation" / "after.json").read_bytes()
    stop_once(monkeypatch, left := list(places))
    for place in places:
        with pytest.raises(Stopped):
            run(folder, *options, "trainer.args.max_steps=8")
        assert place not in left
        if place != "before publish/1":
            adapter = folder / "adapter" / "adapter_model.safetensors"
            assert adapter.read_bytes() == first["adapter"], "replaced when all is measured"
            assert (folder / "evaluation" / "after.json").read_bytes() == ended
        assert not read_run(folder).finished, "the page says that it goes on"
    found = outcome(run(folder, *options, "trainer.args.max_steps=8"))
    assert found == outcome(run(folder, *options, "trainer.args.max_steps=8")), "done once"
    expected = outcome(whole)
    assert read_run(folder).finished
    for same in ("rollouts", "adapter"):
        assert found[same] == expected[same], same
    old_end = {"evaluate/step_4", "evaluate/forgetting_memorisable_step_4"}
    assert set(found["finished"]) == {*expected["finished"], *old_end}
    assert (folder / "evaluation" / "step_4.json").read_bytes() == ended
    steps_of = {name: [row for row in rows if row["phase"] == "train"] for name, rows in (
        ("found", found["metrics"]), ("expected", expected["metrics"]))}  # fmt: skip
    assert steps_of["found"] == steps_of["expected"]
    rows = [row for row in found["metrics"] if row not in first["metrics"]]
    assert found["metrics"][: len(first["metrics"])] == first["metrics"], "nothing is lost"
    assert [row["step"] for row in rows if row["phase"] == "train"] == [5, 6, 7, 8]
    trained = [row for row in found["metrics"] if row.get("name") == "train"]
    assert [row["steps"] for row in trained] == [4, 8]
    assert sum(r["tokens"] for r in trained) == sum(r["tokens"] for r in steps_of["found"])
    claims = read_claims(folder)["grpo"]
    assert claims == read_claims(whole)["grpo"]
    assert [*(folder / "checkpoints" / "iter_1").glob("checkpoint-*")] == [
        folder / "checkpoints" / "iter_1" / "checkpoint-8"
    ]


def stop_once(monkeypatch: pytest.MonkeyPatch, left: list[str]) -> None:
    """Stop a run as by Ctrl-C, once at each of the places."""
    real_log, real_draw, real_finish = Tracker.log, GroupSource.draw, FinishedRun.finish

    def stop_at(place: str) -> None:
        if place in left:
            left.remove(place)
            raise Stopped

    def log(tracker: Tracker, phase: Any, iteration: int, **columns: Any) -> None:
        real_log(tracker, phase, iteration, **columns)
        stop_at(f"log {columns.get('step')}" if phase == "train" else phase)

    def draw(source: Any, number: int, count: int) -> Any:
        batch = real_draw(source, number, count)
        stop_at(f"judge {number}")  # its completions are written, its step is not
        return batch

    def finish(finished: FinishedRun, phase: str) -> None:
        stop_at(f"before {phase}")
        real_finish(finished, phase)

    monkeypatch.setattr(Tracker, "log", log)
    monkeypatch.setattr(GroupSource, "draw", draw)
    monkeypatch.setattr(FinishedRun, "finish", finish)


@pytest.mark.slow
def test_validation_runs_every_few_steps_and_forgetting_before_and_after(
    run: Run, tmp_path: Path
) -> None:
    folder = run(
        tmp_path / "run",
        *("problems.sizes.val=1", "problems.sizes.test=1", "sampler.n=8"),
        *("trainer.eval_every=2", "trainer.args.max_steps=4", "trainer.forgetting=[memorisable]"),
    )
    rows = [row for row in numbers(folder) if row["phase"] == "evaluate"]
    watched = [row for row in rows if row["split"] == "val"]
    assert [row["step"] for row in watched] == [0, 2, 4]
    assert {row.get("of") for row in rows} == {None, "memorisable"}
    names = {path.stem for path in (folder / "evaluation").glob("*.json")}
    assert names == {
        *("before", "after", "iter_1", "step_2"),
        *("forgetting_memorisable_before", "forgetting_memorisable_after"),
    }


@pytest.mark.slow
def test_an_adapter_is_where_training_starts(run: Run, learned: Path, tmp_path: Path) -> None:
    first = learned
    second = run(
        tmp_path / "second",
        *(f"model.adapter={first / 'adapter'}", "trainer.args.max_steps=1"),
        *("trainer.signal_high=1", "trainer.signal_low=0", "trainer.args.beta=0.04"),
    )
    before = read_evaluation(second / "evaluation" / "before.json")
    after = read_evaluation(first / "evaluation" / "after.json")
    assert before.pass_at_1.low > 0.7 and after.pass_at_1.value == pytest.approx(
        before.pass_at_1.value, abs=0.1
    )
    assert steps(second)[0]["kl"] == pytest.approx(0, abs=1e-6), "the reference is the start"
    assert {path.name for path in (second / "adapter").iterdir()} >= {"adapter_config.json"}
    assert not (second / "adapter" / "ref").exists()


def test_a_model_that_always_fails_alike_is_refused_before_training(
    run: Run, tmp_path: Path, tiny_model_folder: Path
) -> None:
    with pytest.raises(
        AxiomError, match=r"nothing to learn from: none of 64 samples passed: try a larger"
    ):
        run(tmp_path / "run", f"model.path={tiny_model_folder}")
    assert (tmp_path / "run" / "evaluation" / "before.json").exists()
    assert not (tmp_path / "run" / "completions" / "grpo.jsonl").exists()


def test_training_gives_up_where_its_first_groups_hold_nothing(
    run: Run, tmp_path: Path, tiny_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A small baseline refuses nothing; its message counts the problems that choose, not test."""
    options = ("sampler.n=4", "problems.sizes.val=1", "problems.sizes.test=2")
    options += ("trainer.args.save_steps=1", "trainer.max_extra_groups=2")
    with pytest.raises(AxiomError, match=r"found nothing to learn from: none of 128 samples"):
        run(tmp_path / "run", f"model.path={tiny_model_folder}", *options)
    assert "none of the 8 samples of the baseline passed" in caplog.text
    drawn = list(read_jsonl(tmp_path / "run" / "completions" / "grpo.jsonl"))
    assert len(drawn) == 128, "all that was drawn is kept"


def test_the_plan_is_said_before_anything_is_sampled(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path / "run", "trainer.args.max_steps=1")
    said = [record.getMessage() for record in caplog.records]
    plan = next(index for index, text in enumerate(said) if text.startswith("plan:"))
    assert "64 samples (2 problems x 32), 1 step of 16 samples" in said[plan]
    first = next(index for index, text in enumerate(said) if text.startswith("sampling"))
    assert plan < first
    stated = next(index for index, text in enumerate(said) if text.startswith("stated before"))
    assert stated < plan and "halves it." in said[stated] and "could be luck" in said[stated]
    plan_file = read_plan(tmp_path / "run")
    assert plan_file is not None and (plan_file.split, plan_file.samples) == ("train", 32)
    claims = read_claims(tmp_path / "run")["grpo"]
    assert claims.checked == claims.claimed > claims.programs > 0
    assert torch.get_num_threads() >= 1
