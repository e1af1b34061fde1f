"""Stage train: measure a model, train it, measure it again."""

from __future__ import annotations

from pathlib import Path

from axiom_rl.config import Config, ExpertIterConfig, GrpoConfig, SftTrainerConfig
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import make_problems
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.recheck import recheck_claims
from axiom_rl.gold.store import read_solutions
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.problems.splits import import_modules
from axiom_rl.rollouts import rewards
from axiom_rl.stages.opening import check_libraries, open_context, resolve_model

NO_SOLUTIONS = (
    "trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one) or "
    "trainer.traces=path.jsonl (stage=teach)"
)


def train(config: Config, folder: Path) -> None:
    """Measure, train, measure again, and report."""
    trainer = config.trainer
    check_training(config)
    splits = make_problems(config, folder)
    check_libraries(config)
    resolved = resolve_model(config)
    with open_context(config, folder, splits, resolved) as context:
        from axiom_rl.trainers.expert_iter.run import run_expert_iteration, run_sft

        if isinstance(trainer, ExpertIterConfig):
            run_expert_iteration(context, config.model, resolved, trainer)
        elif isinstance(trainer, SftTrainerConfig):
            run_sft(context, config.model, resolved, trainer)
        elif isinstance(trainer, GrpoConfig):
            from axiom_rl.trainers.grpo.run import run_grpo

            run_grpo(context, config.model, resolved, trainer)
        else:
            raise AxiomError(f"trainer.kind={trainer.kind}: no such trainer; see conf/trainer/")
        recheck_claims(context)


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
    if isinstance(config.trainer, SftTrainerConfig):
        _check_gold(config.trainer, config.problems.prompt)
    if isinstance(config.trainer, GrpoConfig):
        import_modules("trainer.imports", config.trainer.imports)
        rewards.get(config.trainer.reward)
    check_present(config)
