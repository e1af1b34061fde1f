"""A sweep's folder read back: its jobs, their scores, settings and shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.sweep.scores import Score, Setting, job_score, settings_of
from axiom_rl.report.sweep.shares import Share, difference, shares_of
from axiom_rl.run.sweep_jobs import Job, read_jobs
from axiom_rl.run.sweep_study import study_importance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep's jobs and what they came to."""

    folder: Path
    jobs: Sequence[Job]
    scores: Mapping[int, Score]
    """By number of the job."""
    settings: Sequence[Setting]
    """The best first."""
    shares: Sequence[Share]
    importance: Mapping[str, float]
    """Optuna's fANOVA by parameter; empty for other sweeps."""

    @property
    def failed(self) -> list[Job]:
        """Jobs that ended with an error."""
        return [job for job in self.jobs if job.status == "failed"]

    @property
    def measured(self) -> str:
        """What the scores are pass rates of."""
        kinds = {f"{score.split} ({score.tests})" for score in self.scores.values()}
        return " and ".join(sorted(kinds))

    def difference(self, one: Setting, other: Setting) -> Interval:
        """Return how much better `one` is, widened for all pairs of settings."""
        pairs = len(self.settings) * (len(self.settings) - 1) // 2
        return difference(one, other, pairs)


def read_sweep(folder: Path) -> Sweep:
    """Read a sweep's folder.

    Raises:
        AxiomError: if it holds no jobs, or a file of a job is damaged.
    """
    jobs = read_jobs(folder)
    found = {job.number: job_score(job.folder) for job in jobs if job.status == "done"}
    scores = {number: score for number, score in found.items() if score is not None}
    return Sweep(
        folder=folder,
        jobs=jobs,
        scores=scores,
        settings=settings_of(jobs, scores),
        shares=shares_of(jobs, scores),
        importance=study_importance(folder),
    )
