"""What happens around the steps of one GRPO training: rollouts, rows of metrics, evaluations."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerControl, TrainerState, TrainingArguments

from axiom_rl.config import GrpoConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import duration
from axiom_rl.models.memory import free_memory
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.rollouts.advice import HOPELESS, nothing_for_grpo
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import Sampler
from axiom_rl.trainers.grpo.checkpoints import write_state
from axiom_rl.trainers.grpo.groups import Batch, GroupSource, goal
from axiom_rl.trainers.grpo.options import grpo_config
from axiom_rl.trainers.grpo.policy import TrainingPolicy
from axiom_rl.trainers.grpo.rehearsal import Rehearsal
from axiom_rl.trainers.grpo.trainer import GrpoTrainer, Row, Spent, check_gap
from axiom_rl.trainers.steps import AfterSteps

log = logging.getLogger(__name__)

LOGGED = ("loss", "grad_norm", "learning_rate")
"""What transformers' Trainer logs of a step."""
DRAWN_IN_VAIN = 2 * HOPELESS
"""Samples that training draws without a pass or a signal before it gives up."""
Evaluate = Callable[[int, Callable[[], Sampler]], None]
"""Called with a step and a loader of the model as it is then."""


class Session(AfterSteps):
    """What happens around the steps of one training."""

    def __init__(
        self,
        context: RunContext,
        trainer: GrpoConfig,
        curriculum: Curriculum,
        policy: TrainingPolicy,
        folder: Path,
        evaluate: Evaluate,
        iteration: int,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self._context, self._config, self._iteration = context, trainer, iteration
        self._curriculum, self._policy, self._evaluate = curriculum, policy, evaluate
        args = grpo_config(trainer.args, policy.model, folder, context.seed)
        self._batch: Batch | None = None
        self._in_vain: list[Rollout] | None = []
        """Drawn so far, as long as nothing of it passed or gave a signal."""
        self._since = time.monotonic()
        self._step_seconds = 0.0
        self._trainer = GrpoTrainer(
            policy.model,
            args,
            policy.tokenizer,
            self._draw,
            [self],
            None if policy.samples_exactly else trainer.importance_cap,
            goal(trainer),
            rehearsal,
        )
        self._trainer.remove_callback(PrinterCallback)  # our own lines say the same

    def train(self, checkpoint: str | None) -> int:
        """Train from a checkpoint or from the start; return the number of the last step."""
        self._since = time.monotonic()
        self._trainer.train(resume_from_checkpoint=checkpoint)
        self._policy.model.eval()
        return int(self._trainer.state.global_step)

    def _draw(self, step: int, groups: int) -> list[Row]:
        """Choose the problems of a step; return the samples of all of them with their rewards."""
        size = int(self._config.args["num_generations"])
        with self._policy.sampler(training=True) as sampler:
            source = GroupSource(
                trainer=self._config,
                curriculum=self._curriculum,
                sampler=lambda: sampler,
                verifier=self._context.verifier,
                style=self._context.style,
                seed=self._context.seed,
                group_size=size,
                max_length=int(self._config.args["max_completion_length"]),
                completions=self._context.run.folder / "completions" / "grpo.jsonl",
                iteration=self._iteration,
            )
            batch = source.draw(step, groups)
        free_memory()
        self._batch = batch
        self._check_hope(batch)
        return [
            (item.completion, reward)
            for group in batch.used
            for item, reward in zip(group.rollouts, group.rewards, strict=True)
        ]

    def _check_hope(self, batch: Batch) -> None:
        """Give up where the first groups hold nothing to learn from.

        Raises:
            AxiomError: with what would help.
        """
        groups = (*batch.used, *batch.thrown_away)
        if self._in_vain is None or any(group.has_signal or group.pass_rate for group in groups):
            self._in_vain = None
            return
        judged = [group for group in groups if group.pass_rate is not None]  # no fault of its own
        self._in_vain += [item for group in judged for item in group.rollouts]
        if len(self._in_vain) >= DRAWN_IN_VAIN:
            advice = nothing_for_grpo(self._context, self._in_vain)
            raise AxiomError(f"GRPO has found nothing to learn from: {advice}")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the step's clock."""
        self._step_seconds = time.monotonic() - self._since

    def logged(self, state: TrainerState, logs: dict[str, float]) -> None:
        """Write the step's row, check the gap, and evaluate if it is time to."""
        spent, self._trainer.spent = self._trainer.spent, Spent()
        row = self._row(state.global_step, logs, spent)
        self._context.run.tracker.log("train", self._iteration, **row)
        _say(row, state)
        self._context.publish()
        self._batch = None
        check_gap(spent.gap, self._config.max_logprob_gap)
        self._policy.check_base()  # the gap is 0 where both read the same altered base
        every = self._config.eval_every
        if every and state.global_step % every == 0 and state.global_step < state.max_steps:
            with self._policy.sampler(training=False) as sampler:
                self._evaluate(state.global_step, lambda: sampler)
        self._since = time.monotonic()

    def _row(self, step: int, logs: dict[str, float], spent: Spent) -> dict[str, Any]:
        drawn = self._batch.numbers() if self._batch else {}
        sampling = self._batch.seconds if self._batch else 0.0
        means = {name: sum(values) / len(values) for name, values in spent.means.items()}
        rest = self._step_seconds - sampling - spent.training_seconds
        return {
            "step": step,
            **{key: float(logs[key]) for key in LOGGED if logs.get(key) is not None},
            **means,
            "logprob_gap": spent.gap.mean,
            "logprob_gap_max": spent.gap.largest,
            **self._clipped(spent),
            **drawn,
            **self._curriculum.summary(),
            "seconds": round(self._step_seconds, 3),
            "training_seconds": round(spent.training_seconds, 3),
            "rest_seconds": round(rest, 3),
        }

    def _clipped(self, spent: Spent) -> dict[str, float]:
        """Return the share of trained tokens whose importance ratio was cut, where ratios apply."""
        if self._trainer.importance_cap is None:
            return {}
        return {"importance_clipped": spent.clipped_tokens / max(spent.gap.tokens, 1)}

    def saved(self, checkpoint: Path) -> None:
        """Complete the checkpoint that transformers has written."""
        self._policy.describe(checkpoint)
        write_state(self._context, checkpoint, self._trainer.state.global_step, self._curriculum)
        self._context.run.save_state()


def _say(row: dict[str, Any], state: TrainerState) -> None:
    left = (state.max_steps - state.global_step) * row["seconds"]
    reward, passed = row.get("reward"), row.get("pass_rate")
    known = reward is not None and passed is not None
    log.info(
        "step %d of %d: %s%s (sampling %s, training %s); about %s left",
        state.global_step,
        state.max_steps,
        f"reward {reward:.3f}, {passed:.0%} passed, " if known else "",
        duration(row["seconds"]),
        duration(row.get("generation_seconds", 0)),
        duration(row["training_seconds"]),
        duration(left),
    )
