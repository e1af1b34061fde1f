"""What happens around the steps of one distillation: samples, their verdicts, rows of metrics."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerState

from axiom_rl.context.run_context import RunContext
from axiom_rl.core.files import append_jsonl
from axiom_rl.core.text import duration
from axiom_rl.core.types import Status
from axiom_rl.models.memory import free_memory
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.judge import JudgedBy, JudgedLater
from axiom_rl.rollouts.records import Rollout, rollout_row
from axiom_rl.sampling import SampleRequest
from axiom_rl.trainers.grpo.policy import TrainingPolicy
from axiom_rl.trainers.steps import AfterSteps

log = logging.getLogger(__name__)

LOGGED = ("loss", "grad_norm", "learning_rate", "entropy")
"""What TRL logs of a step; the loss is the divergence from the teacher, in nats per token."""


class DistillSession(AfterSteps):
    """Draws the samples of each step, and writes down what came of it."""

    def __init__(
        self, context: RunContext, policy: TrainingPolicy, completions: Path, iteration: int
    ) -> None:
        """Take what stays the same over the steps."""
        self._context, self._policy = context, policy
        self._completions, self._iteration = completions, iteration
        self._tasks = {p.id: JudgedBy(problem=p) for p in context.splits.train}
        self._known = {tuple(self._tokens(key)): key for key in reversed(self._tasks)}
        self._rollouts: list[Rollout] = []
        self._drawing = 0.0
        self._since = time.monotonic()

    def draw(self, step: int, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return a completion, as token ids, of each prompt of a step; all are written down."""
        started = time.monotonic()
        ids = self._problems_of(prompts)
        requests = [
            SampleRequest(
                problem_id=key,
                messages=tuple(render(self._tasks[key].problem, self._context.style)),
                samples=tuple(range(count)),
                stream=f"{self._context.seed}/distill/{step}",
            )
            for key, count in Counter(ids).items()
        ]
        judging = JudgedLater(self._context.verifier)
        with self._policy.sampler(training=True) as sampler:
            for completion in sampler.sample(requests):
                judging.submit(completion, self._tasks[completion.problem_id])
        rollouts = judging.take(everything=True)
        self._rollouts = sorted(
            rollouts, key=lambda item: (item.completion.problem_id, item.completion.sample)
        )
        append_jsonl(
            self._completions,
            (rollout_row(r, "distill", self._iteration) | {"step": step} for r in self._rollouts),
        )
        free_memory()
        self._drawing = time.monotonic() - started
        left = {
            key: iter([r for r in self._rollouts if r.completion.problem_id == key]) for key in ids
        }
        return [list(next(left[key]).completion.token_ids) for key in ids]

    def _problems_of(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        """Return the problem that each prompt puts; TRL hands on tokens alone."""
        return [self._known[tuple(prompt)] for prompt in prompts]

    def _tokens(self, problem_id: str) -> list[int]:
        messages = render(self._tasks[problem_id].problem, self._context.style)
        found: Any = self._policy.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        return list(found)

    def logged(self, state: TrainerState, logs: dict[str, float]) -> None:
        """Write the step's row, and see that the base did not change."""
        seconds = time.monotonic() - self._since
        row = {
            "step": state.global_step,
            **{name: float(logs[name]) for name in LOGGED if logs.get(name) is not None},
            **_numbers(self._rollouts),
            "generation_seconds": round(self._drawing, 3),
            "seconds": round(seconds, 3),
        }
        self._context.run.tracker.log("train", self._iteration, **row)
        left = (state.max_steps - state.global_step) * seconds
        log.info(
            "step %d of %d: divergence from the teacher %.4f nats per token, %s of the samples "
            "pass (%s); about %s left",
            state.global_step,
            state.max_steps,
            row["loss"],
            "?" if row["pass_rate"] is None else f"{row['pass_rate']:.0%}",
            duration(seconds),
            duration(left),
        )
        self._policy.check_base()
        self._since = time.monotonic()

    def saved(self, checkpoint: Path) -> None:
        """Complete the checkpoint that transformers has written."""
        self._policy.describe(checkpoint)
        self._context.run.save_state()


def _numbers(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """Return the columns about a step's samples."""
    judged = [
        item.hidden.passed
        for item in rollouts
        if item.hidden is not None and item.hidden.status is not Status.SANDBOX_FAULT
    ]
    lengths = [item.completion.completion_tokens for item in rollouts]
    return {
        "pass_rate": sum(judged) / len(judged) if judged else None,
        "samples": len(rollouts),
        "faults": len(rollouts) - len(judged),
        "tokens": sum(lengths),
        "completion_length": sum(lengths) / len(lengths),
        "truncated_share": sum(r.completion.truncated for r in rollouts) / len(rollouts),
    }
