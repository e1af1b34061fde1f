"""The teacher of trainer=distill: found, compared with the student, and planned for."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from axiom_rl.config import (
    CONF_DIR,
    Config,
    DistillConfig,
    LocalTeacherConfig,
    ModelConfig,
    composed_option,
)
from axiom_rl.core.errors import AxiomError

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
    from axiom_rl.models.load import load_tokenizer
    from axiom_rl.models.tokenizers import tokenizer_difference
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.models.weights.source import read_config

    model = teacher_model(config)
    teacher = resolve(model)
    difference = tokenizer_difference(load_tokenizer(student), load_tokenizer(teacher))
    where = f"teacher.model={teacher_name(config)}"
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


def teacher_name(config: Config) -> str:
    """Return teacher.model of a local teacher."""
    assert isinstance(config.teacher, LocalTeacherConfig)
    return config.teacher.model


def teacher_model(config: Config) -> ModelConfig:
    """Return the configuration of the teacher's model: a preset of conf/model, or a path."""
    teacher = config.teacher
    assert isinstance(teacher, LocalTeacherConfig)
    if (CONF_DIR / "model" / f"{teacher.model}.yaml").is_file():
        found: ModelConfig = composed_option("model", teacher.model)
    else:
        found = replace(
            config.model, path=teacher.model, chat_template=None, chat_template_kwargs={}
        )
    return replace(
        found,
        adapter=None,
        dtype=teacher.dtype,
        quantization=teacher.quantization,
        device=teacher.device,
    )
