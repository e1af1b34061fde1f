"""A run's folder: what it is written with, which phases are finished, and how to go on with it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import platform
import resource
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.run.tracking import Tracker, read_metrics

SCHEMA = 1
DONE = "done"
"""Recorded as finished when the whole stage is; taken back when a resumed run begins new work."""
BEAT_S = 5.0
"""Seconds between two notes of the time that a phase has taken: what a killed one loses at most."""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "hydra-core", "numpy", "vllm")
"""Packages whose versions can change a result."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """One run folder, its metrics, and the list of what is finished."""

    folder: Path
    tracker: Tracker
    finished: list[str]
    begin: Callable[[], None] | None = None
    """Called once, before the first work that this start of the run does."""

    def is_finished(self, phase: str) -> bool:
        """Whether a phase was completed, in this process or before."""
        return phase in self.finished

    def finish(self, phase: str) -> None:
        """Record a phase as finished, together with the metrics written so far."""
        self.finished.append(phase)
        self.save_state()
        _spent_file(self.folder, phase).unlink(missing_ok=True)

    def save_state(self) -> None:
        """Record how far the run is; what metrics.jsonl gains later is cut off on resume."""
        state = {"schema": SCHEMA, "finished": self.finished, "metrics_rows": self.tracker.rows}
        write_json(self.folder / "checkpoints" / "state.json", state)

    @contextmanager
    def timed(
        self, name: str, iteration: int, *, phase: str | None = None, log: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Log a timing row for the block; the caller may add columns to the dict it gets.

        The row counts what earlier starts of the run spent on the block before they were stopped
        or killed; one that is killed loses BEAT_S seconds at most.

        Args:
            name: of the row.
            iteration: of the row.
            phase: `name`/`phase` is what `finish` is called with; None means the iteration.
            log: False where the block only reads back what is finished.
        """
        columns: dict[str, Any] = {}
        if not log:
            yield columns
            return
        if self.begin is not None:
            self.begin()
            self.begin = None
            if self.is_finished(DONE):
                self.finished.remove(DONE)
                self.save_state()
        spent = _Spent(self.folder, f"{name}/{phase or iteration}", name, iteration)
        with spent.counted():
            yield columns
        self.tracker.log("timing", iteration, name=name, **(spent.now() | columns))


class _Spent:
    """Time and memory of one phase over all starts of the run, in a file until it is finished."""

    def __init__(self, folder: Path, phase: str, name: str, iteration: int) -> None:
        self._path = _spent_file(folder, phase)
        self._row = {"schema": SCHEMA, "name": name, "iteration": iteration}
        self._started = time.monotonic()
        self._before: dict[str, Any] = {"seconds": 0.0, "peak_memory_gb": 0.0}
        if self._path.exists():
            self._before = read_json(self._path)

    def now(self) -> dict[str, float]:
        seconds = self._before["seconds"] + time.monotonic() - self._started
        peak = max(self._before["peak_memory_gb"], peak_memory_gb())
        return {"seconds": round(seconds, 3), "peak_memory_gb": peak}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Note the time while the block runs; nothing of a short one that ends well."""
        over = threading.Event()
        beats = threading.Thread(target=self._beat, args=(over,), daemon=True)
        beats.start()
        try:
            yield
        except BaseException:
            over.set()
            beats.join()
            self._note()
            raise
        over.set()
        beats.join()

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(BEAT_S):
            self._note()

    def _note(self) -> None:
        try:
            write_json(self._path, self._row | self.now())
        except AxiomError as error:  # a full disk, say: the run's own error is the one to raise
            log.warning("the time spent is not noted: %s", error)


def _spent_file(folder: Path, phase: str) -> Path:
    return folder / "checkpoints" / f"spent_{phase.replace('/', '_')}.json"


def read_unfinished(folder: Path) -> list[dict[str, Any]]:
    """Return timing rows of the phases that were begun and not finished, the outer ones last."""
    rows = [read_json(path) for path in (folder / "checkpoints").glob("spent_*.json")]
    return sorted(rows, key=lambda row: row["seconds"])


def open_run(folder: Path, tracker: Tracker) -> Run:
    """Start a run in `folder`, or go on with the one in it, its metrics cut back to its state.

    Rows of training steps later than that stay if a checkpoint holds those steps: TRL writes its
    checkpoint before the state can be saved, and a run killed in between goes on from it.

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
    kept = int(state["metrics_rows"])
    rows = read_metrics(folder)
    while kept < len(rows) and _in_checkpoint(folder, rows[kept]):
        kept += 1
    tracker.cut_back(kept)
    return Run(folder, tracker, list(state["finished"]))


def _in_checkpoint(folder: Path, row: Mapping[str, Any]) -> bool:
    """Whether a whole checkpoint holds the training step that a row is about."""
    if row.get("phase") != "train" or "step" not in row:
        return False
    steps = whole_checkpoints(folder / "checkpoints" / f"iter_{row['iteration']}")
    return int(row["step"]) <= max(steps, default=0)


def whole_checkpoints(folder: Path) -> dict[int, Path]:
    """Return TRL's checkpoints in a folder, by step, that were written to their end.

    What is written last is trainer_state.json.
    """
    whole = {}
    for checkpoint in folder.glob("checkpoint-*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
            whole[int(state["global_step"])] = checkpoint
    return whole


def write_environment(
    folder: Path, seed: int, isolation: str, model: Mapping[str, Any], *, resumed: bool = False
) -> None:
    """Add this start to environment.json: what else a reader needs to repeat the run."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    session = {
        "command": shlex.join(["python", *sys.argv]),
        **_typed(resumed),
        "git_commit": commit,
        "git_dirty": None if changed is None else bool(changed),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "packages": dict(_versions()),
        "seed": seed,
        "isolation": isolation,
        "model": dict(model),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    sessions = [*read_sessions(folder), session]
    write_json(folder / "environment.json", {"schema": 2, "sessions": sessions})


def machine() -> dict[str, Any]:
    """Return what decides this machine's speed."""
    return {"cpu": _processor(), "cores": os.cpu_count(), "gpu": _gpu()}


def _typed(resumed: bool) -> dict[str, Any]:
    """Return the options of the groups and the `key=value`s typed; nothing outside the program.

    Hydra has no part in the values of a resumed run, whose options are those of its first start.
    """
    if not HydraConfig.initialized():
        return {}
    if resumed:
        others = ("resume=", "hydra", "-")
        return {"options": {}, "overrides": [a for a in sys.argv[1:] if not a.startswith(others)]}
    hydra = HydraConfig.get()
    chosen = {group: option for group, option in hydra.runtime.choices.items() if option}
    return {
        "options": {group: o for group, o in chosen.items() if not group.startswith("hydra/")},
        "overrides": list(hydra.overrides.task),
    }


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """Return what environment.json says of each start of the run; [] where there is no file."""
    path = folder / "environment.json"
    if not path.exists():
        return []
    found = read_json(path)
    if found.get("schema") == 1:  # one start, and resumed ones were not recorded
        return [found]
    sessions: list[dict[str, Any]] = found["sessions"]
    return sessions


def options_of(folder: Path) -> dict[str, str]:
    """Return the options that a run was begun with, by group; those of this start if it is new."""
    recorded = [found for session in read_sessions(folder) if (found := session.get("options"))]
    chosen = recorded[0] if recorded else _typed(resumed=False).get("options", {})
    return {str(group): str(option) for group, option in chosen.items()}


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
