"""A job of a sweep: what it was asked, how it ended. One job.json in each job's folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json

SCHEMA = 1
Status = Literal["waiting", "running", "done", "failed"]
ERROR_LENGTH = 300
"""Characters of an error that a table shows; the whole of it is in the job's log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a sweep."""

    number: int
    folder: Path
    overrides: tuple[str, ...]
    """What the run was asked, as typed on a command line."""
    status: Status = "waiting"
    exit_status: int | None = None
    """As a shell tells it, and minus the signal's number where a signal ended it."""
    error: str = ""
    seconds: float = 0.0

    @property
    def log(self) -> Path:
        """Everything that the job printed."""
        return self.folder / "job.log"

    @property
    def parameters(self) -> dict[str, str]:
        """The overrides by key."""
        pairs = (override.partition("=") for override in self.overrides)
        return {key.lstrip("+~"): value for key, _, value in pairs}

    def write(self) -> None:
        """Write job.json."""
        write_json(
            self.folder / "job.json",
            {
                "schema": SCHEMA,
                "job": self.number,
                "overrides": list(self.overrides),
                "status": self.status,
                "exit_status": self.exit_status,
                "error": self.error,
                "seconds": round(self.seconds, 1),
            },
        )


def read_job(folder: Path) -> Job | None:
    """Read a job back; None where the folder holds none.

    Raises:
        AxiomError: if its job.json is damaged or of another schema version.
    """
    path = folder / "job.json"
    return _from_row(read_json(path), path) if path.exists() else None


def read_jobs(sweep: Path) -> list[Job]:
    """Read the jobs of a sweep's folder, by number.

    Raises:
        AxiomError: if there is no such folder, no job in it, or a job.json is damaged.
    """
    if not sweep.is_dir():
        raise AxiomError(
            f"no such sweep folder: {sweep}; sweeps are in outputs/<name>_sweep/<time>"
        )
    # A job's folder may lie deeper, where hydra.sweep.subdir names it after a value with a slash.
    found = (read_job(path.parent) for path in sweep.rglob("job.json"))
    jobs = sorted((job for job in found if job), key=lambda job: job.number)
    if not jobs:
        raise AxiomError(f"{sweep} holds no jobs of a sweep; give outputs/<name>_sweep/<time>")
    return jobs


def write_command(sweep: Path, arguments: Sequence[str]) -> None:
    """Keep the command line of a sweep, once, for `resume=`."""
    path = sweep / "command.json"
    if not path.exists():
        write_json(path, {"schema": SCHEMA, "arguments": list(arguments)})


def resumed_command(sweep: Path, others: Sequence[str]) -> list[str] | None:
    """Return the arguments that go on with a sweep; None where the folder is none.

    Args:
        sweep: the sweep's folder.
        others: arguments given beside resume=; they win over those of the first time.
    """
    path = sweep / "command.json"
    if not path.is_file():
        return None
    first = [a for a in read_json(path)["arguments"] if not a.startswith("hydra.sweep.dir=")]
    return [*first, *others, f"hydra.sweep.dir={sweep}"]


def last_error(log: str) -> str:
    """Return the line of a log that says best what went wrong; '' for an empty log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    marked = [
        line for line in lines if re.search(r"ERROR|^error: |^[\w.]+(Error|Exception)\b", line)
    ]
    line = (marked or lines or [""])[-1]
    return re.sub(r"^[\d:]+ ERROR\s+|^error: ", "", line)[:ERROR_LENGTH]


def _from_row(row: Mapping[str, Any], path: Path) -> Job:
    if row.get("schema") != SCHEMA:
        raise AxiomError(f"{path}: schema {row.get('schema')}, this program reads {SCHEMA}")
    return Job(
        number=row["job"],
        folder=path.parent,
        overrides=tuple(row["overrides"]),
        status=row["status"],
        exit_status=row["exit_status"],
        error=row["error"],
        seconds=row["seconds"],
    )
