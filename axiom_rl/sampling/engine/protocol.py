"""What the two sides of the engine say to each other; standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The engine is up."""

    context: int
    """Tokens of the longest text that it has room for."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """EndedSample with another adapter from now on. Answered by `used`."""

    folder: str | None
    """None means the base model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One sample to draw."""

    key: str
    prompt: tuple[int, ...]
    seed: int
    """Of its random numbers, see `axiom_rl.sampling.hf.next_token.seed_for`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Samples to draw. Answered by `News` until one has `end`; `stop` ends it early."""

    texts: tuple[Prompt, ...]
    temperature: float
    top_p: float
    max_new_tokens: int
    stop: tuple[int, ...]
    """Token ids that end a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSample:
    """One sample drawn."""

    key: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool
    """False where `max_new_tokens` ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What has happened since the last news."""

    samples: tuple[EndedSample, ...]
    tokens: int
    """Of all samples that have ended so far."""
    end: bool
