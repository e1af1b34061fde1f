"""The threshold of early stopping that a head is stored with, chosen on its own pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axiom_rl.core.text import percent
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.search.scores import Pool, scorer
from axiom_rl.evaluation.search.stopping import Stoppable, own_threshold
from axiom_rl.evaluation.search.words import plain
from axiom_rl.search.material import Sampled
from axiom_rl.trainers.value.cross import FittedHead
from axiom_rl.trainers.value.rows import Dataset
from axiom_rl.value.values import Trace


def threshold_of(data: Dataset, fitted: FittedHead) -> dict[str, Any]:
    """Return the threshold, None where none is safe, and what each would save and lose.

    Every sample is judged by heads fitted and calibrated without its problem, so that the threshold
    is one for new problems, and the problems of an evaluation take no part in it.
    """
    problems: dict[str, Problem] = {}
    samples: dict[str, list[Sampled]] = {}
    passed: dict[str, list[bool]] = {}
    prefixes: dict[tuple[str, int], Trace] = {}
    for n, trace in zip(fitted.chosen, fitted.new_prefixes, strict=True):
        each = data.samples[n]
        key, completion = each.problem.id, each.rollout.completion
        problems[key] = each.problem
        mine = samples.setdefault(key, [])
        # Numbered anew: two pools may hold samples of one problem.
        prefixes[key, len(mine)] = trace
        mine.append(
            Sampled(
                sample=len(mine),
                code=each.rollout.code,
                logprob=None,
                tokens=completion.completion_tokens,
                prompt_tokens=completion.prompt_tokens,
            )
        )
        passed.setdefault(key, []).append(each.passed)
    pool = Pool(
        problems=tuple(problems.values()),
        samples={key: tuple(own) for key, own in samples.items()},
        passed={key: tuple(own) for key, own in passed.items()},
        fractions={},
        faults=0,
    )
    at = scorer(pool, pool.size, [1.0] * len(problems))
    found = own_threshold(Stoppable(pool=pool, materials={}, prefixes=prefixes), at)
    return plain(found)  # type: ignore[no-any-return]


def stopping_line(stopping: Mapping[str, Any]) -> str:
    """Say which threshold the head is stored with."""
    below = stopping["proposed"]
    if below is None:
        return "early stopping: no threshold keeps the upper bound of the loss within 2 points"
    row = next(row for row in stopping["thresholds"] if row["below"] == below)
    return (
        f"early stopping below {below}, stored in the head: {percent(row['tokens_saved'])} of the "
        f"tokens of its own problems saved, {percent(row['stopped'])} of the samples stopped, "
        f"{percent(row['passing_stopped'])} of those that pass"
    )
