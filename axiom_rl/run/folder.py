"""A run's folder: what it is written with, which phases are finished, and how to go on with it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.run.tracking import Tracker

SCHEMA = 1
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "hydra-core", "numpy", "vllm")
"""Packages whose versions can change a result."""


@dataclass(slots=True)
class Run:
    """One run folder, its metrics, and the list of what is finished."""

    folder: Path
    tracker: Tracker
    finished: list[str]

    def is_finished(self, phase: str) -> bool:
        """Whether a phase was completed, in this process or before."""
        return phase in self.finished

    def finish(self, phase: str) -> None:
        """Record a phase as finished, together with the metrics written so far."""
        self.finished.append(phase)
        self.save_state()

    def save_state(self) -> None:
        """Record how far the run is; what metrics.jsonl gains later is cut off on resume."""
        state = {"schema": SCHEMA, "finished": self.finished, "metrics_rows": self.tracker.rows}
        write_json(self.folder / "checkpoints" / "state.json", state)

    @contextmanager
    def timed(self, name: str, iteration: int, *, log: bool = True) -> Iterator[dict[str, Any]]:
        """Log a timing row for the block; the caller may add columns to the dict it gets."""
        columns: dict[str, Any] = {}
        started = time.monotonic()
        yield columns
        seconds = round(time.monotonic() - started, 3)
        columns = {"seconds": seconds, "peak_memory_gb": peak_memory_gb()} | columns
        if log:
            self.tracker.log("timing", iteration, name=name, **columns)


def open_run(folder: Path, tracker: Tracker) -> Run:
    """Start a run in `folder`, or go on with the one in it, its metrics cut back to its state.

    Raises:
        AxiomError: if the state is damaged or of another schema version, or metrics are missing.
    """
    state_file = folder / "checkpoints" / "state.json"
    if not state_file.exists():
        tracker.cut_back(0)
        return Run(folder, tracker, [])
    state = read_json(state_file)
    if state.get("schema") != SCHEMA:
        raise AxiomError(
            f"{state_file}: schema {state.get('schema')}, this program reads {SCHEMA}; go on with "
            "the version that began the run"
        )
    tracker.cut_back(state["metrics_rows"])
    return Run(folder, tracker, list(state["finished"]))


def write_environment(folder: Path, seed: int, isolation: str, model: Mapping[str, Any]) -> None:
    """Write environment.json: what else a reader needs to repeat the run."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    write_json(
        folder / "environment.json",
        {
            "schema": SCHEMA,
            "command": shlex.join(["python", *sys.argv]),
            "git_commit": commit,
            "git_dirty": None if changed is None else bool(changed),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpu": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "gpu": _gpu(),
            "packages": dict(_versions()),
            "seed": seed,
            "isolation": isolation,
            "model": dict(model),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def peak_memory_gb() -> float:
    """Return the largest resident size of this process so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


def _git(*arguments: str) -> str | None:
    """Return git's answer about this source tree; None outside a repository or without git."""
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    """Name the GPU if torch was loaded and sees one; this module must not load torch itself."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))
