"""A run folder as a run of GRPO leaves it, made from seeded random numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fake_run import MODEL, SAMPLER, draw, problem, write_environment, write_phase

from axiom_rl.core.types import Problem
from axiom_rl.evaluation.score import Evaluation, score, write_evaluation
from axiom_rl.problems import make_problem
from axiom_rl.problems.splits import write_problems
from axiom_rl.run.tracking import Tracker

TYPES = ("lis", "knapsack", "edit_distance")
STATUSES = ("accepted", "wrong_answer", "runtime_error", "time_limit", "syntax_error")


def hard_problems(split: str, count: int) -> list[Problem]:
    return [
        make_problem(TYPES[i % 3], difficulty=1 + i // 3 % 3, split=split, index=i)
        for i in range(count)
    ]


def make_grpo_run(folder: Path, steps: int = 20, finished: bool = True) -> Path:
    """Write a run of GRPO on hard problems, with an evaluation of val every five steps."""
    write_environment(folder)
    test, val = hard_problems("test", 24), hard_problems("val", 9)
    write_problems(folder / "problems" / "train.jsonl", hard_problems("train", 12))
    write_problems(folder / "problems" / "val.jsonl", val)
    write_problems(folder / "problems" / "test.jsonl", test)
    tracker = Tracker(folder)
    _evaluate(folder, tracker, "before", 0, test, 0.3)
    _val(tracker, val, 0, 0.3)
    _forgetting(folder, tracker, "before", 0, {"basic": 0.6, "easy": 0.7})
    for step in range(1, steps + 1):
        _log_step(tracker, step, steps)
        if step % 5 == 0:
            tracker.log("timing", 1, name="evaluate", seconds=7.0, tokens=100, step=step)
            _val(tracker, val, step, 0.3 + 0.3 * step / steps)
    tracker.log("timing", 1, name="train", seconds=40.0 * steps, tokens=3000 * steps)
    if finished:
        tracker.log("timing", 1, name="evaluate", seconds=20.0, tokens=500, step=steps)
        _evaluate(folder, tracker, "after", 1, test, 0.6)
        _forgetting(folder, tracker, "after", 1, {"basic": 0.2, "easy": 0.7})
    return folder


def _scored(problems: Sequence[Problem], split: str, rate: float, seed: int) -> Evaluation:
    completions, verdicts = draw(problems, [rate] * len(problems), 8, seed)
    options: dict[str, Any] = {"split": split, "model": MODEL, "sampler": SAMPLER, "seed": 0}
    return score(problems, completions, verdicts, **options)


def _evaluate(
    folder: Path, tracker: Tracker, phase: str, iteration: int, test: list[Problem], rate: float
) -> None:
    completions, verdicts = draw(test, [rate] * len(test), 8, iteration)
    write_phase(folder, phase, completions, verdicts)
    result = _scored(test, "test", rate, iteration)
    write_evaluation(folder / "evaluation" / f"{phase}.json", result)
    _row(tracker, iteration, "test", result)


def _val(tracker: Tracker, val: list[Problem], step: int, rate: float) -> None:
    _row(tracker, int(step > 0), "val", _scored(val, "val", rate, step), step=step)


def _forgetting(
    folder: Path, tracker: Tracker, when: str, iteration: int, rates: dict[str, float]
) -> None:
    for family, rate in rates.items():
        problems = [problem(f"{family}_{i}", split="test") for i in range(10)]
        result = _scored(problems, "test", rate, iteration)
        write_evaluation(folder / "evaluation" / f"forgetting_{family}_{when}.json", result)
        _row(tracker, iteration, "test", result, of=family)


def _row(tracker: Tracker, iteration: int, split: str, result: Evaluation, **more: Any) -> None:
    rate = result.pass_at_1
    tracker.log(
        "evaluate", iteration, split=split, tests=result.tests, accuracy=rate.value, low=rate.low,
        high=rate.high, samples=result.samples, solved=result.solved, problems=result.problems,
        **more,
    )  # fmt: skip


def _log_step(tracker: Tracker, step: int, steps: int) -> None:
    chance, done = random.Random(step), step / steps
    rate = min(1.0, max(0.0, 0.3 + 0.3 * done + chance.gauss(0, 0.05)))
    passed = round(64 * rate)
    counts = [passed, 64 - passed - 9, 4, 3, 2]
    tracker.log(
        "train", 1, step=step, reward=rate + 0.1, pass_rate=rate,
        zero_variance_share=0.5 - 0.2 * done, entropy=0.4 - 0.2 * done, kl=0.001 * step,
        completion_length=90.0 + 20 * done, truncated_share=0.05, logprob_gap=0.01,
        verdicts=dict(zip(STATUSES, counts, strict=True)), extra_groups=chance.randrange(3),
        tokens=3000, seconds=40.0, generation_seconds=22.0 + 4 * done, verification_seconds=2.0,
        training_seconds=14.0 - 4 * done, rest_seconds=2.0, tokens_per_second=75.0, loss=0.01,
        level_lis=1 + step // 8, level_knapsack=1 + step // 10, level_edit_distance=1,
    )  # fmt: skip
