"""The teacher of trainer=distill: found, compared with the student, and planned for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from axiom_rl.config import Config, DistillConfig, LocalTeacherConfig, ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.gold.teacher.open import check_teacher

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

log = logging.getLogger(__name__)

INSTEAD = (
    "let it write traces instead: stage=teach, then trainer=sft trainer.traces=traces.jsonl, or "
    "trainer=pipeline for both"
)


def check_distilling(config: Config) -> None:
    """Refuse a teacher that gives text alone, before anything is fetched or loaded."""
    if not isinstance(config.trainer, DistillConfig):
        return
    if not isinstance(config.teacher, LocalTeacherConfig):
        raise AxiomError(
            f"trainer=distill compares every token with the teacher's probabilities, and "
            f"teacher={config.teacher.kind} has none: type teacher=local teacher.model=MODEL, or "
            f"{INSTEAD}"
        )
    check_teacher(config.teacher)
    if config.teacher.adapter is not None:
        raise AxiomError(
            f"teacher.adapter={config.teacher.adapter}: trainer=distill takes whole models; write "
            "one by stage=export, and give its folder as teacher.model"
        )


def resolve_teacher(config: Config, student: ResolvedModel) -> tuple[ModelConfig, ResolvedModel]:
    """Find the teacher's weights; compare tokenizers and plan the memory before any are loaded.

    Raises:
        AxiomError: if there is no such model, its tokens are others, or both models do not fit.
    """
    from axiom_rl.context.resources import check_distilling_memory
    from axiom_rl.gold.teacher.local import teacher_model
    from axiom_rl.models.load import load_tokenizer
    from axiom_rl.models.tokenizers import tokenizer_difference
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.models.weights.source import read_config

    assert isinstance(config.teacher, LocalTeacherConfig)
    model = teacher_model(config.teacher)
    teacher = resolve(model)
    difference = tokenizer_difference(load_tokenizer(student), load_tokenizer(teacher))
    where = f"teacher.model={config.teacher.model}"
    if difference:
        raise AxiomError(
            f"{where} has another tokenizer than {student.name} ({difference}), so that its "
            f"probabilities are of other tokens: take a model of the same family, or {INSTEAD}"
        )
    ours, theirs = (int(read_config(each.folder)["vocab_size"]) for each in (student, teacher))
    if theirs < ours:
        raise AxiomError(
            f"{where} gives probabilities for {theirs} tokens and {student.name} for {ours}: take "
            f"another model of the family, or {INSTEAD}"
        )
    if teacher.sha256 == student.sha256 and config.model.adapter is None:
        raise AxiomError(
            f"{where} is the student itself, which has nothing to learn from it: give a larger "
            "model, or a student's adapter by model.adapter="
        )
    check_distilling_memory(config, student, model, teacher)
    return model, teacher
