"""Types that are left out because they pass: chosen, sampled before training, and rehearsed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted_run import Stopped, composed
from test_grpo_choice import passing, problem
from test_grpo_run import Run, outcome, run, steps, stop_once, torn_model  # noqa: F401
from test_grpo_trainer import adapter, gradients_of, rows

from axiom_rl.config import GrpoConfig, load_config
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion
from axiom_rl.evaluation.forgetting import TypeBaseline, read_types
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.run.tracking import read_metrics
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.rehearsal import Rehearsal
from axiom_rl.trainers.grpo.run import baseline_by_type, problems_to_rehearse
from axiom_rl.trainers.grpo.trainer import GrpoTrainer, micro_batch


def answers(count: int) -> tuple[Completion, ...]:
    return tuple(replace(rows()[0], sample=number) for number in range(count))


def test_every_answer_has_its_turn_before_one_comes_again() -> None:
    rehearsal = Rehearsal(answers(7), 0.5, 3, seed=1)
    drawn = [row.sample for step in range(1, 15) for row in rehearsal.rows(step)]
    assert len(drawn) == 42
    turns = [drawn[start : start + 7] for start in range(0, 42, 7)]
    assert all(sorted(turn) == [*range(7)] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1, "each time in another order"
    again = Rehearsal(answers(7), 0.5, 3, seed=1)
    assert [row.sample for row in again.rows(9)] == drawn[24:27], "a function of the step alone"
    assert [r.sample for r in replace(again, seed=2).rows(1)] != drawn[:3] or again.rows(2)
    few = Rehearsal(answers(2), 0.5, 5, seed=0).rows(1)
    assert sorted(Counter(row.sample for row in few).values()) == [2, 3]


def test_what_is_rehearsed_passes_too_often_to_be_trained_on() -> None:
    trainer = composed("trainer=grpo").trainer
    assert isinstance(trainer, GrpoConfig)
    types = {"weak": 0, "known": 5, "strong": 9}
    train = [problem(of, "train", index) for of in types for index in range(2)]
    drawn = [item for of, passed in types.items() for item in passing(of, passed)]
    signals = baseline_by_type([problem(of) for of in types], drawn)
    chosen = [each for each in train if each.type == "known"]
    kept = problems_to_rehearse(train, chosen, signals, trainer)
    assert {each.type for each in kept} == {"strong"} and len(kept) == 2
    assert problems_to_rehearse(train, chosen, signals, replace(trainer, rehearsal=0.0)) == []
    assert problems_to_rehearse(train, train, signals, trainer) == [], "all are trained on"
    assert problems_to_rehearse(train, chosen, {}, trainer) == [], "nothing is known of them"


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo", "bnpo", "dapo", "cispo"])
def test_a_rehearsed_answer_counts_as_a_row_of_the_step(
    resolved: ResolvedModel, tmp_path: Path, loss_type: str
) -> None:
    """By hand: -advantage x log p over the rows of a step, as the loss divides its own rows."""
    options: dict[str, Any] = dict(load_config("trainer=grpo").trainer.args)
    options |= {"num_generations": 4, "per_device_train_batch_size": 4, "loss_type": loss_type}
    options |= {"epsilon_high": 5.0}  # cispo's cap is a weight: below 1 it would scale all rows
    model, tokenizer = adapter(resolved)
    args = grpo_config(options, model, tmp_path, seed=0)
    kept = Rehearsal(tuple(rows()[:2]), 0.3, 2, seed=0)
    made = GrpoTrainer(model, args, tokenizer, lambda *_: [], [], rehearsal=kept)
    made.current_gradient_accumulation_steps = 8
    made.model.train()
    made._rehearse(kept)
    found = gradients_of(made.model)
    made.model.zero_grad()
    part = micro_batch(kept.rows(1), torch.zeros(2), torch.device("cpu"))
    logps = made.logps(part, torch.ones(2, dtype=torch.bool))
    each, total = (logps * part["mask"]).sum(1), part["mask"].sum()
    match loss_type:
        case "dr_grpo":
            value = each.sum() / (2 * int(args.max_completion_length or 0))
        case "grpo":
            value = (each / part["mask"].sum(1)).mean()
        case _:
            value = each.sum() / total
    (-0.3 * value * 2 / 32).backward()  # 2 of the 32 rows of a step
    for name, gradient in gradients_of(made.model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-8)
    assert made.spent.means["rehearsal_loss"] == [pytest.approx(-(each.sum() / total).item())]


def test_a_step_rehearses_once(
    resolved: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = adapter(resolved)
    args = grpo_config(dict(load_config("trainer=grpo").trainer.args), model, tmp_path, seed=0)
    made = GrpoTrainer(
        model, args, tokenizer, lambda *_: [], [], rehearsal=Rehearsal(answers(3), 1.0, 2, 0)
    )
    steps_seen: list[int] = []
    monkeypatch.setattr(made, "_rehearse", lambda _r: steps_seen.append(made.state.global_step))
    monkeypatch.setattr("transformers.Trainer.training_step", lambda *_: torch.zeros(()))
    for step in (0, 0, 0, 1, 1, 2):
        made.state.global_step = step
        made.training_step(model, {})
    assert steps_seen == [0, 1, 2]


KEPT = (
    *("sampler.n=16", "trainer.args.max_steps=4", "trainer.rehearsal_rows=3"),
    *("trainer.args.save_steps=1", "trainer.signal_low=0"),
)


@pytest.mark.parametrize(
    "places",
    [[], pytest.param(["before rehearsal/0", "log 2"], marks=pytest.mark.slow)],
    ids=["whole", "stopped"],
)
def test_a_left_out_type_is_rehearsed_and_a_stopped_run_is_the_same(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    places: list[str],
) -> None:
    """The stronger of the two types is left out; stopped amid its sampling and amid the steps."""

    def leave_out(_splits: Any, train: Any, *_others: Any) -> list[Any]:
        return [each for each in train if each.type == "is_palindrome"]

    monkeypatch.setattr("axiom_rl.trainers.grpo.run.choose_problems", leave_out)
    options = (*KEPT, "trainer.signal_high=0.01")
    whole = run(tmp_path / "whole", *options)
    types = read_types(whole)
    assert types["is_palindrome"].trained and not types["reverse_string"].trained
    assert isinstance(types["reverse_string"], TypeBaseline)
    drawn = list(read_jsonl(whole / "completions" / "rehearsal.jsonl"))
    assert {row["problem_id"].partition("/")[0] for row in drawn} == {"reverse_string"}
    passed = sum(row["hidden"]["passed"] and not row["truncated"] for row in drawn)
    timed = [row for row in read_metrics(whole, "timing") if row["name"] == "rehearsal"]
    assert len(drawn) == 16 and [row["solutions"] for row in timed] == [passed] and passed > 0
    assert all(row["rehearsal_loss"] > 0 for row in steps(whole))
    off = run(tmp_path / "off", *options, "trainer.rehearsal=0", "trainer.args.max_steps=1")
    assert not (off / "completions" / "rehearsal.jsonl").exists()
    assert "rehearsal_loss" not in steps(off)[0]
    stop_once(monkeypatch, left := list(places))
    for _ in places:
        with pytest.raises(Stopped):
            run(tmp_path / "stopped", *options)
    assert not left
    if places:
        assert outcome(run(tmp_path / "stopped", *options)) == outcome(whole)
