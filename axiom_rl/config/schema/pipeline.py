"""The schema of trainers that need a teacher: pipeline and distill."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from axiom_rl.config.schema.trainers import (
    ExpertIterConfig,
    GrpoConfig,
    SftTrainerConfig,
    TrainerConfig,
)


@dataclass
class PipelineConfig(TrainerConfig):
    """Trainers one after the other in one run, each going on with the adapter of the one before.

    `args` stays empty: each step has its own, as in trainer.grpo.args.
    """

    steps: list[str] = MISSING
    """teach, sft, expert_iter and grpo, each at most once, in the order wanted. The traces of teach
    are what sft learns; teach alone trains nothing."""
    measure_teacher: bool = MISSING
    """Whether a teacher of teacher=local is measured on the problems that the student is measured
    on; it costs as many samples as one evaluation of a much slower model."""
    sft: SftTrainerConfig = MISSING
    expert_iter: ExpertIterConfig = MISSING
    grpo: GrpoConfig = MISSING


@dataclass
class DistillConfig(TrainerConfig):
    """On-policy distillation: the student's own samples, every token compared with the teacher.

    The teacher is teacher.model; `args` goes verbatim to trl.DistillationConfig.
    """
