"""Jobs in child processes: one after the other, or one on each GPU.

A job has a session of its own, so Ctrl-C reaches the sweep alone, which then stops its jobs in
order. A job whose parent dies is stopped by the kernel (on Linux). Nothing is shared between jobs:
CUDA state, a crash or a lack of memory ends with the process it belongs to.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from axiom_rl.run.sweep_jobs import Job, last_error

POLL_S = 0.1
STOP_S = 150.0
"""Longest wait for a job that was asked to stop: it writes what it has and its report, and sends
W&B its last rows (two minutes at most)."""
PR_SET_PDEATHSIG = 1
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _RunningJob:
    job: Job
    gpu: str | None
    process: subprocess.Popen[bytes]
    started: float


def run_jobs(
    jobs: Sequence[Job],
    command: Callable[[Job], Sequence[str]],
    gpus: Sequence[str],
    after: Callable[[], None] = lambda: None,
) -> list[Job]:
    """Run jobs to their end, whatever becomes of each, and return them with what did.

    Args:
        jobs: in the order in which they start.
        command: the command line of a job.
        gpus: one job at a time on each, as CUDA_VISIBLE_DEVICES names them; empty means one job at
            a time with the environment as it is.
        after: called each time that a job has ended and others are still to come.

    Raises:
        KeyboardInterrupt: for Ctrl-C or SIGTERM, after every job is stopped.
    """
    free: list[str | None] = [*gpus] or [None]
    waiting, running, ended = list(jobs), list[_RunningJob](), list[Job]()
    for job in jobs:  # so that the sweep's page counts those to come
        job.folder.mkdir(parents=True, exist_ok=True)
        replace(job, status="waiting").write()
    with _terminated_is_interrupted():
        try:
            while waiting or running:
                while waiting and free:
                    running.append(_start(waiting.pop(0), command, free.pop(0)))
                for item in [item for item in running if item.process.poll() is not None]:
                    running.remove(item)
                    free.append(item.gpu)
                    ended.append(_ended(item))
                    if waiting or running:
                        after()
                time.sleep(POLL_S)
        except BaseException:  # Ctrl-C, and a full disk: no job may outlive its sweep
            _stop(running)
            raise
    return sorted(ended, key=lambda job: job.number)


def _start(job: Job, command: Callable[[Job], Sequence[str]], gpu: str | None) -> _RunningJob:
    replace(job, status="running").write()
    where = "" if gpu is None else f" on GPU {gpu}"
    log.info("job %d%s: %s", job.number, where, " ".join(job.overrides))
    with job.log.open("ab") as output:
        process = subprocess.Popen(
            [*command(job)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
            start_new_session=True,
            preexec_fn=_before_program(),
        )
    return _RunningJob(job, gpu, process, time.monotonic())


def _ended(item: _RunningJob) -> Job:
    """Write down how a job ended, and end what it may have left behind."""
    status = item.process.returncode
    _kill_group(item)
    error = _error(item.job, status) if status else ""
    ended = replace(
        item.job,
        status="failed" if status else "done",
        exit_status=status,
        error=error,
        seconds=_seconds(item),
    )
    ended.write()
    if status:
        log.error("job %d failed: %s (%s)", ended.number, error, ended.log)
    else:
        log.info("job %d is done after %.0f s", ended.number, ended.seconds)
    return ended


def _seconds(item: _RunningJob) -> float:
    """Return the time that a job took, earlier tries included."""
    return item.job.seconds + time.monotonic() - item.started


def _error(job: Job, status: int) -> str:
    """Return why a job failed: from its log, or the signal that ended it, which no log has."""
    if status > 0:
        return last_error(job.log.read_text(encoding="utf-8", errors="replace")) or (
            f"exit status {status}"
        )
    name = signal.Signals(-status).name
    hint = ": out of memory, or killed by hand" if name == "SIGKILL" else ""
    error = f"ended by {name}{hint}"
    with job.log.open("a", encoding="utf-8") as output:
        output.write(f"error: the job was {error}\n")
    return error


def _stop(running: Sequence[_RunningJob]) -> None:
    """Ask the jobs to stop, wait, and kill what is left; a second Ctrl-C kills at once."""
    log.warning("stopping %d jobs; Ctrl-C again kills them", len(running))
    for item in running:
        item.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_S
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < deadline and any(i.process.poll() is None for i in running):
            time.sleep(POLL_S)
    for item in running:
        _kill_group(item)
        if item.process.wait() == 0:
            _ended(item)
        else:
            replace(item.job, status="waiting", seconds=_seconds(item)).write()


def _kill_group(item: _RunningJob) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(item.process.pid, signal.SIGKILL)


def _before_program() -> Callable[[], None]:
    """Return what a child does before its program starts.

    It listens to SIGINT even where the sweep was started in the background with SIGINT ignored,
    since that is how it is stopped; and on Linux it asks to be killed with its parent.
    """
    # Loaded here: after the fork there must be no locks to take.
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal as Ctrl-C, so that no job outlives the sweep."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
