"""A pipeline: trainers that exist, one after the other, in one run folder.

One adapter is handed from step to step, and so is what was drawn when it was measured: the samples
of the evaluation after a step are those that the next one chooses its problems by (which problems a
teacher is asked, which types GRPO trains on), so that nothing is drawn twice. Each step has numbers
of its own for its iterations (`axiom_rl.config.parts.iterations_of`), which tell its checkpoints,
phases and rows of metrics.jsonl apart from those of the others; with them every step is resumed as
it would be alone.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from axiom_rl.config import LocalTeacherConfig, ModelConfig, PipelineConfig, TeacherConfig
from axiom_rl.config.parts import TEACH, iterations_of, named
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.experts.retained import expert_of_gold
from axiom_rl.evaluation.measure import held_out, measure
from axiom_rl.evaluation.recheck import FILE as CLAIMS
from axiom_rl.gold.teacher.asked import failed, pass_rates
from axiom_rl.gold.teacher.local import LocalTeacher
from axiom_rl.gold.teacher.teach import teach
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.splits import Splits
from axiom_rl.rollouts.records import Rollout
from axiom_rl.trainers.adapter import publish, release, train_rows
from axiom_rl.trainers.expert_iter.run import improve, rows_of, solutions_of
from axiom_rl.trainers.grpo.run import learn, measure_families, prepare, watch

log = logging.getLogger(__name__)

NEEDS_TRAIN = (TEACH, "expert_iter")
"""Steps that choose among the training problems by what the student drew of them."""
TRACES = "traces.jsonl"


@dataclass(slots=True)
class _Student:
    """The model as it is between two steps."""

    adapter: str | None
    policy: Policy
    rollouts: tuple[Rollout, ...]
    """Of its latest evaluation."""
    phase: str
    """Of that evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """What stays the same over the steps."""

    context: RunContext
    model: ModelConfig
    resolved: ResolvedModel
    trainer: PipelineConfig
    teacher: TeacherConfig
    numbers: Mapping[str, range]
    families: Mapping[str, RunContext] = field(default_factory=dict)
    """Watched for forgetting over the whole pipeline."""

    def measured_before(self, step: str | None) -> RunContext:
        """Return the context of the evaluation before a step; None is the end.

        Training problems are in it only where the step chooses among them by it.
        """
        if step in NEEDS_TRAIN:
            return self.context
        return replace(self.context, splits=held_out(self.context.splits))


def run_pipeline(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: PipelineConfig,
    teacher: TeacherConfig,
    watched: Mapping[str, Splits],
) -> None:
    """Measure the student, go through the steps, measure it after each, and publish the last one.

    Args:
        context: of the run.
        model: its adapter is where the first step starts.
        resolved: where the weights are.
        trainer: the run's.
        teacher: that the step teach asks.
        watched: problems of the families of trainer.grpo.forgetting.

    Raises:
        AxiomError: what a step raises, with the keys of the step.
    """
    families: Mapping[str, RunContext] = {}
    if "grpo" in trainer.steps:
        with named("grpo"):
            prepare(trainer.grpo)
            families = watch(context, watched)
    if "sft" in trainer.steps and TEACH not in trainer.steps:
        with named("sft"):
            rows_of(context, trainer.sft, resolved)  # refused before anything is measured
    steps = _Steps(
        context=context,
        model=model,
        resolved=resolved,
        trainer=trainer,
        teacher=teacher,
        numbers=iterations_of(trainer.steps, trainer.expert_iter.iterations),
        families=families,
    )
    log.info("pipeline: %s", ", then ".join(trainer.steps))
    policy = context.policy(model.adapter)
    rollouts = measure(steps.measured_before(trainer.steps[0]), 0, policy, "before")
    measure_families(families, 0, policy, "before")
    student = _Student(model.adapter, policy, rollouts, "before")
    following: Sequence[str | None] = [*trainer.steps[1:], None]
    for place, (step, then) in enumerate(zip(trainer.steps, following, strict=True), start=1):
        log.info("step %d of %d: %s", place, len(trainer.steps), step)
        with named(step if step != TEACH else ""):
            _take(steps, step, then, student)
        _keep_evaluation(context, student.phase, f"after_{step}")
    last = steps.numbers[trainer.steps[-1]][-1]
    measure_families(families, last, student.policy, "after")
    release(student.policy)
    if not context.run.is_finished(f"publish/{last}"):
        (context.run.folder / CLAIMS).unlink(missing_ok=True)  # of an earlier end of this run
    publish(context, last, student.phase)


def _take(steps: _Steps, step: str, then: str | None, student: _Student) -> None:
    """Take one step: the student gets its new adapter and is measured with it."""
    context, numbers = steps.context, steps.numbers[step]
    model = replace(steps.model, adapter=student.adapter)
    if step not in ("expert_iter", "grpo"):  # which may draw more samples before they train
        release(student.policy)
    match step:
        case "teach":
            _teach(steps, numbers.start, student)
            return
        case "sft":
            config = steps.trainer.sft
            if TEACH in steps.trainer.steps:
                config = replace(config, traces=str(context.run.folder / TRACES))
            rows = rows_of(context, config, steps.resolved)
            adapter: str | None = train_rows(
                *(context, numbers.start, rows, config.args, model, steps.resolved, model.adapter),
                expert_of_gold(solutions_of(config)),
            )
        case "grpo":
            adapter = learn(
                context,
                model,
                steps.resolved,
                steps.trainer.grpo,
                student.rollouts,
                student.policy,
                numbers.start,
            )
        case "expert_iter":
            adapter, student.rollouts = improve(
                context,
                model,
                steps.resolved,
                steps.trainer.expert_iter,
                student.rollouts,
                student.policy,
                numbers.start,
            )
        case other:
            raise AxiomError(f"trainer.steps: {other} is no step of a pipeline")
    student.adapter, student.policy = adapter, context.policy(adapter)
    if step == "expert_iter":  # it measures every iteration itself
        student.phase = f"iter_{numbers[-1]}"
        return
    student.phase = f"after_{step}"
    student.rollouts = measure(
        steps.measured_before(then), numbers.start, student.policy, student.phase
    )


def _teach(steps: _Steps, number: int, student: _Student) -> None:
    """Ask the teacher for the training problems that the student fails."""
    problems = steps.context.splits.train
    hard = failed(problems, pass_rates(student.rollouts), steps.teacher.max_pass_rate)
    if not hard:
        raise AxiomError(
            f"the student passes more than {steps.teacher.max_pass_rate:.0%} of its samples of "
            "every training problem (teacher.max_pass_rate), so there is nothing to teach: leave "
            "teach out of trainer.steps, raise problems.levels, or give e.g. "
            "teacher.max_pass_rate=0.5"
        )
    log.info("the student fails %d of %d training problems", len(hard), len(problems))
    if steps.trainer.measure_teacher:
        if isinstance(steps.teacher, LocalTeacherConfig):
            _measure_teacher(steps, steps.teacher, number)
        else:
            log.warning(
                "trainer.measure_teacher=true: only a teacher of teacher=local can be measured, so "
                "the report has no row of this one (%s)",
                steps.teacher.kind,
            )
    teach(
        steps.context,
        steps.teacher,
        hard,
        output=steps.context.run.folder / TRACES,
        phase=TEACH,
        iteration=number,
    )


def _measure_teacher(steps: _Steps, config: LocalTeacherConfig, number: int) -> None:
    """Measure the teacher on the held-out problems of the student; once."""
    if steps.context.run.is_finished("evaluate/teacher"):
        return
    teacher = LocalTeacher(config, steps.context.run.folder)
    context, policy = teacher.measured(steps.measured_before(None))
    try:
        measure(context, number, policy, "teacher", of="teacher")
    finally:
        release(policy)
        teacher.close()


def _keep_evaluation(context: RunContext, phase: str, name: str) -> None:
    """Let evaluation/after_<step>.json stand for every step; teach leaves the student as it was."""
    folder = context.run.folder / "evaluation"
    kept = folder / f"{name}.json"
    if phase != name and not kept.exists():
        partial = kept.with_suffix(".partial")
        shutil.copyfile(folder / f"{phase}.json", partial)
        partial.replace(kept)
