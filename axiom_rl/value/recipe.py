"""What features are made from: which policy, which layer, at which places of a completion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axiom_rl.config import Config, ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.run.folder import read_sessions

FILE = "head.safetensors"
HOW = "give the folder value/ of a finished run of trainer=value, such as outputs/train/<run>/value"
WEIGHTS = "adapter_model.safetensors"
NAMED = ("name", "format", "sha256", "revision", "hub_id", "hub_revision")
"""What identifies base weights, as environment.json has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a completion becomes numbers: the mean of one layer's hidden states over its tokens."""

    layer: float
    """Layer, as a share of the model's layers."""
    every: int
    """Tokens between two prefixes; the last place is the end of the completion."""


@dataclass(frozen=True, slots=True)
class SampleFeatures:
    """Of one sample."""

    places: tuple[int, ...]
    """Tokens read at each place; the last is the whole completion."""
    hidden: NDArray[np.float32]
    """(places, width): the mean of the hidden states of the tokens up to there."""
    logprobs: NDArray[np.float32] | None = None
    """(places,): the reading policy's own mean log-probability of the tokens up to there; None
    where it is taken from the draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenPolicy:
    """A policy as it reads samples, its own as a rule: nothing of it is trained."""

    model: ModelConfig
    style: str
    """Prompt style of the samples."""
    base: Mapping[str, Any]
    """Identity of the base weights."""
    adapter_sha256: str
    """Of the LoRA adapter's weights; '' for the base model alone."""
    temperature: float | None = None
    """At which it reads log-probabilities itself, as other policies' samples need it; None takes
    those that the samples were drawn with."""

    def features_file(self, recipe: Recipe) -> str:
        """Return the file's name below search/: another policy or recipe has another file."""
        named = [asdict(recipe), self.base["sha256"], self.adapter_sha256]
        own = [] if self.temperature is None else [self.temperature]
        return f"features_{short_hash([*named, *own])}"

    def on(self, device: str) -> FrozenPolicy:
        """Return the same policy, computed on another device."""
        return replace(self, model=replace(self.model, device=device))


def frozen_policy(config: Config, folder: Path) -> FrozenPolicy:
    """Return the policy that drew the samples of a run.

    Args:
        config: of the run.
        folder: its folder, whose environment.json names the weights.

    Raises:
        AxiomError: if the weights are not named there, or the adapter is gone.
    """
    named = [session["model"] for session in read_sessions(folder) if session.get("model")]
    if not named or not named[-1].get("sha256"):
        raise AxiomError(f"{folder}/environment.json does not name the weights: draw the pool anew")
    return FrozenPolicy(
        model=config.model,
        style=config.problems.prompt,
        base={key: named[-1].get(key, "") for key in NAMED},
        adapter_sha256=adapter_hash(config.model.adapter),
    )


def head_file(place: str | Path) -> Path:
    """Return the file of a head.

    Args:
        place: the folder value/, or the file in it.

    Raises:
        AxiomError: if there is none.
    """
    path = Path(place).expanduser()
    path = path if path.name == FILE else path / FILE
    if not path.is_file():
        inside = path.parent / "value" / FILE
        hint = f"did you mean {inside.parent}?" if inside.is_file() else HOW
        raise AxiomError(f"search.head={place}: there is no {FILE}; {hint}")
    return path


def adapter_hash(adapter: str | None) -> str:
    """Return the SHA-256 of an adapter's weights, '' for none.

    Raises:
        AxiomError: if they cannot be read.
    """
    if adapter is None:
        return ""
    path = Path(adapter).expanduser() / WEIGHTS
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AxiomError(f"model.adapter: {path} cannot be read: {error.strerror}") from error


def question_hash(problem: Problem) -> str:
    """Return a hash of what a problem asks, in any prompt style and with any examples."""
    return short_hash([problem.statement, problem.entry_point, problem.signature])


def short_hash(content: Any) -> str:
    """Return 16 hex digits that name JSON content."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
