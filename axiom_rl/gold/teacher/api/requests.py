"""A teacher behind a chat endpoint: requests beside each other, tried again within bounds.

Whatever goes wrong with one request is counted and costs the others nothing. An endpoint that fails
for every request is given up, so that a run does not wait for days. Every answer is on disk before
anybody sees it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from axiom_rl.config import ApiTeacherConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.progress import progress
from axiom_rl.core.types import Completion
from axiom_rl.gold.teacher.api.cache import AnswerCache
from axiom_rl.gold.teacher.api.endpoint import ChatEndpoint, Reply, RequestFailure
from axiom_rl.gold.teacher.api.spending import Spending
from axiom_rl.gold.teacher.asking import Failure, TeacherAnswer
from axiom_rl.sampling import SampleRequest

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
"""Before the second try; it doubles, up to LONGEST_WAIT_S, and varies by a half at random."""
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_S = 600.0
"""An endpoint that asks to wait longer is not waited for."""
GIVE_UP_AFTER = 8
"""Requests in a row that failed for good, none of the others having been answered."""
REFUSALS = ("refusal", "content_filter")
CUT_OFF = ("length", "max_tokens")
"""What endpoints call an answer that the token limit ended."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    request: SampleRequest
    sample: int


class ApiTeacher:
    """Asks a chat endpoint."""

    def __init__(
        self,
        config: ApiTeacherConfig,
        paid_by: str,
        spent: float,
        counted: Callable[[str, int], bool] = lambda _problem_id, _sample: False,
    ) -> None:
        """Open the endpoint and the cache; nothing is sent yet.

        Args:
            config: of the endpoint.
            paid_by: names the run, so that a later start of it knows what it has paid itself.
            spent: by earlier starts of the run, what may have been charged included.
            counted: whether an answer is in `spent`, by problem and sample: a run that was killed
                may have paid for others, which lie in the cache.

        Raises:
            AxiomError: if the address, the model's name or the key is missing.
        """
        self._config = config
        self._endpoint = ChatEndpoint(config)
        self._cache = AnswerCache(config.cache)
        self._spending = Spending(config, spent)
        self._paid_by, self._counted = paid_by, counted
        self._stopping = threading.Event()
        self._resume_at = 0.0
        """No request is sent before: an endpoint's rate limit is for all of them."""
        self.name = str(config.name)
        self.exhausted = ""
        self.least = 1

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def answers(self, requests: Sequence[SampleRequest]) -> Iterator[TeacherAnswer | Failure]:
        """Yield answers as they come, and every failure.

        Raises:
            AxiomError: if the endpoint takes no request of ours, or fails for all.
        """
        wanted = [_Wanted(each, sample) for each in requests for sample in each.samples]
        pool = ThreadPoolExecutor(self._config.in_flight, thread_name_prefix="teacher")
        left, open_ = iter(wanted), set[Future[list[TeacherAnswer | Failure]]]()
        in_a_row = 0
        self._stopping.clear()
        try:
            with progress("asking the teacher", len(wanted), "answer") as shown:
                while True:
                    while len(open_) < self._config.in_flight and not self.exhausted:
                        each = next(left, None)
                        if each is None:
                            break
                        open_.add(pool.submit(self._one, each))
                    if not open_:
                        break
                    done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                    shown.update(len(done))
                    for future in done:
                        given = future.result()
                        yield from given
                        last = given[-1] if given else None  # None: it was not sent any more
                        if isinstance(last, TeacherAnswer):
                            in_a_row = 0
                        elif last is not None and last.final:
                            in_a_row += 1
                            if in_a_row >= GIVE_UP_AFTER:
                                raise AxiomError(self._down(last))
        finally:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            if open_:
                log.info("waiting for %d open requests: their answers are kept", len(open_))
            pool.shutdown(wait=True)

    def _down(self, last: Failure) -> str:
        return (
            f"{self._config.url}: the last {GIVE_UP_AFTER} requests failed, each after "
            f"{self._config.retries} further tries; the last: {last.kind}, {last.detail}. Is the "
            "endpoint up? See teacher.url, teacher.timeout_s, teacher.retries, teacher.in_flight; "
            "what was answered is kept, and resume= goes on"
        )

    def _one(self, wanted: _Wanted) -> list[TeacherAnswer | Failure]:
        """Return the answer from the cache or the endpoint, after the failures on the way."""
        body = self._body(wanted.request)
        path = self._cache.path(
            {
                "url": str(self._config.url).rstrip("/"),
                "body": body,
                "stream": wanted.request.stream,
                "problem_id": wanted.request.problem_id,
                "sample": wanted.sample,
            }
        )
        found = self._cache.find(path)
        if found is not None:
            given = self._answer(wanted, found, cached=True)
            if not self._counted(wanted.request.problem_id, wanted.sample):
                self._spending.settle(0.0, given.cost)
            return [given]
        failures: list[TeacherAnswer | Failure] = []
        for attempt in range(self._config.retries + 1):
            if not self._wait():
                return failures
            worst = self._spending.reserve(body)
            if worst is None:
                self.exhausted = (
                    f"teacher.max_cost={self._config.max_cost:g}: {self._spending.spent:.4f} are "
                    "spent, and another answer might cost more than the rest"
                )
                return failures
            cost = 0.0
            try:
                if self._stopping.is_set():  # while it waited for money
                    return failures
                entry = self._entry(self._endpoint.ask(body))
                cost = self._spending.price(entry)
                self._cache.keep(path, entry)
                return [*failures, self._answer(wanted, entry, cached=False)]
            except RequestFailure as error:
                cost = worst if error.uncertain else 0.0
                last = attempt == self._config.retries
                final = last or not error.again or (error.wait_s or 0) > LONGEST_ASKED_S
                failures.append(_failure(wanted, error, cost, final=final))
                if final:
                    return failures
                wait_s = self._pause(error, attempt)
            finally:  # others may wait for what this one does not need
                self._spending.settle(worst, cost)
            self._stopping.wait(wait_s)
        return failures

    def _body(self, request: SampleRequest) -> dict[str, Any]:
        config = self._config
        body: dict[str, Any] = {
            "model": str(config.name),
            "messages": [dict(message) for message in request.messages],
        }
        if "max_completion_tokens" not in config.extra:
            body["max_tokens"] = config.max_tokens
        if config.temperature is not None:
            body["temperature"] = config.temperature
        return body | config.extra

    def _entry(self, reply: Reply) -> dict[str, Any]:
        return {
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "estimated": reply.estimated,
            "paid_by": self._paid_by,
        }

    def _answer(self, wanted: _Wanted, entry: dict[str, Any], *, cached: bool) -> TeacherAnswer:
        finish, own = str(entry["finish_reason"]), entry["paid_by"] == self._paid_by
        return TeacherAnswer(
            completion=Completion(
                problem_id=wanted.request.problem_id,
                sample=wanted.sample,
                text=str(entry["text"]),
                prompt_tokens=int(entry["prompt_tokens"]),
                completion_tokens=int(entry["completion_tokens"]),
                truncated=finish in CUT_OFF,
            ),
            cost=self._spending.price(entry) if own else 0.0,
            cached=cached and not own,
            estimated=bool(entry["estimated"]),
            refusal=finish if finish in REFUSALS else "",
        )

    def _pause(self, error: RequestFailure, attempt: int) -> float:
        """Return the seconds before the next try: longer each time, or what the endpoint asks for.

        What it asks for holds for all requests.
        """
        own = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.5)
        seconds = own if error.wait_s is None else error.wait_s
        if error.kind == "rate_limit" or error.wait_s is not None:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)
            return 0.0
        return seconds

    def _wait(self) -> bool:
        """Wait until requests may be sent; False where no more are to be."""
        while (seconds := self._resume_at - time.monotonic()) > 0:
            if self._stopping.wait(seconds):
                break
        return not (self._stopping.is_set() or self.exhausted)


def _failure(wanted: _Wanted, error: RequestFailure, cost: float, *, final: bool) -> Failure:
    return Failure(
        problem_id=wanted.request.problem_id,
        sample=wanted.sample,
        kind=error.kind,
        detail=error.detail,
        final=final,
        uncertain=cost,
    )
