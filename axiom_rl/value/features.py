"""Features of a pool's samples: computed once, stored beside the pool, looked up ever after."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.core.progress import progress
from axiom_rl.core.types import Completion, Problem
from axiom_rl.models.memory import free_memory
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.records import Rollout
from axiom_rl.value.reader import open_reader
from axiom_rl.value.recipe import FrozenPolicy, Recipe, SampleFeatures, short_hash

logger = logging.getLogger(__name__)

SCHEMA = 1
TOGETHER = 16
"""Samples between two writes: what is lost at most when the machine goes off."""
LARGEST = 65504.0
"""Of float16, in which features are stored."""

Floats = NDArray[np.float64]
Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFeatures:
    """Of a pool, with what they cost."""

    each: tuple[SampleFeatures, ...]
    """In the order of the samples."""
    computed: int
    """Samples that were not stored."""
    seconds: float
    """Of all of them, those found stored included."""
    forward: int
    """Tokens read for all of them: a prompt once for the samples read together, equal ones once."""
    of: Mapping[Key, SampleFeatures]
    """By problem id and sample, where each stands once."""


def pool_features(
    folder: Path,
    items: Sequence[tuple[Problem, Rollout]],
    frozen: FrozenPolicy,
    recipe: Recipe,
    release: Callable[[], None] = lambda: None,
) -> PoolFeatures:
    """Return the features of samples, computing those that `folder`/search does not hold yet.

    The model is loaded only if something is missing, after `release` has made room for it.

    Raises:
        AxiomError: if the weights found here are not those of the pool, a prompt is not the one
            that was sampled from, or the file is damaged.
    """
    path = folder / "search" / f"{frozen.features_file(recipe)}.jsonl"
    rows = {_row_key(row): row for row in read_jsonl(path)} if path.exists() else {}
    wanted = {_key(item): (problem, item) for problem, item in items}
    missing = [pair for key, pair in wanted.items() if key not in rows]
    if missing:
        release()
        free_memory()
        for row in _computed(missing, frozen, recipe, path):
            rows[_row_key(row)] = row
        free_memory()  # of the reader: what was released may be loaded again
    own = {key: rows[key] for key in wanted}
    decoded = {key: _decoded(row, path) for key, row in own.items()}
    return PoolFeatures(
        each=tuple(decoded[_key(item)] for _problem, item in items),
        of={key[:2]: features for key, features in decoded.items()},
        computed=len(missing),
        seconds=fsum(row["seconds"] for row in own.values()),
        forward=sum(row["forward"] for row in own.values()),
    )


def _computed(
    missing: Sequence[tuple[Problem, Rollout]], frozen: FrozenPolicy, recipe: Recipe, path: Path
) -> Iterator[dict[str, Any]]:
    """Read the missing samples with the policy, prompt by prompt, and store them as they come.

    Problems that put the same prompt share it, and equal completions of it are read once.
    """
    reader = open_reader(frozen, recipe)
    by_prompt: dict[str, list[tuple[Problem, Rollout]]] = {}
    for problem, item in missing:
        prompt = short_hash(render(problem, frozen.style))
        by_prompt.setdefault(prompt, []).append((problem, item))
    logger.info("reading %d samples with the frozen policy", len(missing))
    with progress("features", len(missing), "sample") as shown:
        for pairs in by_prompt.values():
            equal = _equal_ones([item for _problem, item in pairs])
            for start in range(0, len(equal), TOGETHER):
                part = equal[start : start + TOGETHER]
                began = time.monotonic()
                read = reader.read(pairs[0][0], [items[0].completion for items in part])
                seconds = (time.monotonic() - began) / len(part)
                new = [
                    # What an equal one cost is the first one's.
                    _features_row(item, features, 0.0 if n else seconds, 0 if n else forward)
                    for items, (features, forward) in zip(part, read, strict=True)
                    for n, item in enumerate(items)
                ]
                append_jsonl(path, new)
                shown.update(len(new), "")
                yield from new


def _equal_ones(items: Sequence[Rollout]) -> list[list[Rollout]]:
    """Return samples of one prompt by what was drawn, those of like length next to each other."""
    found: dict[tuple[str, tuple[int, ...]], list[Rollout]] = {}
    for item in items:
        completion = item.completion
        found.setdefault((completion.text, completion.token_ids), []).append(item)
    return sorted(found.values(), key=lambda equal: equal[0].completion.completion_tokens)


def _features_row(
    item: Rollout, features: SampleFeatures, seconds: float, forward: int
) -> dict[str, Any]:
    hidden = as_stored(features.hidden)
    own = features.logprobs
    return {
        "schema": SCHEMA,
        "problem_id": item.completion.problem_id,
        "sample": item.completion.sample,
        "text": short_hash(item.completion.text),
        "places": list(features.places),
        "hidden": base64.b64encode(hidden.tobytes()).decode("ascii"),
        **({} if own is None else {"logprobs": [round(float(mean), 6) for mean in own]}),
        "seconds": round(seconds, 6),
        "forward": forward,
    }


def as_stored(hidden: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return hidden states in the precision in which they are stored."""
    return np.clip(hidden, -LARGEST, LARGEST).astype("<f2")


def _decoded(row: Mapping[str, Any], path: Path) -> SampleFeatures:
    try:
        places = tuple(int(place) for place in row["places"])
        values = np.frombuffer(base64.b64decode(row["hidden"], validate=True), dtype="<f2")
        hidden = values.reshape(len(places), -1).astype(np.float32)
        own = np.array(row["logprobs"], dtype=np.float32) if "logprobs" in row else None
    except (ValueError, TypeError) as error:
        raise AxiomError(f"{path} is damaged ({error}): delete it") from error
    return SampleFeatures(places, hidden, own)


def _key(item: Rollout) -> tuple[str, int, str]:
    return item.completion.problem_id, item.completion.sample, short_hash(item.completion.text)


def _row_key(row: Mapping[str, Any]) -> tuple[str, int, str]:
    return row["problem_id"], row["sample"], row["text"]


INPUTS = ("hidden", "logprob", "length")
"""What a head may look at: hidden states, mean log-probability, log of the number of tokens."""


def inputs_of(
    features: SampleFeatures, completion: Completion, inputs: Sequence[str]
) -> NDArray[np.float32]:
    """Return a head's inputs at each place: (places, width).

    Args:
        features: of the completion.
        completion: its log-probabilities, where the features have none of their own.
        inputs: of INPUTS, in their order.

    Raises:
        AxiomError: for log-probabilities that the completion does not have.
    """
    if "logprob" in inputs and features.logprobs is None and not completion.logprobs:
        raise AxiomError(
            f"the samples of {completion.problem_id} have no log-probabilities: train a head "
            "without them by trainer.inputs=[hidden,length]"
        )
    return head_inputs(features, completion.logprobs, inputs)


def head_inputs(
    features: SampleFeatures, logprobs: Sequence[float], inputs: Sequence[str]
) -> NDArray[np.float32]:
    """Return the same of a sample whose log-probabilities are there.

    Args:
        features: of its tokens.
        logprobs: of each token as it was drawn, where the features have none of their own.
        inputs: of INPUTS, in their order.
    """
    columns: list[NDArray[np.float32]] = []
    if "hidden" in inputs:
        columns.append(features.hidden)
    if "logprob" in inputs:
        own = features.logprobs
        own = _means(features.places, logprobs) if own is None else own
        columns.append(own[:, None])
    if "length" in inputs:
        lengths = [log(max(place, 1)) for place in features.places]
        columns.append(np.asarray(lengths, dtype=np.float32)[:, None])
    return np.concatenate(columns, axis=1)


def _means(places: Sequence[int], logprobs: Sequence[float]) -> NDArray[np.float32]:
    # (places,): the mean log-probability of the tokens up to each place.
    running = np.cumsum(np.asarray(logprobs, dtype=np.float64))
    ends = np.minimum(np.asarray(places), len(running))
    return np.asarray(running[ends - 1] / ends, dtype=np.float32)
