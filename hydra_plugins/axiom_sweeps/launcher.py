"""Launcher `processes`: each job of a sweep is the command that a user would type for it."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from axiom_rl.config import to_config
from axiom_rl.config.secrets import TypedSecretError
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.program import command, program
from axiom_rl.run.lock import locked
from axiom_rl.run.sweep_jobs import Job, read_job, write_command
from axiom_rl.sweeps.processes import run_jobs

log = logging.getLogger(__name__)
OF_THE_SWEEP = (
    "hydra.sweep.",
    "hydra/launcher",
    "hydra.launcher",
    "hydra/sweeper",
    "hydra.sweeper",
)
"""Hydra's own settings that mean the sweep and not its jobs."""


class ProcessLauncher(Launcher):
    """Runs jobs in child processes, one after the other or one on each GPU."""

    def __init__(self, gpus: Sequence[str | int]) -> None:
        """Take the GPUs to share out; none means one job at a time."""
        self.gpus = gpus

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember what Hydra gives; the task itself runs in the children."""
        self.context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs that are not done yet, and return an answer for each.

        Raises:
            AxiomError: before any job starts, if a value is impossible, a job's folder holds
                another job, or another process runs this sweep.
            KeyboardInterrupt: for Ctrl-C, after every job is stopped.
        """
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep = Path(self.config.hydra.sweep.dir)
        numbered = enumerate(job_overrides, start=initial_job_idx)
        gpus = self._gpus()
        jobs = [self._job(sweep, number, overrides) for number, overrides in numbered]
        open_jobs = [job for job in jobs if job.status != "done"]
        done = f", {len(jobs) - len(open_jobs)} of them done already"
        log.info("%d jobs in %s%s", len(jobs), sweep, done if len(open_jobs) < len(jobs) else "")
        write_command(sweep, sys.argv[1:])
        try:
            with locked(sweep):
                run_jobs(open_jobs, self._command, gpus, after=partial(_write_so_far, sweep))
        except KeyboardInterrupt:
            log.warning("stopped; go on with: %s", command(f"resume={sweep}"))
            raise
        return [_returned(job) for job in jobs]

    def _gpus(self) -> list[str]:
        if isinstance(self.gpus, str | int):
            raise AxiomError(
                f"hydra.launcher.gpus={self.gpus}: give a list, hydra.launcher.gpus=[{self.gpus}]"
            )
        return [str(gpu) for gpu in self.gpus]

    def _job(self, sweep: Path, number: int, overrides: Sequence[str]) -> Job:
        """Check a job's config, and find out whether its folder holds it already."""
        composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        HydraConfig.instance().set_config(composed)
        folder = sweep / composed.hydra.sweep.subdir
        _check(composed, overrides)
        found = read_job(folder)
        if found is not None and found.overrides != tuple(overrides):
            raise AxiomError(
                f"{folder} holds another job ({' '.join(found.overrides)}): go on with that sweep "
                f"by resume={sweep}, or give another folder with hydra.sweep.dir="
            )
        return found or Job(number=number, folder=folder, overrides=tuple(overrides))

    def _command(self, job: Job) -> list[str]:
        """Return the command that starts a job, or goes on with it."""
        begun = program()
        if (job.folder / "config.yaml").exists():
            return [*begun, f"resume={job.folder}"]
        given: Any = OmegaConf.to_container(self.config.hydra.overrides.hydra, resolve=False)
        kept = [
            o for o in given if not o.startswith((*OF_THE_SWEEP, "hydra.mode", "hydra.run.dir"))
        ]
        place = [f"hydra.run.dir={job.folder}", "hydra.mode=RUN"]
        return [*begun, *self._sources(), *kept, *job.overrides, *place]

    def _sources(self) -> list[str]:
        """Return --config-dir and --config-name where the sweep was given them."""
        name = self.config.hydra.job.config_name
        folders = [
            source.path
            for source in self.config.hydra.runtime.config_sources
            if source.provider == "command-line"
        ]
        arguments = [] if name == "config" else ["--config-name", str(name)]
        return arguments + [part for folder in folders for part in ("--config-dir", str(folder))]


def _check(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse an impossible value now rather than when its job's turn comes."""
    own = copy.deepcopy(composed)
    with read_write(own), open_dict(own):
        del own["hydra"]
    try:
        to_config(own)
    except TypedSecretError:
        raise
    except AxiomError as error:
        raise AxiomError(f"{error} (in the job {' '.join(overrides)})") from None


def _write_so_far(sweep: Path) -> None:
    """Write the page of a sweep that goes on; one that cannot be written does its jobs no harm."""
    from axiom_rl.report.sweep.page import write_sweep_so_far

    try:
        write_sweep_so_far(sweep)
    except (AxiomError, OSError) as error:
        log.warning("the sweep's page could not be written so far: %s", error)


def _returned(job: Job) -> JobReturn:
    """Return Hydra's record of a job. A failed one does not stop a sweep: its page lists it."""
    return JobReturn(
        overrides=job.overrides, working_dir=str(job.folder), status=JobStatus.COMPLETED
    )
