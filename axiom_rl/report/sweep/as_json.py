"""sweep.json: the figures of a sweep's page as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.sweep.scores import Score, Setting
from axiom_rl.report.sweep.shares import Share
from axiom_rl.run.sweep_jobs import Job

SCHEMA = 1


def to_json(
    jobs: Sequence[Job],
    scores: Mapping[int, Score],
    settings: Sequence[Setting],
    shares: Sequence[Share],
    importance: Mapping[str, float],
) -> dict[str, Any]:
    """Return the document; settings stand in order, the best first."""
    return {
        "schema": SCHEMA,
        "settings": [
            {
                "parameters": dict(setting.parameters),
                "before": setting.before,
                "score": _interval(setting.rate),
                "by_seed": {seed: score.rate.value for seed, score in setting.scores.items()},
            }
            for setting in settings
        ],
        "variance_explained": [asdict(share) for share in shares],
        "fanova": dict(importance),
        "jobs": [_job(job, scores.get(job.number)) for job in jobs],
    }


def _job(job: Job, score: Score | None) -> dict[str, Any]:
    return {
        "job": job.number,
        "overrides": list(job.overrides),
        "status": job.status,
        "exit_status": job.exit_status,
        "error": job.error,
        "seconds": job.seconds,
        "folder": job.folder.name,
        "split": score.split if score else None,
        "tests": score.tests if score else None,
        "before": score.before if score else None,
        "score": _interval(score.rate) if score else None,
        "headline": _interval(score.headline) if score else None,
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    parts = asdict(interval)
    return {key: None if math.isnan(value) else value for key, value in parts.items()}
