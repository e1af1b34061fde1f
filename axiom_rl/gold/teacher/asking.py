"""What a teacher gives back, and the ledger in which every answer and every failure is counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.core.types import Completion
from axiom_rl.sampling import SampleRequest

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAnswer:
    """One answer, and what it cost."""

    completion: Completion
    cost: float = 0.0
    """Paid by this run, in an earlier start of it or now; 0 where another run paid."""
    cached: bool = False
    """Whether it came from the answers on disk."""
    estimated: bool = False
    """Whether the tokens are an estimate, for the endpoint does not count them."""
    refusal: str = ""
    """What the endpoint says of an answer that is none: refusal or content_filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One request that failed: once, and tried again, or for good."""

    problem_id: str
    sample: int
    kind: str
    """connection, timeout, rate_limit, server_error, malformed, rejected or over_budget."""
    detail: str
    """In words, without any secret."""
    final: bool
    """Whether it was the last try."""
    uncertain: float = 0.0
    """Money that it may have cost, for nobody knows whether the endpoint had begun to answer."""


class Teacher(Protocol):
    """Writes answers; text alone is needed."""

    name: str
    """Of the model."""
    exhausted: str
    """Why no more can be asked, such as money that is spent; '' while more can be."""
    least: int
    """Answers of a round that is worth its time: where fewer would do, so many are asked for."""

    def answers(self, requests: Sequence[SampleRequest]) -> Iterator[TeacherAnswer | Failure]:
        """Yield an answer or a final failure for each sample, and every failure before it."""
        ...

    def close(self) -> None:
        """Let go of memory and connections."""
        ...


class Ledger:
    """teacher/<phase>.jsonl: one row per answer and failure, over all starts of the run."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        rows = list(read_jsonl(path)) if path.exists() else []
        self._answers = {_key(row): row for row in rows if "kind" not in row}
        self._failures = [row for row in rows if "kind" in row]

    def note(self, item: TeacherAnswer | Failure, seconds: float) -> None:
        """Write a row; an answer that was there before (killed before it was judged) gives way."""
        if isinstance(item, Failure):
            row: dict[str, Any] = {
                "problem_id": item.problem_id,
                "sample": item.sample,
                "kind": item.kind,
                "detail": item.detail,
                "final": item.final,
                "uncertain": item.uncertain,
            }
            self._failures.append(row)
        else:
            row = {
                "problem_id": item.completion.problem_id,
                "sample": item.completion.sample,
                "seconds": round(seconds, 3),
                "cost": item.cost,
                "cached": item.cached,
                "estimated": item.estimated,
                "refusal": item.refusal,
            }
            self._answers[_key(row)] = row
        append_jsonl(self.path, [{"schema": SCHEMA} | row])

    def of(self, problem_id: str, sample: int) -> dict[str, Any]:
        """Return the row of an answer; {} where there is none."""
        return self._answers.get((problem_id, sample), {})

    def has(self, problem_id: str, sample: int) -> bool:
        """Whether an answer is noted, and with it what it cost."""
        return (problem_id, sample) in self._answers

    @property
    def cost(self) -> float:
        """Money paid by this run."""
        return sum(float(row["cost"]) for row in self._answers.values())

    @property
    def uncertain(self) -> float:
        """Money that lost requests may have cost besides."""
        return sum(float(row["uncertain"]) for row in self._failures)

    @property
    def cached(self) -> int:
        """Answers that came from disk."""
        return sum(row["cached"] for row in self._answers.values())

    @property
    def estimated(self) -> int:
        """Answers whose tokens are an estimate."""
        return sum(row["estimated"] for row in self._answers.values())

    def failures(self) -> Counter[str]:
        """Return how many tries failed, by kind."""
        return Counter(row["kind"] for row in self._failures)

    @property
    def lost(self) -> int:
        """Requests that failed for good, and were not answered in a later start either."""
        gone = {_key(row) for row in self._failures if row["final"]}
        return len(gone - self._answers.keys())


class AskedSampler:
    """A teacher as a sampler: what it gives is noted, and completions go on to be judged."""

    def __init__(self, teacher: Teacher, ledger: Ledger) -> None:
        """Ask `teacher`."""
        self._teacher, self._ledger = teacher, ledger
        self.failure: AxiomError | None = None
        """What ended asking; the answers before it are judged and written first."""

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Yield the answers; the temperature is the teacher's own."""
        last = time.monotonic()
        try:
            for item in self._teacher.answers(requests):
                now = time.monotonic()
                self._ledger.note(item, now - last)
                if isinstance(item, TeacherAnswer):
                    last = now
                    yield item.completion
        except AxiomError as error:
            self.failure = error


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return str(row["problem_id"]), int(row["sample"])
