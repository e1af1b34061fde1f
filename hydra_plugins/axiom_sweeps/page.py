"""Callback: records jobs that other launchers run, and writes the page at the end of a sweep.

It works with every launcher and sweeper of Hydra. Jobs of the launcher `processes` are recorded by
their parent, which also sees those that are killed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.run.sweep_jobs import ERROR_LENGTH, Job, read_job, read_jobs

log = logging.getLogger(__name__)


class SweepPage(Callback):
    """Writes sweep.html, sweep.md and sweep.json; failed jobs make the exit status 1."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Record a job that runs under a launcher other than `processes`."""
        if config.hydra.mode != RunMode.RUN:
            _job(config).write()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Record how it ended."""
        if config.hydra.mode != RunMode.RUN:
            done = job_return.status is JobStatus.COMPLETED
            error = "" if done else str(job_return._return_value)[:ERROR_LENGTH]
            ended = replace(_job(config), status="done" if done else "failed", error=error)
            ended.write()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the page.

        Raises:
            SystemExit: if a job failed, or the page cannot be written (Hydra turns any other
                error of a callback into a warning).
        """
        from axiom_rl.report.sweep.page import write_sweep

        folder = Path(config.hydra.sweep.dir)
        try:
            log.info("%s", write_sweep(folder))
        except AxiomError as error:
            log.error("%s", error)
            raise SystemExit(2) from None
        log.info("sweep: %s", folder / "sweep.html")
        if any(job.status != "done" for job in read_jobs(folder)):
            raise SystemExit(1)


def _job(config: DictConfig) -> Job:
    folder = Path(config.hydra.runtime.output_dir)
    overrides = tuple(config.hydra.overrides.task)
    fresh = Job(
        number=int(config.hydra.job.num), folder=folder, overrides=overrides, status="running"
    )
    return read_job(folder) or fresh
