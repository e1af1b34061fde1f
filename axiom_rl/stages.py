"""The wiring: one short function per stage. Everything heavy is imported where it is used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from axiom_rl.config import (
    CollectConfig,
    CompareConfig,
    Config,
    EvaluateConfig,
    ExpertIterConfig,
    ExportConfig,
    GrpoConfig,
    ListConfig,
    SftTrainerConfig,
    SolveConfig,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    VllmServerConfig,
    saved_yaml,
)
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import keep_problems, make_problems
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import disk_trouble, write_text
from axiom_rl.evaluation.measure import held_out, measure
from axiom_rl.evaluation.power import plan_for, samples_text, write_plan
from axiom_rl.evaluation.recheck import recheck_claims
from axiom_rl.evaluation.search.replayed import check_search, refuse_search
from axiom_rl.evaluation.search.run import checked_choice, run_beside, run_replay, run_solve
from axiom_rl.gold.collect import next_collection, try_unsolved
from axiom_rl.gold.store import GoldStore, read_solutions
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.problems.splits import Splits, import_modules
from axiom_rl.report.closing import closing_lines, next_commands
from axiom_rl.report.page import write_report
from axiom_rl.rollouts import rewards
from axiom_rl.rollouts.draw import cost
from axiom_rl.run.folder import DONE, open_run, write_environment
from axiom_rl.run.lock import locked
from axiom_rl.run.resume import point_latest
from axiom_rl.run.tracking import open_tracker
from axiom_rl.sampling.base import SamplerFactory
from axiom_rl.verify import Verifier

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

log = logging.getLogger(__name__)

NO_SOLUTIONS = "trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one)"


def run_stage(config: Config, folder: Path) -> None:
    """Run the stage that the config names.

    Args:
        config: the whole typed configuration.
        folder: the run folder.

    Raises:
        AxiomError: for whatever the user can repair.
    """
    refuse_search(config)
    match config.stage.kind:
        case "train":
            train(config, folder)
        case "evaluate":
            evaluate(config, folder)
        case "collect":
            collect(config, folder)
        case "list":
            list_problems(config)
        case "export":
            export(config, folder)
        case "search":
            run_replay(config, folder)
            _say_end(config, folder)
        case "solve":
            solve(config, folder)
        case "compare":
            compare(config, folder)
        case other:
            raise AxiomError(f"stage.kind={other}: no such stage; see conf/stage/")


def train(config: Config, folder: Path) -> None:
    """Measure, train, measure again, and report."""
    trainer = config.trainer
    _check_training(config)
    splits = make_problems(config, folder)
    _check_libraries(config)
    resolved = _resolve(config)
    with _open_context(config, folder, splits, resolved) as context:
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


def evaluate(config: Config, folder: Path) -> None:
    """Evaluate the base model, or it with model.adapter, on tests it was never trained on."""
    stage = config.stage
    assert isinstance(stage, EvaluateConfig)
    check_search(config.search)
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    _check_libraries(config)
    with _open_context(config, folder, splits, _resolve(config)) as context:
        policy = context.policy(config.model.adapter)
        rollouts = measure(context, 0, policy, "before")
        run_beside(context, config.search, policy, rollouts)


def collect(config: Config, folder: Path) -> None:
    """Best-of-N: sample each problem until one passes or max_attempts is reached; save passes."""
    stage = config.stage
    assert isinstance(stage, CollectConfig)
    output = Path(stage.output) if stage.output else folder / "solutions" / "collected.jsonl"
    keep = stage.skip_existing and output.exists()
    store = GoldStore(read_solutions(output) if keep else ())
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    _check_libraries(config)
    with _open_context(config, folder, splits, _resolve(config)) as context:
        problems = {p.id: p for p in getattr(splits, stage.split)}
        finished = context.run.is_finished("collect/0")
        with context.run.timed("collect", 0, log=not finished) as columns:
            drawn = try_unsolved(
                context,
                store,
                problems,
                context.policy(config.model.adapter),
                phase=next_collection(output, folder),
                iteration=0,
                attempts=range(stage.max_attempts),
                output=output,
            )
            columns.update(cost(drawn))
        if not finished:
            context.run.finish("collect/0")
        if not len(store):
            raise AxiomError(
                f"none of {len(drawn.rollouts)} samples passed, so {output} holds no solution: "
                "choose easier problems (problems=basic, lower problems.levels), a larger model "
                "(model=qwen2.5-coder-1.5b) or more attempts (stage.max_attempts)"
            )
        log.info("%d solutions of %d problems in %s", len(store), len(store.solved()), output)


def list_problems(config: Config) -> None:
    """Print the problems of the config, or one of them."""
    from axiom_rl.problems.show import describe_problem, describe_problems

    stage = config.stage
    assert isinstance(stage, ListConfig)
    problems = config.problems
    text = describe_problem(stage.show, problems) if stage.show else describe_problems(problems)
    log.info("%s", text)


def export(config: Config, folder: Path) -> None:
    """Write the merged model as a folder in Hugging Face format."""
    stage = config.stage
    assert isinstance(stage, ExportConfig)
    if config.model.adapter is None:
        raise AxiomError("stage=export needs model.adapter=outputs/.../adapter")
    from axiom_rl.models.lora.options import export_merged

    out = Path(stage.output) if stage.output else folder / "merged"
    export_merged(_resolve(config), config.model.adapter, out, config.model)
    log.info("merged model written to %s", out)
    _say_next(config, folder)


def compare(config: Config, folder: Path) -> None:
    """Compare finished runs with each other, or write the page of a sweep."""
    from axiom_rl.report.runs import compare_runs
    from axiom_rl.report.sweep.page import write_sweep

    stage = config.stage
    assert isinstance(stage, CompareConfig)
    if stage.sweep is not None:
        if stage.runs:
            raise AxiomError("stage.runs and stage.sweep are two comparisons: give one of them")
        log.info("%s", write_sweep(Path(stage.sweep)))
        log.info("sweep: %s", Path(stage.sweep) / "sweep.html")
        return
    log.info("%s", compare_runs([Path(path) for path in stage.runs], folder, stage.across))
    log.info("comparison: %s", folder / "comparison.html")


def solve(config: Config, folder: Path) -> None:
    """Choose a program for each problem, by its examples and the search alone."""
    stage = config.stage
    assert isinstance(stage, SolveConfig)
    search = checked_choice(config.search)
    check_present(config)
    splits = make_problems(config, folder)
    _check_libraries(config)
    output = Path(stage.output) if stage.output else folder / "solved.jsonl"
    with _open_context(config, folder, splits, _resolve(config)) as context:
        run_solve(context, config, search, output)
    log.info("chosen programs: %s", output)


def _check_training(config: Config) -> None:
    """Refuse what would fail later, before anything is written, fetched or loaded."""
    if isinstance(config.trainer, SftTrainerConfig):
        if config.trainer.solutions is None:
            raise AxiomError(NO_SOLUTIONS)
        read_solutions(Path(config.trainer.solutions))
    if isinstance(config.trainer, GrpoConfig):
        import_modules("trainer.imports", config.trainer.imports)
        rewards.get(config.trainer.reward)
    check_present(config)


def _check_libraries(config: Config) -> None:
    """Refuse what torch, PEFT or TRL would; they take seconds to load, so it comes second."""
    from axiom_rl.context.resources import check_machine

    check_machine(config)
    if config.stage.kind != "train":
        return
    from axiom_rl.models.lora.fit import lora_config

    lora_config(config.model.lora)
    if isinstance(config.sampler, VllmServerConfig):
        check_plain_lora(config.model.lora)
    if isinstance(config.trainer, GrpoConfig):
        from axiom_rl.trainers.grpo.options import check_grpo

        check_grpo(config.trainer)
    else:
        from axiom_rl.trainers.sft.run import check_args

        check_args(config.trainer.args)


def _resolve(config: Config) -> ResolvedModel:
    """Find the model; refuse adapters and plans that do not fit it before it is loaded."""
    from axiom_rl.context.resources import check_memory_plans
    from axiom_rl.models.load import load_tokenizer, warn_of_endless_answers
    from axiom_rl.models.lora.fit import check_adapter_fits, check_new_lora, model_config
    from axiom_rl.models.lora.options import check_adapter_folder, check_same_base
    from axiom_rl.models.weights.resolve import resolve

    adapter = config.model.adapter
    if adapter is not None:
        check_adapter_folder(adapter)
    resolved = resolve(config.model)
    tokenizer = load_tokenizer(resolved)  # one that cannot be used is refused before anything
    warn_of_endless_answers(resolved, tokenizer)
    if adapter is not None:
        folder = check_adapter_folder(adapter)
        check_same_base(folder, resolved)
        check_adapter_fits(model_config(resolved.folder), folder)
    if config.stage.kind == "train":
        check_new_lora(model_config(resolved.folder), config.model.lora)
    check_memory_plans(config, resolved)
    return resolved


@contextmanager
def _open_context(
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
    _say_end(config, folder)


def _say_end(config: Config, folder: Path) -> None:
    for line in closing_lines(config, folder, write_report(folder)):
        log.info("%s", line)


def _say_next(config: Config, folder: Path) -> None:
    log.info("what to type next:\n  %s", "\n  ".join(next_commands(config, folder)))


def _state_plan(config: Config, folder: Path, splits: Splits) -> None:
    """Say what the run will be able to tell, before anything is sampled."""
    if config.stage.kind not in ("train", "evaluate"):
        return
    if config.stage.kind == "train" and isinstance(config.trainer, GrpoConfig):
        splits = held_out(splits)
    plan = plan_for(splits, config.sampler.n)
    write_plan(folder, plan)
    log.info("%s", samples_text(splits, config.sampler.n, trains=config.stage.kind == "train"))
    log.info("stated before the run: %s", plan)


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
