"""What every sampler takes and gives. No torch here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from axiom_rl.config import SamplerConfig
from axiom_rl.core.types import Completion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Message = dict[str, str]
Key = tuple[str, int]
"""A sample: its problem's id and its index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """Ask for some samples of one problem.

    Each sample draws from a random stream of its own, named by `stream`, the problem's id and the
    sample's index, so that its text depends on neither the batch size nor the other requests
    (beyond floating-point effects of differently shaped matrix products).
    """

    problem_id: str
    messages: tuple[Message, ...]
    """Chat messages; the sampler applies the model's chat template."""
    samples: tuple[int, ...]
    """Indices of the samples wanted."""
    stream: str
    """Seed and phase, e.g. `0/iter_1`: the same stream gives the same samples."""


class Sampler(Protocol):
    """Draws completions; they come in the order in which they finish."""

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Yield one completion for each sample of each request, as it finishes.

        Args:
            requests: what to draw.
            temperature: in the place of sampler.temperature.

        Raises:
            AxiomError: if a prompt does not fit into the model's context or the memory budget.
        """
        ...


class SamplerFactory(Protocol):
    """Opens a sampler of the run's base model, alone or with an adapter."""

    def __call__(self, adapter: str | None, settings: SamplerConfig | None = None) -> Sampler:
        """Return a sampler.

        Args:
            adapter: folder of a LoRA adapter; None is the base model.
            settings: temperature, top_p and max_new_tokens in the place of the run's own.
        """
        ...


@runtime_checkable
class Releasable(Protocol):
    """A sampler that can make room for something else, such as training, until it is used again."""

    def rest(self) -> None:
        """Let go of memory; the next sample takes it back."""
        ...


class OpenBatch(Protocol):
    """Samples in flight, one token more of each in a step; the caller starts and drops them."""

    @property
    def running(self) -> Collection[Key]:
        """Samples in flight."""
        ...

    @property
    def free(self) -> int:
        """Samples that can be started now."""
        ...

    @property
    def spare(self) -> int:
        """How many of them cost little beside what runs: for samples that may not be needed."""
        ...

    def start(self, keys: Sequence[Key]) -> None:
        """Begin some samples, at most `free` of them."""
        ...

    def drop(self, keys: Collection[Key]) -> int:
        """Break samples in flight off; returns how many tokens of them are thrown away."""
        ...

    def step(self) -> list[Completion]:
        """Return what is finished, and draw a token of each of the others."""
        ...


@runtime_checkable
class BatchSampler(Protocol):
    """A sampler whose batch the caller can fill step by step."""

    def batch(
        self, requests: Mapping[float | None, Sequence[SampleRequest]]
    ) -> AbstractContextManager[OpenBatch]:
        """Open a batch.

        Args:
            requests: all that may be started in it, by temperature; None is sampler.temperature.
                No sample is asked for twice.

        Raises:
            AxiomError: as `Sampler.sample`.
            ValueError: if greedy samples, at 0, are asked for beside others.
        """
        ...


class EarlyStopping(Protocol):
    """Says which samples are not worth being written to their end."""

    @property
    def every(self) -> int:
        """Tokens between two looks at a sample."""
        ...

    def block(self, model: Any) -> Any:
        """Return the part of a model whose output (rows, tokens, width) is looked at."""
        ...

    def hopeless(
        self, problem_id: str, hidden: NDArray[np.float32], logprobs: Sequence[float]
    ) -> bool:
        """Whether to stop a sample.

        Args:
            problem_id: of its problem.
            hidden: (width,), the mean of the block's output over the tokens drawn so far.
            logprobs: of these tokens.
        """
        ...


@runtime_checkable
class StoppingSampler(Protocol):
    """A sampler that can stop samples while it draws them."""

    def stopping(self, early: EarlyStopping) -> Sampler:
        """Return a sampler of the same model that stops what `early` calls hopeless.

        A stopped sample has the tokens that were looked at and `Completion.stopped`.
        """
        ...
