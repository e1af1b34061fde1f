"""Whether a run has anything left to do, and which run is the newest."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from omegaconf import OmegaConf

from axiom_rl.config import Config, ExpertIterConfig, GrpoConfig
from axiom_rl.core.files import read_json
from axiom_rl.run.folder import DONE

log = logging.getLogger(__name__)

LATEST = "latest"
REPORT = "report.html"
"""What a run ends with; one that is finished and has none could not write it."""


def nothing_left(folder: Path, config: Config) -> bool:
    """Whether a run is finished and the config asks for no more rounds or steps than it did.

    Args:
        folder: of the run.
        config: the saved one, with what was given beside resume=.
    """
    state = folder / "checkpoints" / "state.json"
    done = state.exists() and DONE in read_json(state)["finished"]
    if not done or not (folder / REPORT).exists():
        return False
    saved = OmegaConf.load(folder / "config.yaml")
    trainer, asked, key = config.trainer, 0, ""
    if config.stage.kind == "train" and isinstance(trainer, ExpertIterConfig):
        asked, key = trainer.iterations, "trainer.iterations"
    if config.stage.kind == "train" and isinstance(trainer, GrpoConfig):
        asked, key = int(trainer.args.get("max_steps", 0)), "trainer.args.max_steps"
    return not key or bool(asked <= OmegaConf.select(saved, key, default=0))


def point_latest(folder: Path) -> None:
    """Let outputs/latest point to a run, by a relative link; only for runs below outputs/."""
    outputs, run = Path("outputs").resolve(), folder.resolve()
    link = outputs / LATEST
    if not run.is_relative_to(outputs) or (link.exists() and not link.is_symlink()):
        return
    temporary = outputs / f".{LATEST}.{os.getpid()}"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(run.relative_to(outputs), target_is_directory=True)
        temporary.replace(link)
    except OSError as error:  # a file system without links, say; the run does not need it
        log.warning("%s does not point to this run: %s", link, error.strerror)
