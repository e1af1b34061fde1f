"""What every stage that samples goes through: refuse what cannot work, open the run, report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from axiom_rl.config import (
    CollectConfig,
    Config,
    DistillConfig,
    GrpoConfig,
    PipelineConfig,
    SolveConfig,
    TrainerConfig,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    VllmServerConfig,
    saved_yaml,
)
from axiom_rl.config.parts import named, trainings
from axiom_rl.context.problems import keep_problems
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import disk_trouble, write_text
from axiom_rl.evaluation.measure import held_out
from axiom_rl.evaluation.power import asked_text, plan_for, samples_text, write_plan
from axiom_rl.evaluation.speed import last_speed
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.problems.splits import Splits
from axiom_rl.report.closing import closing_lines, next_commands
from axiom_rl.report.live import LivePage
from axiom_rl.report.page import write_report
from axiom_rl.run.folder import DONE, open_run, write_environment
from axiom_rl.run.lock import locked
from axiom_rl.run.resume import REPORT, point_latest
from axiom_rl.run.tracking import open_tracker
from axiom_rl.sampling.base import Sampler, SamplerFactory
from axiom_rl.verify import Verifier

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

log = logging.getLogger(__name__)


def check_libraries(config: Config) -> None:
    """Refuse what torch, PEFT or TRL would; they take seconds to load, so it comes second."""
    from axiom_rl.context.resources import check_machine

    check_machine(config)
    if config.stage.kind != "train":
        return
    from axiom_rl.models.lora.fit import lora_config

    lora_config(config.model.lora)
    if isinstance(config.sampler, VllmServerConfig):
        check_plain_lora(config.model.lora)
    for step, own in trainings(config):
        with named(step):
            _check_options(own.trainer)


def _check_options(trainer: TrainerConfig) -> None:
    """Refuse options of one training that TRL refuses or a run cannot use."""
    if isinstance(trainer, GrpoConfig):
        from axiom_rl.trainers.grpo.options import check_grpo

        check_grpo(trainer)
    elif isinstance(trainer, DistillConfig):
        from axiom_rl.trainers.distill.options import check_distill

        check_distill(trainer.args)
    else:
        from axiom_rl.trainers.sft.run import check_args

        check_args(trainer.args)


def resolve_model(config: Config) -> ResolvedModel:
    """Find the model; refuse adapters and plans that do not fit it before it is loaded."""
    from axiom_rl.context.resources import check_context, check_memory_plans
    from axiom_rl.models.load import load_tokenizer, warn_of_endless_answers
    from axiom_rl.models.lora.fit import check_adapter_fits, check_new_lora, model_config
    from axiom_rl.models.lora.options import (
        check_adapter_folder,
        check_same_base,
        warn_of_another_base,
    )
    from axiom_rl.models.thinking import with_thinking
    from axiom_rl.models.weights.resolve import resolve

    adapter = config.model.adapter
    if adapter is not None:
        check_adapter_folder(adapter)
    resolved = with_thinking(resolve(config.model), config.problems.prompt)
    tokenizer = load_tokenizer(resolved)  # one that cannot be used is refused before anything
    warn_of_endless_answers(resolved, tokenizer)
    if adapter is not None:
        folder = check_adapter_folder(adapter)
        check_same_base(folder, resolved)
        warn_of_another_base(folder, resolved)
        check_adapter_fits(model_config(resolved.folder), folder)
    if config.stage.kind == "train":
        check_new_lora(model_config(resolved.folder), config.model.lora)
    check_context(config, resolved)
    check_memory_plans(config, resolved)
    return resolved


@contextmanager
def open_context(
    config: Config, folder: Path, splits: Splits, resolved: ResolvedModel
) -> Iterator[RunContext]:
    """Open verifier, run folder and tracker; write the report at the end, whatever happens.

    What can be refused is refused before the first file is written.
    """
    from axiom_rl.context.resources import with_chosen_sampler
    from axiom_rl.models.weights.resolve import as_resolved

    config, why = with_chosen_sampler(config)
    config = replace(config, model=as_resolved(config.model, resolved))
    if why:
        log.info("%s", why)
    identity = {key: value for key, value in asdict(resolved).items() if key != "folder"}
    if resolved.chat_template is not None:  # its text is in config.yaml
        identity["chat_template"] = sha256(resolved.chat_template.encode()).hexdigest()
    with ExitStack() as resources:  # closed last to first: verifier and sampler, report, tracker
        verifier = resources.enter_context(Verifier(config.sandbox))
        resources.enter_context(locked(folder))
        tracker = open_tracker(config.tracking, folder, asdict(config))
        resources.callback(tracker.close)
        run = open_run(folder, tracker)
        settings = saved_yaml(asdict(replace(config, resume=None)))

        def begin() -> None:
            """Before the first new work: a resumed run that does none keeps what it said."""
            write_text(folder / "config.yaml", settings)
            write_environment(
                folder,
                config.seed,
                str(verifier.level),
                identity,
                resumed=config.resume is not None,
            )

        run.begin = begin
        if not (folder / "config.yaml").exists():
            write_text(folder / "config.yaml", settings)
        point_latest(folder)
        keep_problems(folder, splits)
        resources.enter_context(_reported(config, folder))
        _state_plan(config, folder, splits)
        yield RunContext(
            run=run,
            splits=splits,
            verifier=verifier,
            load_sampler=_sampler_loader(config, resolved, folder, resources),
            sampler=config.sampler,
            style=config.problems.prompt,
            seed=config.seed,
            fresh_seed=int(getattr(config.problems, "seed", 0)),
            model=identity,
            publish=LivePage(folder),
        )
        if not run.is_finished(DONE):
            run.finish(DONE)


@contextmanager
def _reported(config: Config, folder: Path) -> Iterator[None]:
    """Write the report at the end; if the run failed too, the error that is raised is the run's."""
    try:
        yield
    except BaseException:
        try:
            write_report(folder)
        except Exception as error:
            full = disk_trouble(error)
            log.warning("the report could not be written either: %s", full or error)
            log.debug("why", exc_info=True)
        raise
    try:
        say_end(config, folder)
    except BaseException:  # an older page would be taken for this one's, and never written anew
        (folder / REPORT).unlink(missing_ok=True)
        raise


def say_end(config: Config, folder: Path) -> None:
    """Write the report and say the headline, where the page is and what to type next."""
    for line in closing_lines(config, folder, write_report(folder)):
        log.info("%s", line)


def say_next(config: Config, folder: Path) -> None:
    """Say the likeliest next commands."""
    log.info("what to type next:\n  %s", "\n  ".join(next_commands(config, folder)))


def _state_plan(config: Config, folder: Path, splits: Splits) -> None:
    """Say how much will be sampled, and what the run will be able to tell, before it begins."""
    if config.stage.kind not in ("train", "evaluate"):
        if asked := _asked_text(config, splits):
            log.info("%s", asked)
        return
    if config.stage.kind == "train" and isinstance(config.trainer, GrpoConfig | PipelineConfig):
        splits = held_out(splits)
    plan = plan_for(splits, config.sampler.n)
    write_plan(folder, plan)
    trains = config.stage.kind == "train"
    samples = config.sampler.n * len(splits.all)
    log.info(
        "%s%s", samples_text(splits, config.sampler.n, trains=trains), _time_text(config, samples)
    )
    log.info("stated before the run: %s", plan)


def _asked_text(config: Config, splits: Splits) -> str:
    """Say how many samples a stage draws that evaluates nothing; '' where another says it."""
    match config.stage:
        case CollectConfig() as stage:
            problems, most = len(getattr(splits, stage.split)), stage.max_attempts
            fewer = "fewer where one passes early"
            text = asked_text("collecting", problems, most, fewer=fewer)
        case SolveConfig():
            problems, most = len(splits.all), config.sampler.n
            text = asked_text("solving", problems, most, fewer="")
        case _:  # a teacher's problems are known once the student's failures are
            return ""
    return text + _time_text(config, problems * most)


def _time_text(config: Config, samples: int) -> str:
    """Say how long samples will take, where a run on this machine has measured the speed."""
    speed = last_speed(Path("outputs"), config.model.name, config.sampler.backend)
    if speed is None:
        return "; how long they take is said once the first are drawn"
    return f"; {speed.text(samples, config.sampler.max_new_tokens)}"


def open_sampler(config: Config, folder: Path, resources: ExitStack) -> Callable[[], Sampler]:
    """Return what samples from the model of a finished run, loaded when it is first called.

    Args:
        config: of that run.
        folder: of this one.
        resources: whatever is started ends with it.

    Raises:
        AxiomError: if the model or its engine is not here.
    """
    from axiom_rl.context.resources import with_chosen_sampler

    check_libraries(config)
    resolved = resolve_model(config)
    chosen, _why = with_chosen_sampler(config)
    load = _sampler_loader(chosen, resolved, folder, resources)
    return Policy(config.model.adapter, load)


def _sampler_loader(
    config: Config, resolved: ResolvedModel, folder: Path, resources: ExitStack
) -> SamplerFactory:
    """Return what opens samplers; whatever it starts ends with `resources`."""
    match config.sampler:
        case VllmSamplerConfig(backend="vllm") as sampler:
            from axiom_rl.context.resources import engine_stays
            from axiom_rl.sampling.engine.sampler import VllmEngine

            stays = engine_stays(config, resolved)
            engine = VllmEngine(resolved, config.model, sampler, folder / "vllm.log", stays=stays)
            resources.callback(engine.close)
            return engine.sampler
        case VllmServerConfig() as server:
            from axiom_rl.sampling.server import open_server

            return open_server(resolved, server, resources)
        case TransformersSamplerConfig(backend="transformers") as sampler:
            from axiom_rl.sampling.hf.sampler import open_samplers

            return open_samplers(resolved, config.model, sampler)
        case other:
            raise AxiomError(f"sampler.backend={other.backend}: no such sampler; see conf/sampler/")
