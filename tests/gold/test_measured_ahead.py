"""An evaluation with the tries behind it in one batch: each comes out as if it had run alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_ahead import SCENES, Ahead, Killed, Stopped, Waits, World, context_of

from axiom_rl.config import TransformersSamplerConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.evaluation.experts.retained import _training
from axiom_rl.gold.collect import try_unsolved
from axiom_rl.gold.experts import Expert
from axiom_rl.gold.store import GoldStore
from axiom_rl.rollouts.draw import Drawn
from axiom_rl.run.tracking import Tracker, read_metrics
from axiom_rl.trainers.expert_iter.overlap import measure_ahead, tries_of

N = 4
PHASES = ("before", "attempts_1")


def trainer(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "expert": "hidden", "max_attempts": 24, "max_retries": 64, "retry_temperature": 1.0,
        "problems_per_iteration": None, "arms": [],
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def measured_by(world: World, folder: Path) -> RunContext:
    config = TransformersSamplerConfig(
        backend="transformers", n=N, temperature=0.7, top_p=1.0, max_new_tokens=99,
        memory_gb=1.0, max_batch=8,
    )  # fmt: skip
    return context_of(folder, config, list(world.ids.values()))


def run(
    world: World, folder: Path, sampler: Any, options: Any, solved: tuple[str, ...] = ()
) -> tuple[Drawn, list[tuple[str, str]], bool]:
    """Measure and try again; return the tries, the gold, and whether they were in one batch."""
    context, policy = measured_by(world, folder), Policy(None, lambda *_: sampler)
    rollouts, begun = measure_ahead(context, 0, policy, "before", options, None, solved)
    store = GoldStore()
    expert = Expert(name=options.expert, problems=world.ids, model_name="m", stream="s")
    expert.add(store, rollouts)
    problems = {key: each for key, each in world.ids.items() if key not in solved}
    tries = tries_of(context, 1, options)
    tried = try_unsolved(context, store, expert, problems, policy, tries, begun=begun)
    return tried, [(one.problem_id, one.solution_code) for one in store.solutions], bool(begun)


def rows(folder: Path, phase: str) -> list[dict[str, Any]]:
    path = folder / "completions" / f"{phase}.jsonl"
    found = list(read_jsonl(path)) if path.exists() else []
    return sorted(found, key=lambda row: (row["problem_id"], row["sample"]))


def outcome(folder: Path) -> list[Any]:
    found: list[Any] = [rows(folder, phase) for phase in PHASES]
    score = read_json(folder / "evaluation" / "before.json")
    return [*found, {key: value for key, value in score.items() if key != "seconds"}]


@pytest.mark.parametrize(("world", "budget"), SCENES)
def test_both_come_out_as_if_each_had_run_alone(
    world: World, budget: int | None, tmp_path: Path
) -> None:
    options = trainer(max_retries=64 if budget is None else budget)
    alone = run(world, tmp_path / "alone", Waits(world, []), options)
    ahead = Ahead(world, [])
    drawn, gold, together = run(world, tmp_path / "ahead", ahead, options)
    assert together and gold == alone[1]
    assert outcome(tmp_path / "ahead") == outcome(tmp_path / "alone")
    assert [item.completion.key for item in drawn.rollouts] == [
        item.completion.key for item in alone[0].rollouts
    ]
    assert len(ahead.finished) == len(set(ahead.finished)), "a sample was drawn twice"
    assert len(ahead.batches) == 1 and not ahead.batches[0].left, "one batch, and it is empty"


def test_tries_begin_before_the_evaluation_ends(tmp_path: Path) -> None:
    world = World(0, 2, 0.0)
    ahead = Ahead(world, [])
    run(world, tmp_path, ahead, trainer())
    last = max(place for place, (_, sample) in enumerate(ahead.finished) if sample < N)
    assert any(sample >= N for _, sample in ahead.finished[:last])


def test_the_time_of_tries_that_began_in_an_evaluation_is_training_s(tmp_path: Path) -> None:
    """'What training cost' must not shrink because the tries have begun early."""
    world = World(0, 2, 0.0)
    run(world, tmp_path / "alone", Waits(world, []), trainer())
    run(world, tmp_path / "ahead", Ahead(world, []), trainer())
    alone, row = (
        next(iter(read_metrics(tmp_path / name, "timing"))) for name in ("alone", "ahead")
    )
    assert "ahead_seconds" not in alone and 0 < row["ahead_seconds"] < row["seconds"]
    tracker = Tracker(folder := tmp_path / "run")
    tracker.log("timing", 0, name="evaluate", seconds=50.0, ahead_seconds=20.0)
    tracker.log("timing", 1, name="collect", seconds=3.0)
    tracker.log("timing", 1, name="train", seconds=7.0)
    tracker.log("timing", 1, name="evaluate", seconds=40.0, ahead_seconds=15.0)
    tracker.log("timing", 2, name="collect", seconds=4.0)
    assert _training(folder, 1)["seconds"] == 30.0, "the second model's tries are not the first's"
    assert _training(folder, 2)["seconds"] == 49.0


def test_what_has_a_solution_already_is_not_tried_ahead(tmp_path: Path) -> None:
    world = World(0, 2, 0.0)
    first, second = world.ids
    ahead = Ahead(world, [])
    run(world, tmp_path, ahead, trainer(), solved=(first,))
    assert {problem for problem, sample in ahead.finished if sample >= N} == {second}


@pytest.mark.parametrize(("world", "budget"), SCENES[1::2])
def test_a_run_that_is_stopped_again_and_again_loses_nothing(
    world: World, budget: int | None, tmp_path: Path
) -> None:
    options = trainer(max_retries=64 if budget is None else budget)
    _, gold, _ = run(world, tmp_path / "alone", Waits(world, []), options)
    ahead, folder = Ahead(world, [], stop_after=[3, 11, 14, 22, 12, 45]), tmp_path / "ahead"
    stops = 0
    while ahead.stop_after:
        try:
            run(world, folder, ahead, options)
        except (Stopped, Killed):
            stops += 1
            kept = _written(folder)
            ahead.finished[:] = [key for key in ahead.finished if key in kept]
        else:
            break
    assert stops
    _, same, _ = run(world, folder, ahead, options)
    assert same == gold and len(ahead.finished) == len(set(ahead.finished))
    for phase in PHASES:
        left, right = rows(folder, phase), rows(tmp_path / "alone", phase)
        assert [row["text"] for row in left] == [row["text"] for row in right]


def _written(folder: Path) -> set[tuple[str, int]]:
    files = [folder / "completions" / f"{phase}.jsonl" for phase in PHASES]
    files.append(folder / "checkpoints" / "ahead_attempts_1.jsonl")
    found = [row for file in files if file.exists() for row in read_jsonl(file)]
    return {(row["problem_id"], row["sample"]) for row in found}


@pytest.mark.parametrize(
    "changes",
    [
        {"expert": "all"},
        {"problems_per_iteration": 3},
        {"arms": ["hidden", "all"]},
        {"retry_temperature": 0.0},
    ],
)
def test_where_more_than_a_verdict_decides_each_waits(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    world = World(0, 2, 0.1)
    context, policy = measured_by(world, tmp_path), Policy(None, lambda *_: Waits(world, []))
    _, begun = measure_ahead(context, 0, policy, "before", trainer(**changes), None, ())
    assert begun is None
