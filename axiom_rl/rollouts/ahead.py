"""Drawing in rounds, where the next rounds begin while the last samples of one are being written.

A round is what `draw` draws: all its samples are drawn, judged and written before it is over. In a
batch that is running empty there is room for samples of rounds to come. Which of those are needed
is known only when the round is over, so they are kept aside, in
checkpoints/ahead_<phase>.jsonl, until a round asks for them. Each sample has a random stream of its
own, so a round gets what it would have drawn itself, and whoever calls decides as if there had been
no looking ahead. What no round asks for stays aside, is no part of any result, and is counted.

An evaluation and the rounds of attempts that follow it, with the same model, are one such sequence:
the evaluation is its first round. Their samples have other names, streams and temperatures; each of
the two is a `Lot`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import append_jsonl, read_json, write_json
from axiom_rl.core.progress import progress, worth
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.draw import Drawn, draw
from axiom_rl.rollouts.judge import JudgedBy, JudgedLater
from axiom_rl.rollouts.records import Rollout, read_rollouts, rollout_row
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.base import BatchSampler, Key, OpenBatch

SCHEMA = 1
VERDICT_STEPS = 8
"""A verdict counts so many steps after its sample is written, some half a second, and is waited for
if it is late. If it counted as soon as it is there, what runs beside what would depend on the
clock, and in bfloat16 samples depend on that in their last digits: a run could not be repeated."""
Later = Callable[[Mapping[str, int]], Iterator[Key]]
"""What the rounds to come would ask for, in their order, given the first sample that solves a
problem, by its id, where one is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Samples that are drawn under one name."""

    phase: str
    """completions/<phase>.jsonl keeps those that rounds ask for."""
    tasks: Mapping[str, JudgedBy]
    """Problems that rounds may ask for, by id, and how to judge them."""
    samples: range
    """Indices of the samples that rounds may ask for."""
    iteration: int
    """Written into each row."""
    temperature: float | None
    """In the place of sampler.temperature."""


@dataclass(slots=True, kw_only=True)
class RoundDrawer:
    """Draws the rounds of one model; a context manager, which lets go of the batch."""

    context: RunContext
    policy: Policy
    """Loaded only if something is left to draw."""
    lots: Sequence[Lot]
    """In the order of their rounds. No index of a sample is in two. Only samples of the last are
    drawn ahead: each other is one round."""
    solves: Callable[[Rollout], bool] | None
    """Whether a sample alone ends the tries of its problem. What rounds ask for is not decided by
    it: it only says what is no longer worth drawing ahead. None, where a sample alone says nothing:
    then rounds wait for each other."""
    _open: ExitStack = field(default_factory=ExitStack)
    _batch: OpenBatch | None = None
    _have: dict[Key, Rollout] = field(default_factory=dict)
    """Written to completions/<phase>.jsonl: of this round and those before."""
    _aside: dict[Key, Rollout] = field(default_factory=dict)
    """Judged and waiting to be asked for."""
    _judging: JudgedLater = field(init=False)
    _unjudged: dict[Key, int] = field(default_factory=dict)
    """Tokens of finished samples whose verdict is to come."""
    _solved: dict[str, int] = field(default_factory=dict)
    """The first sample that solves a problem, of those drawn here."""
    _ages: list[int] = field(default_factory=list)
    """Steps since each completion under verification was submitted, the oldest first."""
    _tokens: int = 0
    """Drawn since this start of the run."""
    _tokens_ahead: int = 0
    """Those that the round in which they were drawn did not ask for."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Let go of the batch, if one was needed."""
        self._open.close()
        self._batch = None

    def __post_init__(self) -> None:
        """Read what an earlier start of the run has left."""
        self._judging = JudgedLater(self.context.verifier)
        for lot in self.lots:
            self._have |= _by_key(read_rollouts(self._completions(lot)))
        aside = _by_key(read_rollouts(self._ahead))
        self._aside = {key: item for key, item in aside.items() if key not in self._have}
        for item in (*self._have.values(), *self._aside.values()):
            self._note_solved(item)

    def _completions(self, lot: Lot) -> Path:
        return self.context.run.folder / "completions" / f"{lot.phase}.jsonl"

    @property
    def _ahead(self) -> Path:
        return self.context.run.folder / "checkpoints" / f"ahead_{self.lots[-1].phase}.jsonl"

    def _lot(self, sample: int) -> Lot:
        return next(lot for lot in self.lots if sample in lot.samples)

    def draw(self, problems: Sequence[str], samples: range, later: Later) -> Drawn:
        """Draw and judge one round, as `draw` does.

        Args:
            problems: ids of those to sample.
            samples: indices of the samples of each problem.
            later: the samples of the rounds to come.

        Returns:
            The samples of this round, by problem and sample.
        """
        wanted = [(problem_id, sample) for problem_id in problems for sample in samples]
        found = [key for key in wanted if key in self._aside]
        self._write([self._aside.pop(key) for key in found])
        started, waited, tokens_before = time.monotonic(), self._judging.waited, self._tokens
        ahead_before = self._tokens_ahead
        cpu_before = self.context.verifier.stats.candidate_cpu_s
        missing = [key for key in wanted if key not in self._have]
        if missing and self._batch is None:
            sampler = self.policy()
            if self.solves is None or not isinstance(sampler, BatchSampler):
                return self._draw_alone(problems, samples)
            self._batch = self._open_batch(sampler)
        if missing and self._batch is not None:
            try:
                self._draw(self._batch, missing, later)
            except KeyboardInterrupt:  # what is judged already need not be drawn again
                self._sort(self._judging.take(), set(wanted))
                raise
        seconds, tokens = time.monotonic() - started, self._tokens - tokens_before
        ahead = self._tokens_ahead - ahead_before
        return Drawn(
            rollouts=tuple(self._have[key] for key in wanted),
            seconds=seconds,
            tokens=tokens,
            ahead_seconds=seconds * ahead / tokens if ahead else 0.0,
            verify_seconds=self._judging.waited - waited,
            verify_cpu_seconds=self.context.verifier.stats.candidate_cpu_s - cpu_before,
        )

    def _draw_alone(self, problems: Sequence[str], samples: range) -> Drawn:
        lot = self._lot(samples.start)
        tasks = [lot.tasks[problem_id] for problem_id in problems]
        return draw(
            *(self.context, lot.phase, tasks, samples, self.policy),
            *(lot.iteration, lot.temperature),
        )

    def _open_batch(self, sampler: BatchSampler) -> OpenBatch:
        gone = self._have.keys() | self._aside.keys()
        requests = defaultdict[float | None, list[SampleRequest]](list)
        for lot in self.lots:
            requests[lot.temperature] += [
                SampleRequest(
                    problem_id=problem_id,
                    messages=tuple(render(task.problem, self.context.style)),
                    samples=tuple(s for s in lot.samples if (problem_id, s) not in gone),
                    stream=f"{self.context.seed}/{lot.phase}",
                )
                for problem_id, task in lot.tasks.items()
            ]
        return self._open.enter_context(sampler.batch(requests))

    def _draw(self, batch: OpenBatch, missing: Sequence[Key], later: Later) -> None:
        """Step until all of `missing` are judged and written."""
        wanted, tokens, count, drawn = set(missing), 0, 0, 0
        self._drop_unneeded(batch, wanted, later)
        with progress("sampling", len(missing), "sample") as shown:
            while wanted - self._have.keys():
                self._fill(batch, missing, later)
                tokens += len(batch.running)
                self._tokens += len(batch.running)
                self._tokens_ahead += sum(key not in wanted for key in batch.running)
                done = batch.step()
                for completion in done:
                    task = self._lot(completion.sample).tasks[completion.problem_id]
                    self._judging.submit(completion, task)
                    self._unjudged[completion.key] = completion.completion_tokens
                if self._judge(batch, len(done), wanted):
                    self._drop_unneeded(batch, wanted, later)
                finished = sum(item.key in wanted for item in done)
                count += len(done)
                drawn += sum(item.completion_tokens for item in done)
                # Below 0 where much of what is done was written by the round before.
                begun = worth(count, drawn, len(batch.running), tokens - drawn)
                shown.update(finished, f"{tokens / shown.seconds:.0f} tokens/s", begun)

    def _judge(self, batch: OpenBatch, submitted: int, wanted: Set[Key]) -> bool:
        """Take the verdicts that count now; tell whether one more problem is solved.

        Args:
            batch: after a step.
            submitted: samples that the step has finished.
            wanted: of this round.
        """
        self._ages = [age + 1 for age in self._ages] + [0] * submitted
        due = sum(age >= VERDICT_STEPS or not batch.running for age in self._ages)
        if due and not batch.spare and wanted >= set(batch.running):
            # Nothing is decided by them now: those that are late may come later.
            due = min(due, len(self._judging.ready()))
        del self._ages[:due]  # the oldest come first
        return bool(due) and self._sort(self._judging.take(first=due), wanted)

    def _fill(self, batch: OpenBatch, missing: Sequence[Key], later: Later) -> None:
        """Start what this round lacks; where nothing of it waits, samples of rounds to come."""
        if not batch.free:
            return
        running = set(batch.running)
        waiting = [key for key in missing if not self._is_begun(key, running)]
        starting = waiting[: batch.free]
        batch.start(starting)
        if batch.spare and len(starting) == len(waiting):
            ahead = (key for key in later(self._solved) if not self._is_begun(key, running))
            batch.start(list(islice(ahead, batch.spare)))

    def _is_begun(self, key: Key, running: Collection[Key]) -> bool:
        return any(key in begun for begun in (running, self._unjudged, self._have, self._aside))

    def _drop_unneeded(self, batch: OpenBatch, wanted: Collection[Key], later: Later) -> None:
        """Break off what no round will ask for by what is known now."""
        ahead = [key for key in batch.running if key not in wanted]
        if ahead:
            needed = set(later(self._solved))
            self._count(batch.drop([key for key in ahead if key not in needed]))

    def _sort(self, rollouts: Sequence[Rollout], wanted: Collection[Key]) -> bool:
        """Write what is judged to where it belongs; tell whether it solves one more problem."""
        before = dict(self._solved)
        for item in rollouts:
            self._unjudged.pop(item.completion.key, None)
            self._note_solved(item)
        asked = [item for item in rollouts if item.completion.key in wanted]
        others = {
            item.completion.key: item for item in rollouts if item.completion.key not in wanted
        }
        self._write(asked)
        self._aside |= others
        append_jsonl(self._ahead, map(self._row, others.values()) if others else ())
        if rollouts:
            self.context.publish()
        return self._solved != before

    def _note_solved(self, item: Rollout) -> None:
        problem_id, sample = item.completion.key
        if self.solves is not None and self.solves(item):
            self._solved[problem_id] = min(sample, self._solved.get(problem_id, sample))

    def _write(self, rollouts: Sequence[Rollout]) -> None:
        """Write samples of one round."""
        if rollouts:
            lot = self._lot(rollouts[0].completion.sample)
            append_jsonl(self._completions(lot), map(self._row, rollouts))
            self._have |= _by_key(rollouts)

    def _row(self, item: Rollout) -> dict[str, object]:
        lot = self._lot(item.completion.sample)
        return rollout_row(item, lot.phase, lot.iteration)

    def discarded(self) -> Drawn:
        """Break off what still runs; return the tokens of all that no round has asked for."""
        if self._batch is not None:
            broken_off = self._batch.drop(list(self._batch.running))
            self._count(broken_off + sum(self._unjudged.values()))
            self._unjudged.clear()
        aside = sum(item.completion.completion_tokens for item in self._aside.values())
        return Drawn(rollouts=(), discarded_tokens=aside + self._counted())

    def _count(self, tokens: int) -> None:
        """Add to the tokens of samples broken off, over all starts of the run."""
        if tokens:
            total = self._counted() + tokens
            write_json(self._counter, {"schema": SCHEMA, "broken_off_tokens": total})

    def _counted(self) -> int:
        return read_json(self._counter)["broken_off_tokens"] if self._counter.exists() else 0

    @property
    def _counter(self) -> Path:
        return self._ahead.with_suffix(".json")


def _by_key(rollouts: Iterable[Rollout]) -> dict[Key, Rollout]:
    return {item.completion.key: item for item in rollouts}
