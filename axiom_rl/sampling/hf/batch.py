"""A batch that its caller fills: samples are started and dropped while others run."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from axiom_rl.core.types import Completion
from axiom_rl.sampling.base import Key, SampleRequest
from axiom_rl.sampling.hf.decode import Decoder, Drawn

if TYPE_CHECKING:
    from axiom_rl.sampling.hf.sampler import TransformersSampler

AHEAD_ROWS = 32
"""Rows up to which a batch on a CPU is filled with samples that may not be needed.

A step takes as long as 7 to 27 rows whatever runs: a row is cheap as long as there are few.
docs/development/performance.md has the arithmetic."""


@dataclass(slots=True)
class Running:
    """One sample being written."""

    request: SampleRequest
    sample: int
    prompt: list[int]
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Its problem's id and its index."""
        return self.request.problem_id, self.sample


@dataclass(frozen=True, slots=True)
class Waiting:
    """Samples of one prompt."""

    request: SampleRequest
    prompt: list[int]
    samples: tuple[int, ...]
    temperature: float

    def rows(self) -> list[Running]:
        """Return the samples, not begun."""
        return [Running(self.request, sample, self.prompt) for sample in self.samples]


class SlotBatch:
    """An `OpenBatch` over a decoder's slots."""

    def __init__(
        self,
        sampler: TransformersSampler,
        decoder: Decoder,
        slots: int,
        requests: Mapping[Key, Waiting],
        waits: bool,
    ) -> None:
        """Begin with nothing in flight.

        Args:
            sampler: whose completions these are.
            decoder: of the sampler's model.
            slots: of the decoder.
            requests: all that may be started, and what asks for it.
            waits: as `Decoders.waits`.
        """
        self._sampler = sampler
        self._decoder = decoder
        self._slots = slots
        self._requests = requests
        self._waits = waits
        self._rows: list[Running] = []
        # On a GPU a step takes about as long with all slots in use.
        self._ahead = min(slots, AHEAD_ROWS) if decoder.on_cpu else slots

    @property
    def running(self) -> Collection[Key]:
        """Samples in flight."""
        return [row.key for row in self._rows]

    @property
    def free(self) -> int:
        """Samples that can be started now."""
        free = self._slots - len(self._rows)
        return 0 if self._waits and 4 * free < self._slots else free

    @property
    def spare(self) -> int:
        """Samples that can be started now and cost little."""
        return min(max(self._ahead - len(self._rows), 0), self.free)

    @torch.no_grad()
    def start(self, keys: Sequence[Key]) -> None:
        """Begin some samples; those of a problem that is running share its prompt."""
        prompts = deque[Waiting]()
        for item in self._asked(keys):
            problem_id = item.request.problem_id
            row = next((n for n, row in enumerate(self._rows) if row.key[0] == problem_id), None)
            if row is None:
                prompts.append(item)
            else:
                numbers = self._sampler.numbers(item)
                self._decoder.share(row, item.prompt, numbers, item.temperature)
                self._rows += item.rows()
        while prompts:
            together = self._decoder.joining([len(item.prompt) for item in prompts])
            items = [prompts.popleft() for _ in range(together)]
            self._rows += self._sampler.prefill(self._decoder, items)

    def _asked(self, keys: Sequence[Key]) -> list[Waiting]:
        """Put together what comes from one request."""
        found: dict[int, Waiting] = {}
        for key in keys:
            whole = self._requests[key]
            before = found.get(id(whole), replace(whole, samples=()))
            found[id(whole)] = replace(before, samples=(*before.samples, key[1]))
        return [*found.values()]

    def drop(self, keys: Collection[Key]) -> int:
        """Break samples off; returns the tokens thrown away."""
        thrown_away = 0
        for index in reversed(range(len(self._rows))):
            if self._rows[index].key in keys:
                thrown_away += len(self._rows[index].tokens)
                take_out(self._decoder, self._rows, index)
        return thrown_away

    @torch.no_grad()
    def step(self) -> list[Completion]:
        """Return what is finished, and draw a token of each of the others."""
        done = self._sampler.finished(self._decoder, self._rows)
        return done + self._sampler.step(self._decoder, self._rows)


def append(rows: Sequence[Running], drawn: Drawn) -> None:
    """Add the token that was drawn of each row."""
    for row, token, logprob in zip(rows, *drawn, strict=True):
        row.tokens.append(token)
        row.logprobs.append(logprob)


def take_out(decoder: Decoder, rows: list[Running], index: int) -> None:
    """Take a row out of `rows` and the decoder; the last one moves to its place."""
    moved = decoder.release(index)
    rows[index] = rows[moved]
    rows.pop()
