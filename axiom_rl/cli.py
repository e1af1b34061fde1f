"""The program: compose the config with Hydra, convert it once, run one stage.

`python launch.py`, `axiom-rl` and `python -m axiom_rl` are this, from any folder.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

# OpenMP threads that spin while they wait make a busy machine many times slower; this must be set
# before torch is loaded. HYDRA_FULL_ERROR lets errors reach `main`, which words them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HYDRA_FULL_ERROR", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from axiom_rl.config import CONF_DIR, Config, explain, register_schemas, resumed_config, to_config
from axiom_rl.config.describe import GROUPS, help_of, help_text
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.program import command
from axiom_rl.run.sweep_jobs import resumed_command

log = logging.getLogger("axiom_rl")

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143
"""Exit statuses beside 0; the last two are 128 and the signal's number, as of a shell."""

LOG = "launch.log"
"""What the log says, in the run folder; Hydra names it after hydra.job.name."""

_resumed: list[Config] = []
"""The config of a resumed run, which Hydra has no part in."""
_typed: list[str] = []
"""What was typed to resume a run, which Hydra does not see; environment.json keeps it."""
_failed: list[BaseException] = []
"""What ended the stage. Raised inside Hydra it would be printed by Hydra, in its own words."""
_signals: list[int] = []
"""Signals received."""


@hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
def run(composed: DictConfig) -> None:
    """Convert the composed config and run its stage in the folder that Hydra made."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if _typed:
        sys.argv[1:] = _typed
    try:
        if _resumed:
            config = _resumed[0]
        else:
            config = to_config(composed)
            if (folder / "config.yaml").exists():
                raise AxiomError(
                    f"{folder} holds a run already: go on with it by resume={folder}, or give "
                    "another folder with hydra.run.dir="
                )
        from axiom_rl.stages import run_stage

        run_stage(config, folder)
    except (AxiomError, KeyboardInterrupt) as error:
        if isinstance(error, AxiomError):
            log.error("%s", error)
        elif (folder / "config.yaml").exists():
            again = command(f"resume={folder}")
            log.warning("stopped; what is done is kept. Go on with: %s", again)
        else:
            log.warning("stopped before the run began; there is nothing to go on with")
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # a launcher that runs jobs in its processes
            raise
        _failed.append(error)
    finally:
        _remove_unused(folder)


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: in the place of those of the command line.

    Returns:
        The exit status: 0 done, 2 an error that the user can repair, 130 Ctrl-C, 143 SIGTERM.
    """
    given = sys.argv[1:] if arguments is None else arguments
    for kept in (_resumed, _typed, _failed, _signals):
        kept.clear()
    register_schemas()
    if "--help" in given or "-h" in given:
        return _help([argument for argument in given if argument not in ("--help", "-h")])
    signal.signal(signal.SIGTERM, _terminated)  # clusters pre-empt by it; it is Ctrl-C to us
    try:
        sys.argv[1:] = _for_hydra(given)
        run()
        if _failed:
            raise _failed[0]
    except KeyboardInterrupt:
        return TERMINATED if _signals else INTERRUPTED
    except AxiomError as error:
        if not _failed:  # the log said it already
            print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return USER_ERROR
    return 0


def _remove_unused(folder: Path) -> None:
    """Remove the folder that Hydra made for something that was no run, such as a refusal."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOG}:
        (folder / LOG).unlink(missing_ok=True)
        folder.rmdir()
        ours = Path("outputs").resolve()
        for parent in folder.resolve().parents:
            if parent not in (ours, *ours.glob("*")) or any(parent.iterdir()):
                break
            parent.rmdir()


def _help(given: list[str]) -> int:
    """Print what there is to choose, or, for `group=option`, its keys and what they mean."""
    try:
        for argument in given:
            group, _, option = argument.partition("=")
            if group not in GROUPS:
                raise AxiomError(
                    f"--help {argument}: give GROUP=OPTION, GROUP of {', '.join(GROUPS)}"
                )
            print(help_of(group, option))
        if not given:
            print(help_text())
    except AxiomError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    return 0


def _terminated(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the report
    _signals.append(number)
    raise KeyboardInterrupt


def _for_hydra(given: list[str]) -> list[str]:
    """Return the arguments that Hydra gets: all, or, for a resumed run, only its own settings.

    Raises:
        AxiomError: if the folder to go on with holds no run, or a key is given that may not change.
    """
    resumes = [a for a in given if a.startswith("resume=") and a not in ("resume=", "resume=null")]
    if not resumes:
        return given
    folder = Path(resumes[-1].removeprefix("resume=").strip("'\""))
    others = [argument for argument in given if argument not in resumes]
    sweep = resumed_command(folder, others)
    if sweep is not None:
        return sweep
    own = [argument for argument in others if argument.startswith(("hydra", "-"))]
    values = [argument for argument in others if argument not in own]
    _resumed.append(resumed_config(folder, values))
    _typed.extend(given)
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return [*own, f"hydra.run.dir='{quoted}'"]
