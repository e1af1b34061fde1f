"""The trainings that a run consists of: one, or the steps of a pipeline, each with its own config.

What is checked of a trainer is checked of every step, before anything is loaded: `trainings` gives
the config that a run of the step alone would have, and `named` words its errors with the keys that
the user types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from axiom_rl.config.checks import SELECTORS
from axiom_rl.config.schema import (
    Config,
    DistillConfig,
    PipelineConfig,
    SftTrainerConfig,
    TrainerConfig,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import did_you_mean

TEACH = "teach"
STEPS = (TEACH, "sft", "expert_iter", "grpo")
"""What a pipeline may consist of; all but teach are trainers."""


def trainings(config: Config) -> Iterator[tuple[str, Config]]:
    """Yield the name of each step that trains, and the config of a run of it alone.

    A run with another trainer is one training, without a name.
    """
    trainer = config.trainer
    if not isinstance(trainer, PipelineConfig):
        yield "", config
        return
    for name in trainer.steps:
        if name != TEACH:
            yield name, replace(config, trainer=trainer_of(trainer, name))


def has_teacher(trainer: TrainerConfig) -> bool:
    """Tell whether a trainer reads teacher.*: a pipeline that teaches, and distillation."""
    if isinstance(trainer, PipelineConfig):
        return TEACH in trainer.steps
    return isinstance(trainer, DistillConfig)


def trainer_of(pipeline: PipelineConfig, name: str) -> TrainerConfig:
    """Return the trainer of a step that trains."""
    match name:
        case "sft":
            return pipeline.sft
        case "expert_iter":
            return pipeline.expert_iter
        case "grpo":
            return pipeline.grpo
        case other:
            raise AxiomError(f"trainer.steps: {other} is no trainer; there are {', '.join(STEPS)}")


@contextmanager
def named(step: str) -> Iterator[None]:
    """Word errors about a step with its own keys: trainer.args is trainer.grpo.args there."""
    try:
        yield
    except AxiomError as error:
        if not step:
            raise
        text = re.sub(r"\btrainer\.(?=\w)", f"trainer.{step}.", str(error))
        raise AxiomError(text) from error


def iterations_of(steps: Sequence[str], rounds: int) -> Mapping[str, range]:
    """Return the numbers of each step's iterations, from 1: they tell apart files, rows and phases.

    Args:
        steps: of the pipeline.
        rounds: iterations of expert_iter; every other step has one.
    """
    numbers, first = {}, 1
    for name in steps:
        stop = first + (rounds if name == "expert_iter" else 1)
        numbers[name] = range(first, stop)
        first = stop
    return numbers


def check_steps(config: Config) -> None:
    """Refuse a pipeline that makes no sense.

    Raises:
        AxiomError: naming the step and what to type instead.
    """
    trainer = config.trainer
    if not isinstance(trainer, PipelineConfig):
        return
    steps = trainer.steps
    if trainer.args:
        key = next(iter(trainer.args))
        raise AxiomError(
            f"trainer.args.{key}: a pipeline has no options of its own, its steps have: give "
            + " or ".join(f"trainer.{name}.args.{key}" for name in STEPS if name != TEACH)
        )
    for name in steps:
        if name not in STEPS:
            hint = did_you_mean(name, STEPS, after=" ", most=1)
            raise AxiomError(
                f"trainer.steps: {hint}there is no step {name}; there are {', '.join(STEPS)}"
            )
        if steps.count(name) > 1:
            raise AxiomError(
                f"trainer.steps: {name} stands there twice; go on with a second run, by "
                "model.adapter=outputs/.../adapter"
            )
    if set(steps) <= {TEACH}:
        raise AxiomError(
            "trainer.steps: nothing is trained; give e.g. trainer.steps=[teach,sft,grpo], or type "
            "stage=teach for the traces alone"
        )
    _check_traces(steps, trainer.sft)
    _check_handed_on(trainer)
    if _iterates(trainer):
        _check_own_gold(trainer)


def _check_traces(steps: Sequence[str], sft: SftTrainerConfig) -> None:
    """Refuse traces that nobody learns, and sft without data or with two kinds of it."""
    given = [f"trainer.sft.{key}" for key in ("solutions", "traces") if getattr(sft, key)]
    if TEACH in steps and "sft" not in steps[steps.index(TEACH) :]:
        raise AxiomError(
            "trainer.steps: nobody learns what teach writes: put sft behind it, or type stage=teach"
        )
    if TEACH in steps and given:
        raise AxiomError(f"{given[0]}: sft learns the traces of teach; leave one of the two out")
    if "sft" in steps and TEACH not in steps and len(given) != 1:
        raise AxiomError(
            "trainer.steps: sft has nothing to learn from: put teach before it, or give one of "
            "trainer.sft.traces=traces.jsonl and trainer.sft.solutions=gold.jsonl"
        )


def _check_handed_on(trainer: PipelineConfig) -> None:
    """Refuse expert iteration that would train the base model where an adapter is handed to it."""
    before = trainer.steps[: trainer.steps.index("expert_iter")] if _iterates(trainer) else []
    if set(before) - {TEACH} and trainer.expert_iter.start_from == "base":
        raise AxiomError(
            "trainer.expert_iter.start_from=base would throw away what the steps before it "
            "trained: give trainer.expert_iter.start_from=adapter"
        )


def _check_own_gold(trainer: PipelineConfig) -> None:
    """Refuse an expert that searches, and arms: a pipeline scores no search beside its steps."""
    own = trainer.expert_iter
    if own.expert in SELECTORS:
        raise AxiomError(
            f"trainer.expert_iter.expert={own.expert} searches, which a pipeline does not: give "
            "hidden there, or use trainer=expert_iter"
        )
    for key in ("pool", "arms"):
        if getattr(own, key):
            raise AxiomError(
                f"trainer.expert_iter.{key} compares runs of trainer=expert_iter: leave it out"
            )


def _iterates(trainer: PipelineConfig) -> bool:
    return "expert_iter" in trainer.steps
