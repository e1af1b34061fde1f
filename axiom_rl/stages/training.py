"""Stage train: measure a model, train it, measure it again."""

from __future__ import annotations

from pathlib import Path

from axiom_rl.config import (
    Config,
    DistillConfig,
    ExpertIterConfig,
    FileTeacherConfig,
    GrpoConfig,
    LocalTeacherConfig,
    PipelineConfig,
    SftTrainerConfig,
    TrainerConfig,
    ValueConfig,
    composed_option,
)
from axiom_rl.config.parts import TEACH, named, trainings
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import make_problems
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.experts.opened import check_arms, check_shown, with_expert
from axiom_rl.evaluation.experts.pool import with_pool
from axiom_rl.evaluation.recheck import recheck_claims
from axiom_rl.evaluation.search.replayed import refuse_of_pools
from axiom_rl.gold.store import read_solutions
from axiom_rl.gold.teacher.file import FileTeacher
from axiom_rl.gold.teacher.open import check_teacher
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.problems.sources.load import load_splits
from axiom_rl.problems.splits import Splits, import_modules
from axiom_rl.rollouts import rewards
from axiom_rl.stages.distilling import check_distilling, resolve_teacher
from axiom_rl.stages.knowing import search_in_use
from axiom_rl.stages.opening import check_libraries, open_context, resolve_model, say_end

NO_SOLUTIONS = (
    "trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one) or "
    "trainer.traces=path.jsonl (stage=teach)"
)


def train(config: Config, folder: Path) -> None:
    """Measure, train, measure again, and report."""
    if isinstance(config.trainer, ValueConfig):
        fit_value(config, config.trainer, folder)
        return
    check_training(config)
    config = with_expert(with_pool(config))
    check_arms(config)
    trainer = config.trainer
    splits = make_problems(config, folder)
    check_val(config, splits)
    check_shown(config, splits.train)
    if _is_taught(config) and isinstance(config.teacher, FileTeacherConfig):
        FileTeacher(config.teacher, splits.train)  # its traces are of these problems
    watched = watched_families(config)
    check_libraries(config)
    resolved = resolve_model(config)
    search = search_in_use(config, resolved, splits)
    teacher = resolve_teacher(config, resolved) if isinstance(trainer, DistillConfig) else None
    if _is_taught(config) and isinstance(config.teacher, LocalTeacherConfig):
        from axiom_rl.gold.teacher.local import LocalTeacher

        LocalTeacher(config.teacher, folder).close()  # found and planned for, not loaded
    with open_context(config, folder, splits, resolved) as context:
        from axiom_rl.trainers.expert_iter.run import run_expert_iteration, run_sft

        if isinstance(trainer, ExpertIterConfig):
            run_expert_iteration(context, config.model, resolved, trainer, search)
        elif isinstance(trainer, SftTrainerConfig):
            run_sft(context, config.model, resolved, trainer, search)
        elif isinstance(trainer, GrpoConfig):
            from axiom_rl.trainers.grpo.run import run_grpo

            run_grpo(context, config.model, resolved, trainer, watched)
        elif isinstance(trainer, PipelineConfig):
            from axiom_rl.trainers.pipeline.run import run_pipeline

            run_pipeline(context, config.model, resolved, trainer, config.teacher, watched)
        elif isinstance(trainer, DistillConfig) and teacher is not None:
            from axiom_rl.trainers.distill.run import run_distill

            run_distill(context, config.model, resolved, trainer, teacher)
        else:
            raise AxiomError(f"trainer.kind={trainer.kind}: no such trainer; see conf/trainer/")
        recheck_claims(context)


def check_val(config: Config, splits: Splits) -> None:
    """Refuse evaluations during training where there is nothing to evaluate on."""
    if isinstance(config.trainer, GrpoConfig) and config.trainer.eval_every and not splits.val:
        raise AxiomError(
            f"trainer.eval_every={config.trainer.eval_every} evaluates on the val split, which is "
            "empty: set problems.sizes.val=1 or more, or trainer.eval_every=0"
        )


def watched_families(config: Config) -> dict[str, Splits]:
    """Return the problems of the families that a run watches for forgetting, by name.

    Raises:
        AxiomError: for an unknown family, naming it.
    """
    names = [
        name
        for _step, own in trainings(config)
        if isinstance(own.trainer, GrpoConfig)
        for name in own.trainer.forgetting
    ]
    return {name: load_splits(composed_option("problems", name)) for name in dict.fromkeys(names)}


def fit_value(config: Config, trainer: ValueConfig, folder: Path) -> None:
    """Fit a value head on pools; nothing is sampled."""
    refuse_of_pools(config)
    if trainer.args:
        raise AxiomError(
            f"trainer.args.{next(iter(trainer.args))}: trainer=value does not train by TRL; its "
            "options are trainer.l2, trainer.hidden and others, see --help trainer=value"
        )
    check_present(config)
    from axiom_rl.trainers.value.run import run_value

    run_value(config, trainer, folder)
    say_end(config, folder)


def _check_gold(trainer: SftTrainerConfig, style: str) -> None:
    """Refuse files that cannot be read, or that hold what the prompt does not ask for."""
    solutions, traces = trainer.solutions, trainer.traces
    if (solutions is None) == (traces is None):
        raise AxiomError(
            NO_SOLUTIONS
            if solutions is None
            else "trainer.solutions and trainer.traces are two files: give one of them"
        )
    if traces is not None:
        read_traces(Path(traces))
        if style != "think":
            raise AxiomError(
                f"trainer.traces={traces} holds reasoning, which problems.prompt={style} does not "
                "ask for: type problems.prompt=think, and give answers room for it "
                "(sampler.max_new_tokens=640)"
            )
        return
    thought = [item for item in read_solutions(Path(str(solutions))) if item.reasoning]
    if style == "think" and not thought:
        raise AxiomError(
            f"trainer.solutions={solutions} holds programs alone, and problems.prompt=think asks "
            "for reasoning: give trainer.traces= (stage=teach makes one), or problems.prompt=direct"
        )


def check_training(config: Config) -> None:
    """Refuse what would fail later, before anything is written, fetched or loaded."""
    taught = _is_taught(config)
    for step, own in trainings(config):
        with named(step):
            _check_trainer(own.trainer, config.problems.prompt, taught=taught)
    if taught:
        _check_teaching(config)
    check_distilling(config)
    check_present(config)


def _is_taught(config: Config) -> bool:
    return isinstance(config.trainer, PipelineConfig) and TEACH in config.trainer.steps


def _check_teaching(config: Config) -> None:
    """Refuse a pipeline with a teacher that lacks something, or whose traces nobody asks for."""
    if config.problems.prompt != "think":
        raise AxiomError(
            f"a teacher's traces hold reasoning, which problems.prompt={config.problems.prompt} "
            "does not ask for: type problems.prompt=think, and give answers room for it "
            "(sampler.max_new_tokens=640)"
        )
    check_teacher(config.teacher)


def _check_trainer(trainer: TrainerConfig, style: str, *, taught: bool) -> None:
    """Refuse one training whose data, modules or reward are not there.

    `taught`: its data come from a teacher of the same run.
    """
    if isinstance(trainer, SftTrainerConfig) and not taught:
        _check_gold(trainer, style)
    if isinstance(trainer, GrpoConfig):
        import_modules("trainer.imports", trainer.imports)
        rewards.WeightedRewards(trainer.rewards)
    if isinstance(trainer, ExpertIterConfig) and trainer.problems_per_iteration is None:
        curriculum = trainer.curriculum
        if curriculum.focus or curriculum.kind != "uniform":
            raise AxiomError(
                f"trainer.curriculum.kind={curriculum.kind} and focus={curriculum.focus} choose "
                "nothing without draws: set trainer.problems_per_iteration, e.g. to 20"
            )
