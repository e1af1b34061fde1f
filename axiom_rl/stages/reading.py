"""Stages that read what is there: list, export, compare, search, watch."""

from __future__ import annotations

import logging
from pathlib import Path

from axiom_rl.config import CompareConfig, Config, ExportConfig, ListConfig, WatchConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.progress import show
from axiom_rl.evaluation.search.run import run_replay
from axiom_rl.stages.knowing import pool_policy_known
from axiom_rl.stages.opening import open_sampler, resolve_model, say_end, say_next

log = logging.getLogger(__name__)


def list_problems(config: Config) -> None:
    """Print the problems of the config, or one of them, as plain text."""
    from axiom_rl.problems.show import describe_problem, describe_problems

    stage = config.stage
    assert isinstance(stage, ListConfig)
    problems = config.problems
    text = describe_problem(stage.show, problems) if stage.show else describe_problems(problems)
    show(text)


def export(config: Config, folder: Path) -> None:
    """Write the merged model as a folder in Hugging Face format."""
    stage = config.stage
    assert isinstance(stage, ExportConfig)
    if config.model.adapter is None:
        raise AxiomError("stage=export needs model.adapter=outputs/.../adapter")
    from axiom_rl.models.lora.options import export_merged

    out = Path(stage.output) if stage.output else folder / "merged"
    export_merged(resolve_model(config), config.model.adapter, out, config.model)
    log.info("merged model written to %s", out)
    say_next(config, folder)


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


def replay(config: Config, folder: Path) -> None:
    """Replay every selector on the samples of a run, without drawing one of the problems."""
    run_replay(config, folder, pool_policy_known, open_sampler)
    say_end(config, folder)


def watch(config: Config) -> None:
    """Serve the pages of the runs below outputs/ to a browser on this machine, until Ctrl-C."""
    from axiom_rl.report.watch.server import serve

    stage = config.stage
    assert isinstance(stage, WatchConfig)
    serve(Path("outputs"), stage.port)
