"""The wiring: one short function per stage. Everything heavy is imported where it is used."""

from __future__ import annotations

from pathlib import Path

from axiom_rl.config import Config
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.search.replayed import refuse_search
from axiom_rl.stages.reading import compare, export, list_problems, replay
from axiom_rl.stages.sampling import collect, evaluate, solve, teach
from axiom_rl.stages.training import train


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
            replay(config, folder)
        case "solve":
            solve(config, folder)
        case "teach":
            teach(config, folder)
        case "compare":
            compare(config, folder)
        case other:
            raise AxiomError(f"stage.kind={other}: no such stage; see conf/stage/")
