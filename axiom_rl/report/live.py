"""The page of a run that goes on: written again now and then, and never at the run's cost.

Whoever makes progress calls `context.publish()`, as often as it likes. Most calls look at the clock
and return. A page is written a minute after the last one at the earliest, and only while all the
writing takes no more than a hundredth of the run's time: how long a page takes is measured, since
it grows with the run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from axiom_rl.core.files import write_text
from axiom_rl.core.program import command
from axiom_rl.report.page import build_page
from axiom_rl.report.render import to_html
from axiom_rl.report.run_folder import read_run

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""Seconds from the end of one write to the next at least."""
SHARE = 0.01
"""Of the run's time, what all writes together may take."""
FIRST_S = 1.0
"""Seconds that the first page is taken to need, and the megabytes that are read in a second."""
MEGABYTES_PER_S = 5.0
GROWTH = 1.25
"""How much longer than the last page the next one is taken to need."""


def write_live(folder: Path) -> None:
    """Write report.html of a run that goes on, with a note that it is not final; no report.md.

    Raises:
        AxiomError: if the folder does not exist, or a file in it is damaged.
    """
    now = datetime.now(UTC)
    note = (
        f"Not final: the run goes on. Written on {now:%Y-%m-%d at %H:%M:%S} UTC. If that is long "
        f"past, the run was stopped; go on with: {command(f'resume={folder}')}"
    )
    page = replace(build_page(read_run(folder)), live=note, reload_s=round(EVERY_S))
    write_text(folder / "report.html", to_html(page))


class LivePage:
    """Writes a run's page when it is time to; what `context.publish` is."""

    def __init__(
        self,
        folder: Path,
        write: Callable[[Path], None] = write_live,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count the run's time.

        Args:
            folder: of the run.
            write: writes the page.
            clock: seconds.
        """
        self._folder, self._write, self._clock = folder, write, clock
        self._began = self._last = clock()
        self._spent = self._cost = 0.0
        self._written = self._failed = False

    def __call__(self) -> None:
        """Write the page if it is time to; a page that cannot be written does the run no harm."""
        now = self._clock()
        if now - self._last < EVERY_S or self._expected() > SHARE * (now - self._began):
            return
        try:
            self._write(self._folder)
            if not self._written:
                log.info("the page so far: %s", self._folder / "report.html")
            self._written = True
        except Exception as error:
            if not self._failed:
                log.warning("the page could not be written, the run goes on: %s", error)
            log.debug("why", exc_info=True)
            self._failed = True
        finally:
            self._last = self._clock()
            self._cost = self._last - now
            self._spent += self._cost

    def _expected(self) -> float:
        """Return the seconds of all writes with one more."""
        if self._cost:
            return self._spent + GROWTH * self._cost
        size = sum(path.stat().st_size for path in (self._folder / "completions").glob("*.jsonl"))
        return FIRST_S + size / (MEGABYTES_PER_S * 1e6)
