"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from axiom_rl.core.text import duration

log = logging.getLogger(__name__)

LOG_SECONDS = 15.0
"""Time between two lines in a log."""


class Progress:
    """Counts things done."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        """Start to count towards `total`."""
        self._label, self._total, self._unit = label, total, unit
        self._done, self._begun = 0, 0.0
        self._started = self._said = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total, desc=label, unit=unit, dynamic_ncols=True, disable=not terminal
        )
        self._terminal = terminal

    def update(self, more: int, note: str = "", begun: float = 0.0) -> None:
        """Count `more`.

        Args:
            more: done since the last call.
            note: shown beside the count.
            begun: how many wholes what is begun and not done is worth, for the time that is left.
        """
        self._done += more
        self._begun = begun
        if self._terminal:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(more)
        elif (more and self._done == self._total) or time.monotonic() - self._said >= LOG_SECONDS:
            self._said = time.monotonic()
            self._say(note)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    @property
    def seconds(self) -> float:
        """Seconds since the start; never zero."""
        return max(time.monotonic() - self._started, 1e-9)

    def _say(self, note: str) -> None:
        count = f"{self._done} of {self._total} {self._unit}s"
        behind = min(self._done + self._begun, float(self._total))
        rest = self.seconds * (self._total - behind) / behind if behind else 0
        left = f", about {duration(rest)} left" if rest else ""
        noted = f", {note}" if note else ""
        log.info("%s: %s in %s%s%s", self._label, count, duration(self.seconds), left, noted)


def worth(done: int, tokens: int, running: int, written: int) -> float:
    """Return how many whole samples the running ones are worth.

    Short samples are done first: at the beginning many are half written and hardly one is done. A
    running sample is taken to be half written, unless the samples that are done say more.

    Args:
        done: samples that are done.
        tokens: of them, together.
        running: samples that are being written.
        written: tokens of these so far, together.
    """
    if not running or written <= 0:
        return 0.0
    whole = max(tokens / done if done else 0.0, 2 * written / running)
    return written / whole


def show(text: str) -> None:
    """Print what was asked for; a reader that has gone, or was never there, is no error."""
    out: TextIO | None = sys.stdout  # None where it was closed before Python began
    if out is None:
        return
    try:
        out.write(f"{text}\n")
        out.flush()
    except BrokenPipeError:
        _read_by_nobody(out)


def _read_by_nobody(stream: TextIO) -> None:
    """Let a stream whose reader has gone lead nowhere, with what Python still holds of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class BesideBars(logging.StreamHandler[TextIO]):
    """Writes log lines between bars and not through them.

    What libraries log is for the file; the terminal gets our lines, and their errors.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, as the logging configuration names it."""
        super().__init__(stream)
        self.addFilter(_ours_or_grave)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; bars and the line of `waiting` make room."""
        with tqdm.external_write_mode(file=self.stream):
            if sys.stderr.isatty():
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Let the run go on where nobody reads any more (`| head`); the log file has it all."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            _read_by_nobody(self.stream)
        else:
            super().handleError(record)


class LogFile(logging.FileHandler):
    """A log file; a disk that is full ends the run with its own line and not with one for each."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave a line out that cannot be written."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _ours_or_grave(record: logging.LogRecord) -> bool:
    own = record.name.partition(".")[0] in ("axiom_rl", "hydra_plugins", "hydra", "__main__")
    return own or record.levelno >= logging.ERROR


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Progress]:
    """Show progress while the block runs."""
    shown = Progress(label, total, unit)
    try:
        yield shown
    finally:
        shown.close()


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Show what is waited for, and the seconds, while the block runs; for work without a count."""
    over, started = threading.Event(), time.monotonic()
    terminal = sys.stderr.isatty()

    def show() -> None:
        while not over.wait(1.0 if terminal else LOG_SECONDS):
            line = f"{label} ({time.monotonic() - started:.0f} s)"
            if terminal:
                sys.stderr.write(f"\r{line}")
                sys.stderr.flush()
            else:
                log.info("%s", line)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
