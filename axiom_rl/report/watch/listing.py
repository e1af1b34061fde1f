"""What stage=watch lists: runs, sweeps and comparisons below a folder, the newest first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.core.text import percent
from axiom_rl.report.blocks import Block, Cell, Link, Page, Section, Table, Text, harmless, link_to
from axiom_rl.run.folder import DONE, read_sessions
from axiom_rl.run.lock import LOCK, at_work
from axiom_rl.run.sweep_jobs import read_job, read_jobs

DEPTH = 4
"""Folders below outputs/ that are looked into: outputs/<name>_sweep/<time>/<job> has three."""
PAGES = ("report.html", "sweep.html", "comparison.html")
MARKS = ("config.yaml", "command.json", "job.json", *PAGES)
"""A folder that holds one of these is listed."""
RELOAD_S = 15
UNREADABLE = (AxiomError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a file that is damaged, or about to be written, may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the list."""

    folder: Path
    when: str
    stage: str
    state: str
    """running, finished, stopped, failed, or waiting."""
    score: str
    """The report's headline in short, `53.8 % → 88.8 %`; '' where there is none yet."""
    in_sweep: bool

    @property
    def page(self) -> Path | None:
        """Its page; None where it was not written yet."""
        return next((self.folder / name for name in PAGES if (self.folder / name).is_file()), None)


def runs_page(root: Path) -> Page:
    """Return the list of the runs below `root` as a page; names are text, whatever they hold."""
    found = sorted(find_runs(root), key=lambda run: run.when, reverse=True)
    alone = [run for run in found if not run.in_sweep]
    running = sum(run.state == "running" for run in found)
    blocks: list[Block] = [_table(root, alone, "")] if alone else []
    blocks += [
        _table(root, jobs, f"{len(jobs)} jobs of {harmless(str(sweep.relative_to(root)))}")
        for sweep in dict.fromkeys(run.folder.parent for run in found if run.in_sweep)
        if (jobs := [run for run in found if run.in_sweep and run.folder.parent == sweep])
    ]
    if not found:
        blocks = [Text("No run yet. Start one in another terminal: python launch.py")]
    return Page(
        title=f"Runs in {root}",
        headline=f"{len(alone)} runs and sweeps, {running} at work.",
        tone="",
        weights="",
        sections=[Section("Runs", blocks)],
        live="The list as it is now; nothing can be changed from here.",
        reload_s=RELOAD_S,
    )


def find_runs(root: Path) -> Iterator[Found]:
    """Yield what is below `root`; links are not followed, so nothing is listed twice."""
    yield from _below(root, DEPTH, in_sweep=False)


def _below(folder: Path, depth: int, *, in_sweep: bool) -> Iterator[Found]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # not there yet, or just removed
        return
    folders = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    for each in sorted(path for path in folders if not path.name.startswith(".")):
        marks = {name for name in MARKS if (each / name).is_file()}
        if marks:
            yield Found(
                folder=each,
                when=_when(each),
                stage=_stage(each),
                state=_state(each),
                score=_score(each),
                in_sweep=in_sweep,
            )
        sweep = bool(marks & {"command.json", "sweep.html"})
        if depth > 1 and (sweep or not marks):
            yield from _below(each, depth - 1, in_sweep=sweep)


def _when(folder: Path) -> str:
    """Return when it was started first, `2026-11-26 13:05 UTC`, or else when it was written."""
    try:
        sessions = read_sessions(folder)
        when = datetime.fromisoformat(sessions[0]["started"]) if sessions else None
    except UNREADABLE:
        when = None
    if when is None:
        try:
            when = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        except OSError:
            return ""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _stage(folder: Path) -> str:
    if (folder / "command.json").is_file() or (folder / "sweep.html").is_file():
        return "sweep"
    if not (config := folder / "config.yaml").is_file():
        return "compare" if (folder / "comparison.html").is_file() else ""
    try:
        return _stage_of(config, config.stat().st_mtime_ns)
    except UNREADABLE:
        return ""


@lru_cache(maxsize=4096)
def _stage_of(config: Path, _written: int) -> str:
    # The loader in C: a list of hundreds of runs is made anew every few seconds.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        read: Any = yaml.load(config.read_text(encoding="utf-8"), Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    stage = str(read["stage"]["kind"])
    trainer = (read.get("trainer") or {}).get("kind")
    return f"train: {trainer}" if stage == "train" and trainer else stage


def _state(folder: Path) -> str:
    try:
        job = read_job(folder)
        if job is not None and job.status in ("failed", "waiting"):
            return job.status
        if at_work(folder):
            return "running"
        state = folder / "checkpoints" / "state.json"
        if state.is_file():
            return "finished" if DONE in read_json(state)["finished"] else "stopped"
        if job is not None and job.status == "running":
            return "running" if _sweep_at_work(folder) else "stopped"
        if job is not None:
            return "finished"
        if (folder / "command.json").is_file():
            ended = [one.status in ("done", "failed") for one in read_jobs(folder)]
            return "finished" if all(ended) else "stopped"
        if (folder / "checkpoints" / LOCK).is_file():  # no phase of it ended
            return "stopped"
    except UNREADABLE:
        return "cannot be read"
    if (folder / "config.yaml").is_file() and not (folder / "report.html").is_file():
        return "stopped"
    whole = any((folder / name).is_file() for name in PAGES)
    return "finished" if whole else "running"


def _sweep_at_work(job: Path) -> bool:
    """Whether a job's sweep goes on; other launchers than ours keep no note of it."""
    near = [place for place in (*job.parents,)[:DEPTH] if (place / "command.json").is_file()]
    return at_work(near[0]) if near else True


def _score(folder: Path) -> str:
    try:
        rates = [
            float(read_json(path)["pass_at_1"]["value"])
            for name in ("before", "after")
            if (path := folder / "evaluation" / f"{name}.json").is_file()
        ]
    except UNREADABLE:
        return "cannot be read"
    return " → ".join(percent(rate) for rate in rates)


def _table(root: Path, runs: Sequence[Found], folded: str) -> Table:
    rows: list[list[Cell]] = [
        [_name(root, run), run.score, run.state, harmless(run.stage), run.when, _files(root, run)]
        for run in runs
    ]
    return Table(["run", "score", "state", "stage", "started", "files"], rows, folded, key=1)


def _name(root: Path, run: Found) -> Cell:
    name = str(run.folder.relative_to(root))
    return link_to(run.page, name, root) if run.page else name


def _files(root: Path, run: Found) -> Link:
    there = link_to(run.folder, "files", root)
    return Link(there.text, f"{there.href}/")
