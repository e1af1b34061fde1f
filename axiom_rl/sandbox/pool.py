"""The pool: one thread that keeps every server busy and repairs what breaks.

Jobs wait in one queue; while there are many, each server holds two, so that it never waits for
this process. A server that dies, stops answering or breaks the protocol is killed and replaced, and
the new one first runs the canary (one right and one wrong program). The job that ran is tried once
more in the new server; the one at hand was not yet touched and goes back to the queue.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from axiom_rl.sandbox.base import Ending, Outcome, PoolReport, RunRequest, SandboxUnavailableError
from axiom_rl.sandbox.judging import Judging, SecondRuns
from axiom_rl.sandbox.process import NoRoomError, ServerProcess, ServerSettings
from axiom_rl.sandbox.reached import Reached
from axiom_rl.sandbox.slot import Assignment, Slot
from axiom_rl.sandbox.vacancies import Vacancies, Vacancy
from axiom_rl.sandbox.wire import Hello, ProtocolError, parse_answer

START_ATTEMPTS = 3
RECYCLE_AFTER = 10_000
"""Candidates, after which a server is replaced by a fresh one."""
IDLE_SECONDS = 1.0
LATE_SECONDS = 0.5
"""Our thread runs later than it asked for by more than this only if it was kept from running."""

T = TypeVar("T")
Canary = tuple[RunRequest, Callable[[Outcome], bool]]
"""A program whose outcome is known, and the test of its outcome."""


class ServerPool:
    """Runs requests on warm servers; every public method may be called from any thread."""

    def __init__(
        self,
        servers: int,
        settings: ServerSettings,
        canaries: tuple[Canary, ...],
        largest_message: int,
    ) -> None:
        """Start the servers and wait until each has passed its canary.

        Raises:
            SandboxUnavailableError: if they cannot be started or fail the canary.
        """
        self._settings = settings
        self._canaries = canaries
        self._largest = largest_message
        self._servers = servers
        self._slots: list[Slot] = []
        self._vacancies = Vacancies()
        self._reached = Reached()
        self._queue: deque[Assignment] = deque()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._closing = False
        self._failure: SandboxUnavailableError | None = None
        self._failed_starts = self._restarts = self._retries = 0
        self._judging = Judging(self._ring)
        self._second_runs = SecondRuns()
        self._looked_at = time.monotonic()
        self._probes: list[Future[None]] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-pool", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self.close()
            raise self._failure

    def submit(self, request: RunRequest, judge: Callable[[Outcome], T]) -> Future[T]:
        """Queue a request; `judge` turns its outcome into the future's result, on our thread.

        Raises:
            SandboxUnavailableError: if the pool has failed or is closed.
        """
        job = Assignment(request, judge)
        with self._lock:
            self._raise_if_ended()
            self._queue.append(job)
        self._ring()
        return job.future

    def probe(self) -> Future[None]:
        """Let every server run the canary before it takes another job; done when all have passed.

        Raises:
            SandboxUnavailableError: if the pool has failed or is closed.
        """
        probe: Future[None] = Future()
        with self._lock:
            self._raise_if_ended()
            self._probes.append(probe)
            for slot in list(self._slots):
                slot.probe_wanted = True
        self._ring()
        return probe

    @property
    def report(self) -> PoolReport:
        """What the pool has reached and done so far."""
        return PoolReport(
            self._reached.level,
            self._reached.layers,
            self._servers,
            self._restarts,
            self._retries,
            self._second_runs.started,
        )

    def close(self) -> None:
        """End every server and the thread; jobs that wait get a SandboxUnavailableError."""
        self._closing = True
        self._ring()
        self._thread.join()
        self._judging.close()
        for resource in (self._wake, self._bell, self._selector):
            resource.close()

    def _raise_if_ended(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise SandboxUnavailableError("the sandbox is closed")

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._bell.send(b"!")

    # Everything below runs on the pool's own thread.

    def _run(self) -> None:
        try:
            self._selector.register(self._wake, selectors.EVENT_READ, None)
            for _ in range(self._servers):
                self._slots.append(self._open_slot())
            while not self._closing:
                self._feed()
                self._wait()
                for vacancy in self._vacancies.take_due():
                    self._occupy(vacancy)
        except SandboxUnavailableError as error:
            self._failure = error
        except BaseException as error:
            self._failure = SandboxUnavailableError(f"the sandbox's own thread failed: {error!r}")
            raise
        finally:
            try:
                self._end()
            finally:
                self._ready.set()

    def _end(self) -> None:
        with self._lock:
            self._closing = True
            jobs = [*self._queue, *self._second_runs.jobs]
            self._queue.clear()
            probes, self._probes = self._probes, []
        for slot in self._slots:
            jobs += [*slot.jobs, *slot.retries, *slot.suspects]
            self._close_server(slot)
        for vacancy in self._vacancies.places:
            jobs += [*vacancy.retries, *vacancy.suspects]
        self._slots.clear()
        self._vacancies.places.clear()
        error = self._failure or SandboxUnavailableError("the sandbox was closed meanwhile")
        for future in [*probes, *(job.future for job in jobs)]:
            if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
                future.set_exception(error)

    def _open_slot(self) -> Slot:
        slot = Slot(ServerProcess(self._settings, self._largest))
        self._selector.register(slot.server.channel, selectors.EVENT_READ, slot)
        return slot

    def _close_server(self, slot: Slot) -> None:
        if not slot.server.is_closed:
            self._selector.unregister(slot.server.channel)
            slot.server.close()

    def _feed(self) -> None:
        for slot in self._slots:
            if slot.probe_wanted and slot.hello is not None and not slot.is_probing:
                slot.probe_wanted = False
                for request, is_healthy in self._canaries:
                    slot.send(Assignment(request, is_healthy, is_canary=True))
        if self._is_kept_free():
            self._send_alone()
        for slot in self._slots:
            if not slot.jobs:
                self._send_next(slot)
        for slot in self._slots:
            # The last few are held back: at hand behind a slow one, they would wait for it while
            # another server has nothing to do.
            if len(self._queue) > len(self._slots):
                self._send_next(slot)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if slot.server.has_output else 0)
            if self._selector.get_key(slot.server.channel).events != events:
                self._selector.modify(slot.server.channel, events, slot)

    def _is_kept_free(self) -> bool:
        """Whether nothing may start, since a program runs alone or soon will."""
        if any(job.is_alone for slot in self._slots for job in slot.jobs):
            return True
        return self._second_runs.is_due(bool(self._queue))

    def _send_alone(self) -> None:
        """Start a second run once every server has nothing else to do."""
        if self._second_runs.jobs and not any(slot.jobs for slot in self._slots):
            slot = next((slot for slot in self._slots if slot.has_room), None)
            if slot is not None:
                slot.send(self._second_runs.next())

    def _send_next(self, slot: Slot) -> None:
        if self._is_kept_free() or self._judging.is_full:
            return
        if slot.has_room and (job := self._next_job(slot)) is not None:
            slot.send(job)

    def _next_job(self, slot: Slot) -> Assignment | None:
        if slot.retries:
            return slot.retries.popleft()
        if slot.served + len(slot.jobs) >= RECYCLE_AFTER:
            return None
        with self._lock:
            while self._queue:
                job = self._queue.popleft()
                if job.begin():
                    return job
        return None

    def _wait(self) -> None:
        now = time.monotonic()
        busy = [slot.deadline - now for slot in self._slots if slot.jobs or slot.hello is None]
        busy += [vacancy.until - now for vacancy in self._vacancies.places]
        asked = max(0.0, min([IDLE_SECONDS, *busy]))
        found = self._selector.select(asked)
        self._forgive_lateness(asked)
        for key, events in found:
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._serve(key.data, events)
        for slot in list(self._slots):
            if slot.is_overdue:
                self._serve(slot, selectors.EVENT_READ)  # its answer may have come meanwhile
            if slot.is_overdue and not slot.server.is_closed:
                self._replace(slot, "it stopped answering")
            elif slot.served >= RECYCLE_AFTER and not slot.jobs:
                self._replace(slot, "")

    def _forgive_lateness(self, asked: float) -> None:
        """Put every deadline off by the time in which this thread could not look for answers.

        A stopped process (Ctrl-Z), or another thread in a long call that holds the interpreter's
        lock, is not the servers' fault, nor the candidates'. The limits of a candidate are kept by
        its server, which goes on meanwhile.
        """
        now = time.monotonic()
        late = now - self._looked_at - asked - LATE_SECONDS
        self._looked_at = now
        if late > 0:
            for slot in self._slots:
                slot.deadline += late

    def _serve(self, slot: Slot, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                slot.server.write()
            if events & selectors.EVENT_READ:
                for message in slot.server.read():
                    if self._took_fault(slot, message):
                        return
        except ProtocolError as error:
            self._replace(slot, str(error))

    def _took_fault(self, slot: Slot, message: bytes) -> bool:
        """Act on one message; True if the server was replaced for a fault it reported."""
        answer = parse_answer(message, slot.hello.peak if slot.hello else 0)
        if isinstance(answer, Hello):
            self._reached.add(answer.layers)
            slot.hello = answer
            return False
        if not slot.jobs:
            raise ProtocolError("an answer to no question")
        job = slot.jobs[0]
        # Once: who is killed again, in a server whose canary has passed since, did it himself.
        was_killed = (
            not job.was_killed
            and self._reached.layers.get("seccomp") == "on"
            and job.may_have_died_of_the_machine(answer)
        )
        job.was_killed |= was_killed
        if answer.ending is Ending.FAULT or was_killed:
            why = f"the system refused it a resource ({answer.ending} {answer.code})"
            self._replace(slot, why, is_fault=True)
            return True
        job = slot.take()
        if job.is_canary:
            self._judge_canary(slot, job, answer)
        elif not self._second_runs.take(job, answer):
            self._judging.finish(job, answer)
        return False

    def _judge_canary(self, slot: Slot, job: Assignment, outcome: Outcome) -> None:
        if not job.judge(outcome):
            raise ProtocolError(f"the canary failed ({outcome})")
        if slot.is_probing:
            return
        slot.proven = True
        self._failed_starts = 0
        self._vacancies.note_a_server_that_works()
        for suspect in slot.suspects:
            suspect.finish(Outcome(Ending.BROKE_SERVER))
        slot.suspects.clear()
        self._settle_probes()

    def _settle_probes(self) -> None:
        """Tell those who wait for the canary, once it has passed in every server that there is."""
        with self._lock:
            places = len(self._slots) + len(self._vacancies.places)
            if (
                places < self._servers
                or not self._slots
                or not all(slot.is_sound for slot in self._slots)
            ):
                return
            probes, self._probes = self._probes, []
        self._reached.promise()
        self._vacancies.note_all_is_well()
        self._ready.set()
        for probe in probes:
            probe.set_result(None)

    def _replace(self, slot: Slot, why: str, *, is_fault: bool = False) -> None:
        """Put a fresh server in the place of one that broke, and settle what it held."""
        words = slot.server.last_words()
        slot.server.kill()
        self._close_server(slot)
        self._restarts += 1
        lacks_room = is_fault or slot.server.found_no_room
        held = [job for job in slot.jobs if not job.is_canary]
        is_unproven = not slot.proven or len(held) < len(slot.jobs)
        if is_unproven and not lacks_room:
            self._failed_starts += 1
        why = f"{why}. {words}".strip(". ")
        if self._failed_starts >= START_ATTEMPTS:
            raise SandboxUnavailableError(f"the sandbox's servers do not work: {why}")
        self._slots.remove(slot)
        vacancy = Vacancy(slot.retries, slot.suspects)
        if held and held[0] is slot.jobs[0]:
            self._try_again(vacancy, held.pop(0), is_fault)
        with self._lock:
            self._queue.extendleft(reversed(held))
        if lacks_room and is_unproven:
            self._leave_vacant(vacancy, why)
        else:
            self._occupy(vacancy)

    def _occupy(self, vacancy: Vacancy) -> None:
        """Start a server in a vacant place; where there is no room for it now, try again later."""
        try:
            fresh = self._open_slot()
        except NoRoomError as error:
            self._leave_vacant(vacancy, str(error))
            return
        fresh.suspects, fresh.retries = vacancy.suspects, vacancy.retries
        self._slots.append(fresh)

    def _leave_vacant(self, vacancy: Vacancy, why: str) -> None:
        self._vacancies.add(vacancy, why, self._slots, at_start=not self._ready.is_set())
        if self._slots:
            self._settle_probes()

    def _try_again(self, place: Vacancy, job: Assignment, is_fault: bool) -> None:
        if job.has_failed_again(is_fault=is_fault) < 2:
            self._retries += 1
            place.retries.append(job)
        elif job.servers_broken == 2:
            place.suspects.append(job)
        else:
            job.finish(Outcome(Ending.FAULT))
