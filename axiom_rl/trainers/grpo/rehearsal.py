"""Rehearsal: what the model could before training stays, by its own verified answers.

GRPO leaves out types that pass nearly always, for their groups have no signal; then nothing keeps
them while the weights move. So each of their training problems is sampled before training, and the
answers that pass all hidden tests are trained on beside the groups, `trainer.rehearsal_rows` a
step, each as a row whose advantage is `trainer.rehearsal`. In expectation that is the gradient of
the cross-entropy between the model at the start, restricted to verified answers, and the policy:
about 0 while the policy answers as it did, and a pull back once it does not (behavioural cloning
from replay, as in CLEAR: Rolnick et al. 2019, arXiv:1811.11682). It costs no samples during
training, and unlike a group of the type it still pulls when no sample passes any more.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from axiom_rl.config import GrpoConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.types import Completion, Problem
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.draw import cost, draw
from axiom_rl.rollouts.judge import JudgedBy
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.sampling.hf.sampler import prompt_tokens

log = logging.getLogger(__name__)

PHASE = "rehearsal"
"""Name of the phase, of its file in completions/ and of its random stream."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Answers to rehearse, and how."""

    answers: tuple[Completion, ...]
    """At least one."""
    advantage: float
    size: int
    """Answers in a step."""
    seed: int

    def rows(self, step: int) -> list[Completion]:
        """Return the answers of an optimizer step, from 1: a function of the step alone.

        All answers have their turn before one comes again, each time in another order.
        """
        places = range((step - 1) * self.size, step * self.size)
        return [self._at(place) for place in places]

    def _at(self, place: int) -> Completion:
        turn, position = divmod(place, len(self.answers))
        order = random.Random(f"{self.seed}/rehearsal/{turn}").sample(
            range(len(self.answers)), len(self.answers)
        )
        return self.answers[order[position]]


def draw_rehearsal(
    context: RunContext, trainer: GrpoConfig, policy: Policy, problems: Sequence[Problem]
) -> None:
    """Sample `problems` at the temperature of training, before it begins; once in a run.

    Args:
        context: of the run.
        trainer: of it the temperature.
        policy: the model that training starts from.
        problems: of the training split, of the types to keep alive; none draws nothing.
    """
    if not problems or context.run.is_finished(f"{PHASE}/0"):
        return
    with context.run.timed(PHASE, 0) as columns:
        tasks = [JudgedBy(problem=problem) for problem in problems]
        temperature = float(trainer.args["temperature"])
        samples = range(context.sampler.n)
        drawn = draw(context, PHASE, tasks, samples, policy, 0, temperature)
        kept = sum(map(_is_kept, drawn.rollouts))
        columns.update(cost(drawn) | {"solutions": kept})
    log.info(
        "rehearsal: %d of %d samples of %s passed; %d of them go into every step "
        "(trainer.rehearsal)",
        kept,
        len(drawn.rollouts),
        ", ".join(sorted({problem.type for problem in problems})),
        trainer.rehearsal_rows,
    )
    context.run.finish(f"{PHASE}/0")


def read_rehearsal(
    context: RunContext,
    trainer: GrpoConfig,
    problems: Sequence[Problem],
    tokenizer: PreTrainedTokenizerBase,
) -> Rehearsal | None:
    """Return what `draw_rehearsal` left to rehearse; None if that is nothing."""
    prompts = {
        problem.id: tuple(prompt_tokens(tokenizer, render(problem, context.style)))
        for problem in problems
    }
    rollouts = read_rollouts(context.run.folder / "completions" / f"{PHASE}.jsonl")
    answers = tuple(
        replace(item.completion, prompt_ids=prompts[item.completion.problem_id])
        # Sorted, since they were written as they finished.
        for item in sorted(rollouts, key=lambda item: item.completion.key)
        if item.completion.problem_id in prompts and _is_kept(item)
    )
    if not answers:
        return None
    return Rehearsal(answers, trainer.rehearsal, trainer.rehearsal_rows, context.seed)


def _is_kept(item: Rollout) -> bool:
    whole = bool(item.completion.token_ids) and not item.completion.truncated
    return whole and item.hidden is not None and item.hidden.passed
