"""Places of the pool for whose servers the system has no room: how long they are waited for."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass

from axiom_rl.sandbox.base import SandboxUnavailableError
from axiom_rl.sandbox.slot import Assignment, Slot

log = logging.getLogger(__name__)

VACANT_SECONDS = 0.5
"""Between two tries to start a server that the system had no room for."""
PATIENCE_SECONDS = 60.0
"""How long the pool waits for room while it has no server at all."""


@dataclass(slots=True, eq=False)
class Vacancy:
    """The place of a server that is gone, and the jobs that the next one takes over."""

    retries: deque[Assignment]
    suspects: list[Assignment]
    until: float = 0.0
    """On the monotonic clock, when it is tried again."""


class Vacancies:
    """The places that wait for room."""

    def __init__(self) -> None:
        self.places: list[Vacancy] = []
        self._worked_at = time.monotonic()
        self._is_known = False
        """Whether a warning has said that room is lacking."""

    def note_a_server_that_works(self) -> None:
        """Begin anew to count how long there is none."""
        self._worked_at = time.monotonic()

    def note_all_is_well(self) -> None:
        """Warn again when room is lacking the next time, unless it still is."""
        self._is_known &= bool(self.places)

    def add(self, vacancy: Vacancy, why: str, slots: list[Slot], *, at_start: bool) -> None:
        """Wait for room; what the place held goes to another server, if there is one.

        Args:
            vacancy: the place.
            why: what the system said.
            slots: the servers that there are.
            at_start: the pool's first servers are being started, which is not waited for.

        Raises:
            SandboxUnavailableError: with the reason, if the first servers find no room, or if for a
                minute there was no server at all.
        """
        self.places.append(vacancy)
        waited = time.monotonic() - self._worked_at
        if at_start or (waited > PATIENCE_SECONDS and not slots):
            raise SandboxUnavailableError(f"there is no room for the sandbox's servers: {why}")
        if not self._is_known:
            log.warning("sandbox: no room for a server, trying again: %s", why)
        self._is_known = True
        vacancy.until = time.monotonic() + VACANT_SECONDS
        if slots:
            other = slots[0]
            other.retries += vacancy.retries
            other.suspects += vacancy.suspects
            other.probe_wanted |= bool(vacancy.suspects)
            vacancy.retries, vacancy.suspects = deque(), []

    def take_due(self) -> list[Vacancy]:
        """Take out the places that are to be tried again now."""
        now = time.monotonic()
        due = [vacancy for vacancy in self.places if vacancy.until <= now]
        self.places = [vacancy for vacancy in self.places if vacancy.until > now]
        return due
