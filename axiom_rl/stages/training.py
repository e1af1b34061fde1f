"""Stage train: measure a model, train it, measure it again."""

from __future__ import annotations

from pathlib import Path

from axiom_rl.config import (
    Config,
    DistillConfig,
    ExpertIterConfig,
    GrpoConfig,
    PipelineConfig,
    SftTrainerConfig,
    TrainerConfig,
)
from axiom_rl.config.parts import TEACH, named, trainings
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import make_problems
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.recheck import recheck_claims
from axiom_rl.gold.store import read_solutions
from axiom_rl.problems.splits import import_modules
from axiom_rl.rollouts import rewards
from axiom_rl.stages.distilling import check_distilling, resolve_teacher
from axiom_rl.stages.opening import check_libraries, open_context, resolve_model

NO_SOLUTIONS = "trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one)"


def train(config: Config, folder: Path) -> None:
    """Measure, train, measure again, and report."""
    trainer = config.trainer
    check_training(config)
    splits = make_problems(config, folder)
    check_libraries(config)
    resolved = resolve_model(config)
    teacher = resolve_teacher(config, resolved) if isinstance(trainer, DistillConfig) else None
    with open_context(config, folder, splits, resolved) as context:
        from axiom_rl.trainers.expert_iter.run import run_expert_iteration, run_sft

        if isinstance(trainer, ExpertIterConfig):
            run_expert_iteration(context, config.model, resolved, trainer)
        elif isinstance(trainer, SftTrainerConfig):
            run_sft(context, config.model, resolved, trainer)
        elif isinstance(trainer, GrpoConfig):
            from axiom_rl.trainers.grpo.run import run_grpo

            run_grpo(context, config.model, resolved, trainer)
        elif isinstance(trainer, PipelineConfig):
            from axiom_rl.trainers.pipeline.run import run_pipeline

            run_pipeline(context, config.model, resolved, trainer, config.teacher)
        elif isinstance(trainer, DistillConfig) and teacher is not None:
            from axiom_rl.trainers.distill.run import run_distill

            run_distill(context, config.model, resolved, trainer, teacher)
        else:
            raise AxiomError(f"trainer.kind={trainer.kind}: no such trainer; see conf/trainer/")
        recheck_claims(context)


def check_training(config: Config) -> None:
    """Refuse what would fail later, before anything is written, fetched or loaded."""
    taught = isinstance(config.trainer, PipelineConfig) and TEACH in config.trainer.steps
    for step, own in trainings(config):
        with named(step):
            _check_trainer(own.trainer, taught=taught)
    check_distilling(config)
    check_present(config)


def _check_trainer(trainer: TrainerConfig, *, taught: bool) -> None:
    """Refuse one training whose data, modules or reward are not there.

    `taught`: its data come from a teacher of the same run.
    """
    if isinstance(trainer, SftTrainerConfig) and not taught:
        if trainer.solutions is None:
            raise AxiomError(NO_SOLUTIONS)
        read_solutions(Path(trainer.solutions))
    if isinstance(trainer, GrpoConfig):
        import_modules("trainer.imports", trainer.imports)
        rewards.get(trainer.reward)
