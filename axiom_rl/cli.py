"""The program: compose the config with Hydra, convert it once, run one stage.

`python launch.py`, `axiom-rl` and `python -m axiom_rl` are this, from any folder.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import FrameType

# OpenMP threads that spin while they wait make a busy machine many times slower; this must be set
# before torch is loaded. HYDRA_FULL_ERROR lets errors reach `main`, which words them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HYDRA_FULL_ERROR", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its notices are of no use to our users
# TRL tells the hub of each training (model, device, card); who wants that sets it to 0.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from axiom_rl.config import (
    CONF_DIR,
    Config,
    check_choices,
    explain,
    register_schemas,
    resumed_config,
    to_config,
)
from axiom_rl.config.describe import GROUPS, help_of, help_text
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import disk_trouble
from axiom_rl.core.program import command, override
from axiom_rl.core.progress import show
from axiom_rl.report.closing import next_commands
from axiom_rl.run.fresh import fresh_folder
from axiom_rl.run.resume import nothing_left
from axiom_rl.run.sweep_jobs import resumed_command

log = logging.getLogger("axiom_rl")

FAULT, USER_ERROR, INTERRUPTED, TERMINATED = 1, 2, 130, 143
"""Exit statuses beside 0; the last two are 128 and the signal's number, as of a shell."""

LOG = "launch.log"
"""What the log says, in the run folder; Hydra names it after hydra.job.name."""

SWEEP = "multirun.yaml"
"""What Hydra writes of a sweep before its jobs."""

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
"""Keys whose values are taken as they are typed."""
PATHS = (
    "name",
    "model.path",
    "model.adapter",
    "problems.path",
    "problems.trained_on",
    "trainer.solutions",
    "trainer.traces",
    "trainer.pool",
    "trainer.sft.solutions",
    "trainer.sft.traces",
    "teacher.model",
    "teacher.adapter",
    "teacher.traces",
    "teacher.cache",
    "search.head",
    "stage.output",
    "stage.pool",
    "stage.choose_on",
    "stage.student",
    "stage.sweep",
)
"""Keys of one file or folder each: taken as typed where Hydra cannot read them."""

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

        if config.stage.kind == "watch":  # it stays for hours, and is no run
            _remove_unused(folder)
        run_stage(config, folder)
    except (Exception, KeyboardInterrupt) as error:
        _say(error, folder)
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
    OmegaConf.register_new_resolver("fresh", fresh_folder, replace=True)
    if "--help" in given or "-h" in given:
        return _help([argument for argument in given if argument not in ("--help", "-h")])
    signal.signal(signal.SIGTERM, _terminated)  # clusters pre-empt by it; it is Ctrl-C to us
    try:
        hydras = _for_hydra(given)
        if _resumed and nothing_left(Path(str(_resumed[0].resume)), _resumed[0]):
            _say_finished(_resumed[0])
            return 0
        sys.argv[1:] = hydras
        check_choices(hydras)
        logging.captureWarnings(True)  # libraries' warnings go to the log file
        run()
        if _failed:
            raise _failed[0]
    except KeyboardInterrupt:
        if not _failed and not _is_sweep():  # else the log said how to go on
            print("stopped before the run began; there is nothing to go on with", file=sys.stderr)
        return TERMINATED if _signals else INTERRUPTED
    except AxiomError as error:
        if not _failed:  # the log said it already
            print(f"error: {error}", file=sys.stderr)
        _remove_unused_sweep()
        return USER_ERROR
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return USER_ERROR
    except Exception as error:
        if _failed:  # the log has what there is to say
            return USER_ERROR if _disk(error) else FAULT
        trouble = _disk(error)  # Hydra makes the run folder
        if not trouble:
            raise
        print(f"error: {trouble}", file=sys.stderr)
        return USER_ERROR
    return 0


def _say_finished(config: Config) -> None:
    """Say that a resumed run has nothing left to do."""
    first, second = next_commands(config, Path(str(config.resume)))
    show(f"{config.resume} is finished; nothing was changed. Type next: {first}  or  {second}")


def _say(error: BaseException, folder: Path) -> None:
    """Log what ended a stage: one line, but for a fault of the program itself."""
    kept = (folder / "config.yaml").exists()
    again = f"go on with: {command(f'resume={folder}')}" if kept else "start it again"
    trouble = _disk(error)
    if trouble:
        log.error("%s; then %s", trouble, again)
    elif isinstance(error, AxiomError):
        log.error("%s", error)
    elif not isinstance(error, KeyboardInterrupt):
        log.error("this is a fault of axiom-rl itself, please report it", exc_info=error)
    elif kept:
        log.warning("stopped; what is done is kept. G%s", again.removeprefix("g"))
    else:
        log.warning("stopped before the run began; there is nothing to go on with")


def _disk(error: BaseException) -> str:
    """Return what is wrong with the disk; '' where that is not it."""
    if isinstance(error, AxiomError) and not re.match("cannot (write|append)", str(error)):
        return ""
    return disk_trouble(error)


def _remove_unused_sweep() -> None:
    """Remove the folder of a sweep that was refused before its first job."""
    if _is_sweep():
        _remove_unused(Path(HydraConfig.get().sweep.dir), SWEEP)


def _is_sweep() -> bool:
    return bool(HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN)


def _remove_unused(folder: Path, only: str = LOG) -> None:
    """Remove the folder that Hydra made for something that was no run, such as a refusal."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {only}:
        (folder / only).unlink(missing_ok=True)
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
            show(help_of(group, option))
        if not given:
            show(help_text())
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
        AxiomError: if the folder to go on with holds no run, or a key is given that may not change,
            or if no path follows the = (of a shell variable that is empty, say).
    """
    for argument in given:
        key, equals, value = argument.partition("=")
        if equals and not value and key in ("resume", *FOLDERS, *PATHS):
            raise AxiomError(f"{argument}: nothing follows the =; give a path, or leave {key} out")
    resumes = [a for a in given if a.startswith("resume=") and a != "resume=null"]
    if not resumes:
        return [*map(_as_hydra_reads, given), *_elsewhere(given)]
    folder = _folder(resumes[-1].removeprefix("resume="))
    others = [argument for argument in given if argument not in resumes]
    sweep = resumed_command(folder, others)
    if sweep is not None:
        return sweep
    own = [argument for argument in others if argument.startswith(("hydra", "-"))]
    values = [argument for argument in others if argument not in own]
    _resumed.append(resumed_config(folder, values))
    _typed.extend(given)
    return [*own, override("hydra.run.dir", folder)]


def _elsewhere(given: list[str]) -> list[str]:
    """Let Hydra's log of a stage that only shows something lie where anybody may write.

    outputs/ may be somebody else's, or a disk that is read-only.
    """
    shows = {"stage=list", "stage=watch"} & {*given}
    chosen = any(argument.startswith(("hydra.run.dir=", "-", "hydra.mode=")) for argument in given)
    if not shows or chosen:
        return []
    try:
        place = mkdtemp(prefix="axiom-rl-")
    except OSError:  # nobody may write anywhere; Hydra says so
        return []
    atexit.register(rmtree, place, ignore_errors=True)
    return [override("hydra.run.dir", place)]


def _folder(text: str) -> Path:
    """Return the folder that was typed, as it is or in quotes."""
    if not Path(text).exists() and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return Path(text)


def _as_hydra_reads(argument: str) -> str:
    """Quote a folder whose name would mean something else in Hydra's grammar, such as a=b,c."""
    key, _, value = argument.partition("=")
    plain = key in FOLDERS or (key in PATHS and (_unreadable(argument) or Path(value).exists()))
    return override(key, value) if plain and value else argument


def _unreadable(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return True
    return False
