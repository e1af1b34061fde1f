"""A run folder as a real run leaves it, made from seeded random numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axiom_rl.core.files import write_json, write_jsonl, write_text
from axiom_rl.core.types import CaseResult, Completion, Problem, Status, TestCase, Verdict
from axiom_rl.evaluation.score import Evaluation, score, write_evaluation
from axiom_rl.problems.splits import write_problems
from axiom_rl.run.tracking import Tracker

MODEL = {
    "name": "Qwen2.5-Coder-0.5B-Instruct",
    "source": "wheels",
    "format": "GGUF Q4_K_M, dequantised to bfloat16",
    "sha256": "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    "revision": "ebb2015119c907b064c512bf053e945850b5875f",
    "adapter": None,
}
SAMPLER = {
    "backend": "transformers",
    "n": 8,
    "temperature": 0.7,
    "top_p": 1.0,
    "max_new_tokens": 320,
}
BASIC = {
    "two_sum": (0.6, 0.95),
    "fizzbuzz": (0.9, 1.0),
    "reverse_string": (1.0, 1.0),
    "is_palindrome": (0.5, 0.9),
    "max_subarray": (0.95, 0.3),
    "fibonacci": (0.8, 1.0),
    "binary_search": (0.4, 0.9),
    "valid_parentheses": (0.3, 0.8),
    "merge_sorted_arrays": (0.5, 0.9),
    "remove_duplicates": (0.1, 0.7),
}
FAILURES = (Status.WRONG_ANSWER, Status.WRONG_ANSWER, Status.RUNTIME_ERROR, Status.TIME_LIMIT)
HOSTILE = "</pre><script>alert('owned')</script>\x00\u202e| `x` |\ud800"


def problem(name: str, difficulty: int = 1, index: int = 0, split: str = "train") -> Problem:
    return Problem(
        id=f"{name}/d{difficulty}/{split}/s0/{index}",
        type=name,
        difficulty=difficulty,
        split=split,
        title=name.replace("_", " ").title(),
        statement=f"Write {name}.",
        entry_point=name,
        public_tests=(),
        hidden_tests=(TestCase(args=(index, difficulty), expected=name),),
    )


def verdict(status: Status, total: int = 24) -> Verdict:
    passed = status is Status.ACCEPTED
    good = total if passed else total // 3 if status is Status.WRONG_ANSWER else 0
    detail = "" if passed else "returned [1, 2]"
    cases = tuple(
        CaseResult(index=i, status=Status.ACCEPTED if i < good else status, passed=i < good)
        for i in range(total)
    )
    return Verdict(
        status=status,
        passed=passed,
        pass_fraction=good / total,
        cases=cases,
        total_tests=total,
        detail=detail,
    )


def verdict_row(value: Verdict) -> dict[str, Any]:
    names = ("status", "passed", "passed_tests", "total_tests", "pass_fraction", "detail")
    failed = next((case.index for case in value.cases if not case.passed), None)
    return {name: getattr(value, name) for name in names} | {"failed_test": failed}


def draw(
    problems: Sequence[Problem], rates: Sequence[float], n: int, seed: int
) -> tuple[list[Completion], list[Verdict]]:
    """Draw completions whose pass rates are given, as judged by the fresh tests."""
    chance = random.Random(seed)
    completions, verdicts = [], []
    for one, rate in zip(problems, rates, strict=True):
        for sample in range(n):
            passed = chance.random() < rate
            status = Status.ACCEPTED if passed else chance.choice(FAILURES)
            body = "return sorted(args)" if passed else "raise ValueError('no')"
            text = (
                f"Here it is:\n```python\ndef {one.entry_point}(*args):\n"
                f"    # try {sample}\n    {body}\n```"
            )
            completions.append(
                Completion(
                    problem_id=one.id,
                    sample=sample,
                    text=text,
                    prompt_tokens=140,
                    completion_tokens=60 + sample,
                    truncated=not passed and sample == 7,
                )
            )
            verdicts.append(verdict(status))
    return completions, verdicts


def evaluation(rates: dict[str, float], n: int = 8, seed: int = 0, **changes: Any) -> Evaluation:
    """Score random completions for one problem per type."""
    problems = [problem(name) for name in rates]
    completions, verdicts = draw(problems, list(rates.values()), n, seed)
    options = {"split": "train", "model": MODEL, "sampler": SAMPLER | {"n": n}, "seed": seed}
    return score(problems, completions, verdicts, verdicts, **(options | changes))


def write_phase(
    folder: Path, phase: str, completions: Sequence[Completion], verdicts: Sequence[Verdict]
) -> None:
    rows = [
        {
            "schema": 1,
            "problem_id": one.problem_id,
            "sample": one.sample,
            "iteration": 0,
            "phase": phase,
            "text": one.text,
            "code": one.text.split("```python\n")[-1].split("```")[0],
            "truncated": one.truncated,
            "prompt_tokens": one.prompt_tokens,
            "completion_tokens": one.completion_tokens,
            "hidden": verdict_row(judged),
            "fresh": verdict_row(judged),
        }
        for one, judged in zip(completions, verdicts, strict=True)
    ]
    write_jsonl(folder / "completions" / f"{phase}.jsonl", rows)


def make_run(folder: Path, iterations: int = 1, finished: bool = True) -> Path:
    """Write a whole run of expert iteration on the ten basic problems."""
    problems = [problem(name) for name in BASIC]
    write_environment(folder)
    write_problems(folder / "problems" / "train.jsonl", problems)
    tracker = Tracker(folder)
    for step in range(iterations + 1):
        share = step / iterations
        rates = [before + (after - before) * share for before, after in BASIC.values()]
        completions, verdicts = draw(problems, rates, 8, step)
        name = f"iter_{step}" if step else "before"
        write_phase(folder, name, completions, verdicts)
        result = score(
            problems,
            completions,
            verdicts,
            verdicts,
            split="train",
            model=MODEL | {"adapter": "adapter" if step else None},
            sampler=SAMPLER,
            seed=0,
        )
        write_evaluation(folder / "evaluation" / f"{name}.json", result)
        _log(tracker, step, result)
        if step == iterations and finished:
            write_evaluation(folder / "evaluation" / "after.json", result)
    return folder


def _log(tracker: Tracker, step: int, result: Evaluation) -> None:
    rate = result.pass_at_1
    counts = {"samples": result.samples, "solved": result.solved, "problems": result.problems}
    tracker.log(
        "evaluate", step, split="train", accuracy=rate.value, low=rate.low, high=rate.high, **counts
    )
    seconds = {"seconds": 225.4, "tokens": 5120, "tokens_per_second": 22.7}
    verify = {"verify_seconds": 4.2, "verify_share": 0.0186, "verify_cpu_seconds": 9.5}
    verify |= {"peak_memory_gb": 3.41}
    tracker.log("timing", step, name="evaluate", **seconds, **verify)
    if not step:
        tracker.log("timing", 0, name="load", seconds=12.5)
        return
    unique = {"solutions": 38, "total_solutions": 38 * step, "duplicates": 12, "unsolved": 0}
    tracker.log("collect", step, samples=96, passed=50, **unique)
    for number in range(1, 16):
        loss = {"step": number, "epoch": number / 5, "loss": 0.6 / number**0.7}
        tracker.log("train", step, **loss, learning_rate=2e-4, grad_norm=1.0, seconds=3.0)
    tracker.log("timing", step, name="train", seconds=61.0, tokens=9000, peak_memory_gb=5.2)


def write_environment(folder: Path) -> None:
    write_text(folder / "config.yaml", "name: train\nseed: 0\nstage:\n  kind: train\n")
    write_json(
        folder / "environment.json",
        {
            "schema": 1,
            "command": "python launch.py problems=basic seed=0",
            "git_commit": "9855bb5c0ffee",
            "git_dirty": True,
            "python": "3.11.9",
            "platform": "Linux-6.1-x86_64",
            "cpu": "Intel(R) Xeon(R) Processor",
            "cores": 2,
            "memory_gb": 15.6,
            "gpu": None,
            "packages": {"torch": "2.13.0", "trl": "1.16.0"},
            "seed": 0,
            "isolation": "full",
            "model": {key: MODEL[key] for key in MODEL if key != "adapter"},
            "started": "2026-01-02T03:04:05+00:00",
        },
    )
