"""GRPO from baseline to report: measure, choose what has signal, train, measure again.

(Group Relative Policy Optimization, Shao et al. 2024.) Problems that the model always or never
solves give every sample the same reward and so no gradient; the baseline on the val split tells
which types lie between, and only those are trained on. The test split is not used to choose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from axiom_rl.config import SPLITS, GrpoConfig, ModelConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import count, duration
from axiom_rl.core.types import Problem, Status, Verdict
from axiom_rl.evaluation.forgetting import (
    TrainedOn,
    TypeBaseline,
    trained_on_text,
    write_trained_on,
    write_types,
)
from axiom_rl.evaluation.measure import headline_split, held_out, measure
from axiom_rl.evaluation.recheck import FILE as CLAIMS
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.splits import Splits, import_modules
from axiom_rl.rollouts import rewards
from axiom_rl.rollouts.advice import HOPELESS, nothing_for_grpo
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import Sampler
from axiom_rl.trainers.adapter import publish, release
from axiom_rl.trainers.grpo.checkpoints import ITERATION
from axiom_rl.trainers.grpo.rehearsal import draw_rehearsal
from axiom_rl.trainers.grpo.session import DRAWN_IN_VAIN
from axiom_rl.trainers.grpo.train import train_grpo

log = logging.getLogger(__name__)


def run_grpo(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: GrpoConfig,
    watched: Mapping[str, Splits],
) -> None:
    """Run GRPO with everything measured before and after.

    Args:
        context: of the run.
        model: its adapter is where training starts.
        resolved: where the weights are.
        trainer: the run's.
        watched: problems of the families of trainer.forgetting.

    Raises:
        AxiomError: if no sample of the baseline gives a signal to learn from.
    """
    prepare(trainer)
    measured = replace(context, splits=held_out(context.splits))
    families = watch(context, watched)
    _say_plan(measured, trainer, families)
    _say_goal(trainer)
    policy = context.policy(model.adapter)
    rollouts = measure(measured, 0, policy, "before", step=0)
    _say_expected(context, rollouts, trainer, families)
    measure_families(families, 0, policy, "before")
    adapter = learn(context, model, resolved, trainer, rollouts, policy)
    policy = context.policy(adapter)
    steps = int(trainer.args["max_steps"])
    measure(measured, ITERATION, policy, f"iter_{ITERATION}", step=steps)
    measure_families(families, ITERATION, policy, "after", step=steps)
    if not context.run.is_finished(f"publish/{ITERATION}"):
        (context.run.folder / CLAIMS).unlink(missing_ok=True)  # of an earlier end of this run
    publish(context, ITERATION)


def prepare(trainer: GrpoConfig) -> None:
    """Import what registers a reward of the user's own, and find it.

    Raises:
        AxiomError: naming the module or the reward.
    """
    import_modules("trainer.imports", trainer.imports)
    rewards.WeightedRewards(trainer.rewards)


def learn(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: GrpoConfig,
    rollouts: Sequence[Rollout],
    policy: Policy,
    iteration: int = ITERATION,
) -> str:
    """Choose problems by the baseline's rollouts, train on them, and return the adapter's folder.

    Args:
        context: of the run.
        model: its adapter is where training starts.
        resolved: where the weights are.
        trainer: of the run, or of one step of it.
        rollouts: of the baseline.
        policy: that drew them; what is rehearsed is drawn by it too, then it is released.
        iteration: of the rows and checkpoints: a pipeline has other trainings before.

    Raises:
        AxiomError: if no sample of the baseline gives a signal to learn from.
    """
    measured = held_out(context.splits)
    choosing = {problem.id for problem in measured.val or measured.train}
    drawn = [item for item in rollouts if item.completion.problem_id in choosing]
    advice = nothing_for_grpo(context, drawn)
    problems = choose_problems(measured, context.splits.train, trainer, drawn, advice)
    signals = baseline_by_type(measured.val or measured.train, rollouts)
    write_types(context.run.folder, _baselines(context.splits.train, problems, signals))
    rehearsed = problems_to_rehearse(context.splits.train, problems, signals, trainer)
    draw_rehearsal(context, trainer, policy, rehearsed)
    release(policy)

    def evaluate(step: int, load: Callable[[], Sampler]) -> None:
        splits = Splits(train=(), val=context.splits.val, test=())
        now = Policy(None, lambda _adapter, _settings=None: load())
        measure(replace(context, splits=splits), iteration, now, f"step_{step}", step=step)

    return train_grpo(context, model, resolved, trainer, problems, evaluate, rehearsed, iteration)


def measure_families(
    families: Mapping[str, RunContext], iteration: int, policy: Policy, when: str, **columns: Any
) -> None:
    """Evaluate a model on the families that are watched, `before` training or `after` it."""
    for name, family in families.items():
        phase = f"forgetting_{name}_{when}"
        measure(family, iteration, policy, phase, watched=True, of=name, **columns)


@dataclass(frozen=True, slots=True)
class Signal:
    """What the baseline says about one problem type."""

    passed: int
    samples: int
    varies: bool
    """Whether samples of one problem passed different shares of its tests."""

    @property
    def rate(self) -> float:
        """Share of samples that passed."""
        return self.passed / self.samples


def choose_problems(
    measured: Splits,
    train: Sequence[Problem],
    trainer: GrpoConfig,
    rollouts: Sequence[Rollout],
    advice: str,
) -> list[Problem]:
    """Return the training problems of the types that have signal; all if no type has.

    Args:
        measured: what the baseline was measured on; of it val, or train where there is no val.
        train: problems to choose from.
        trainer: of it signal_low and signal_high.
        rollouts: of the baseline.
        advice: what to say where none of them passed.

    Raises:
        AxiomError: if there are no problems, or not one sample of many passed and all samples of
            each problem earned the same.
    """
    if not train:
        raise AxiomError("no problems to train on: set problems.sizes.train=1 or more")
    signals = baseline_by_type(measured.val or measured.train, rollouts)
    types = sorted({problem.type for problem in train})
    chosen = [name for name in types if _between(signals.get(name), trainer)]
    for name in types:
        _say_signal(name, signals.get(name), name in chosen)
    if not chosen:
        log.warning(
            "no type passes between %.0f %% and %.0f %% of the samples (trainer.signal_low, "
            "signal_high), so all are trained on",
            trainer.signal_low * 100,
            trainer.signal_high * 100,
        )
        chosen = types
    if all(name in signals for name in chosen):
        _refuse_hopeless({name: signals[name] for name in chosen}, trainer, advice)
    return [problem for problem in train if problem.type in chosen]


def baseline_by_type(problems: Sequence[Problem], rollouts: Sequence[Rollout]) -> dict[str, Signal]:
    """Count the passes of each problem type, on the tests that the baseline was scored with."""
    verdicts: dict[str, list[Verdict]] = {problem.id: [] for problem in problems}
    for item in rollouts:
        verdict = item.fresh or item.hidden
        if (
            item.completion.problem_id in verdicts
            and verdict is not None
            and verdict.status is not Status.SANDBOX_FAULT
        ):
            verdicts[item.completion.problem_id].append(verdict)
    signals = {}
    for name in sorted({problem.type for problem in problems}):
        own = [verdicts[problem.id] for problem in problems if problem.type == name]
        samples = sum(map(len, own))
        if samples:
            signals[name] = Signal(
                passed=sum(verdict.passed for group in own for verdict in group),
                samples=samples,
                varies=any(len({rewards.fraction(v) for v in group}) > 1 for group in own),
            )
    return signals


def problems_to_rehearse(
    train: Sequence[Problem],
    chosen: Sequence[Problem],
    signals: Mapping[str, Signal],
    trainer: GrpoConfig,
) -> list[Problem]:
    """Return the training problems of the types that are left out because they pass.

    Args:
        train: all training problems.
        chosen: those that are trained on.
        signals: of the baseline, by type.
        trainer: of it signal_high and rehearsal.
    """
    types = {problem.type for problem in chosen}
    kept = {
        name
        for name, signal in signals.items()
        if name not in types and signal.rate > trainer.signal_high and trainer.rehearsal
    }
    return [problem for problem in train if problem.type in kept]


def _baselines(
    train: Sequence[Problem], chosen: Sequence[Problem], signals: Mapping[str, Signal]
) -> dict[str, TypeBaseline]:
    types, unmeasured = {problem.type for problem in chosen}, Signal(0, 0, varies=False)
    return {
        name: TypeBaseline(passed=signal.passed, samples=signal.samples, trained=name in types)
        for name in sorted({problem.type for problem in train})
        for signal in [signals.get(name, unmeasured)]
    }


def _between(signal: Signal | None, trainer: GrpoConfig) -> bool:
    # A type that was not measured (held out of val) may have signal.
    return signal is None or trainer.signal_low <= signal.rate <= trainer.signal_high


def _say_signal(name: str, signal: Signal | None, chosen: bool) -> None:
    rate = "not measured" if signal is None else f"{signal.passed} of {signal.samples} passed"
    log.info("baseline of %s: %s: %s", name, rate, "trained on" if chosen else "left out")


def _refuse_hopeless(signals: Mapping[str, Signal], trainer: GrpoConfig, advice: str) -> None:
    samples = sum(signal.samples for signal in signals.values())
    if not samples or any(signal.passed for signal in signals.values()):
        return
    weights = {name for name, weight in trainer.rewards.items() if weight}
    blind = "fraction" not in weights or not any(signal.varies for signal in signals.values())
    if blind and weights <= {"binary", "fraction"}:
        if samples >= HOPELESS:
            raise AxiomError(f"GRPO has nothing to learn from: {advice}")
        log.warning(
            "none of the %d samples of the baseline passed, which are too few to say that none "
            "will: training stops if its first %d show nothing either",
            samples,
            DRAWN_IN_VAIN,
        )
        return
    what = "rewards of your own" if blind else "partly passed tests"
    log.warning("only %s give a signal here; %s", what, advice)


def watch(context: RunContext, watched: Mapping[str, Splits]) -> dict[str, RunContext]:
    """Return the families to watch for forgetting; say and write down what cannot be watched."""
    found = {name: _family(context, splits) for name, splits in watched.items()}
    for name, (_own, trained) in found.items():
        if trained:
            log.info("forgetting: %s", trained_on_text(name, trained))
    write_trained_on(context.run.folder, {name: trained for name, (_o, trained) in found.items()})
    return {
        name: replace(context, splits=own)
        for name, (own, trained) in found.items()
        if not trained.whole
    }


def _family(context: RunContext, splits: Splits) -> tuple[Splits, TrainedOn]:
    """Return the part of a family that shows forgetting, and its types that are trained on.

    Of its splits the one that a report is about, without the types that this run trains on.
    """
    split = headline_split(splits)
    problems: tuple[Problem, ...] = getattr(splits, split)
    trained = {problem.type for problem in context.splits.train}
    kept = tuple(problem for problem in problems if problem.type not in trained)
    shares: dict[str, Any] = {name: kept if name == split else () for name in SPLITS}
    common = sorted(trained & {problem.type for problem in problems})
    return Splits(**shares), TrainedOn(types=tuple(common), whole=not kept)


def _say_expected(
    context: RunContext,
    rollouts: Sequence[Rollout],
    trainer: GrpoConfig,
    families: Mapping[str, RunContext],
) -> None:
    """Say how long the rest will take at the baseline's speed; nothing where it was not taken."""
    timed = [row for row in read_metrics(context.run.folder, "timing") if row["name"] == "evaluate"]
    speed = float(timed[0].get("tokens_per_second", 0)) if timed else 0.0
    if not speed or not rollouts:
        return
    rows, extra = _rows_per_step(trainer)
    length = int(trainer.args["max_completion_length"])
    sampling = int(trainer.args["max_steps"]) * expected_tokens(rollouts, length) / speed
    each = sum(item.completion.completion_tokens for item in rollouts) / len(rollouts)
    after = len(rollouts) + sum(len(f.splits.all) * f.sampler.n for f in families.values())
    log.info(
        "expected: %s of sampling for training (%s if all groups that may be are replaced), on a "
        "CPU about as long again for the training itself, and %s for the evaluation after",
        duration(sampling * rows),
        duration(sampling * (rows + extra)),
        duration(after * each / speed),
    )


def expected_tokens(rollouts: Sequence[Rollout], length: int) -> float:
    """Return the mean tokens of a sample that may have `length` tokens, from the baseline's.

    A text that the baseline cut off is taken to go on to the new limit.
    """
    return sum(
        length if item.completion.truncated else min(item.completion.completion_tokens, length)
        for item in rollouts
    ) / len(rollouts)


def _rows_per_step(trainer: GrpoConfig) -> tuple[int, int]:
    """Return the samples of a step, and how many more dynamic sampling may draw."""
    args = trainer.args
    rows = int(args["per_device_train_batch_size"]) * int(args["gradient_accumulation_steps"])
    extra = trainer.max_extra_groups * int(args["num_generations"]) * trainer.dynamic_sampling
    return rows, extra


def _say_goal(trainer: GrpoConfig) -> None:
    """Say what the best of a whole group can teach, which is little."""
    size = int(trainer.args["num_generations"])
    if trainer.objective == "max_at_k" and trainer.k == size:
        log.warning(
            "trainer.k=%d is the whole group: a group teaches only where one sample alone is the "
            "best of it; of larger groups (trainer.args.num_generations=%d), or with trainer.k=%d, "
            "more of them do",
            size,
            2 * size,
            max(2, size // 2),
        )


def _say_plan(context: RunContext, trainer: GrpoConfig, families: Mapping[str, RunContext]) -> None:
    problems = sum(len(each.splits.all) for each in (context, *families.values()))
    rows, extra = _rows_per_step(trainer)
    log.info(
        "plan: a baseline of %s (%s x %d), %s of %s (up to %d more "
        "for groups without signal; each of at most %d tokens, at temperature %g: trainer.args), "
        "and the evaluation again",
        count(problems * context.sampler.n, "sample"),
        count(problems, "problem"),
        context.sampler.n,
        count(int(trainer.args["max_steps"]), "step"),
        count(rows, "sample"),
        extra,
        int(trainer.args["max_completion_length"]),
        float(trainer.args["temperature"]),
    )
