"""Samples as rows of numbers: whole completions, and their beginnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axiom_rl.evaluation.ranking import JudgedSamples
from axiom_rl.evaluation.search.scores import unit_of
from axiom_rl.problems.registry import problem_types
from axiom_rl.trainers.value.pools import JudgedSample, ValuePool
from axiom_rl.value.features import inputs_of, pool_features
from axiom_rl.value.fit import Rows
from axiom_rl.value.head import END, Floats
from axiom_rl.value.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """All samples of all pools with their features."""

    samples: tuple[JudgedSample, ...]
    inputs: tuple[NDArray[np.float32], ...]
    """Of each sample (places, width); the last place is the whole completion."""
    places: tuple[tuple[int, ...], ...]
    """Of each sample, the tokens read at each place."""
    seconds: float
    """Of computing the features, those found stored included."""
    forward: int
    computed: int

    def rows(self, chosen: Sequence[int], part: str) -> tuple[Rows, NDArray[np.int64]]:
        """Return rows of some samples, whole or by their prefixes, and the sample of each row.

        Completions shorter than the first prefix have none; if all are, the ends stand for them.
        """
        whole = part == END or not any(len(self.inputs[n]) > 1 for n in chosen)
        inputs, passed, weights, groups, owners = [], [], [], [], []
        number: dict[tuple[str, int], int] = {}
        for n in chosen:
            own = self.inputs[n][-1:] if whole else self.inputs[n][:-1]
            for place in range(len(own)):
                key = (self.samples[n].problem.id, place)
                inputs.append(own[place])
                passed.append(self.samples[n].passed)
                weights.append(1 / len(own))  # a sample counts once, however long it is
                groups.append(number.setdefault(key, len(number)))
                owners.append(n)
        rows = Rows(
            inputs=np.stack(inputs),
            passed=np.array(passed, dtype=bool),
            weights=np.array(weights),
            groups=np.array(groups, dtype=np.int64),
        )
        return rows, np.array(owners, dtype=np.int64)

    def at(self, chosen: Sequence[int], share: float) -> NDArray[np.float32]:
        """Return of each sample the inputs at the last place within a share of its tokens.

        Where even the first place lies beyond it, that one is taken.
        """
        rows = []
        for n in chosen:
            places = self.places[n]
            within = sum(place <= share * places[-1] for place in places)
            rows.append(self.inputs[n][max(0, within - 1)])
        return np.stack(rows)

    def judged(self, chosen: Sequence[int]) -> JudgedSamples:
        """Return verdicts, problems, units and families of some samples."""
        family = {name: of for of, names in problem_types().items() for name in names}
        own = [self.samples[n] for n in chosen]
        return JudgedSamples(
            passed=np.array([sample.passed for sample in own], dtype=bool),
            problems=tuple(sample.problem.id for sample in own),
            units=tuple(unit_of(sample.problem) for sample in own),
            families=tuple(family.get(s.problem.type, s.problem.type) for s in own),
        )

    def baselines(self, chosen: Sequence[int]) -> Mapping[str, Floats]:
        """Return what needs no head: mean log-probability, where there is one, and length."""
        own = [self.samples[n].rollout.completion for n in chosen]
        scores = {"length": np.array([float(c.completion_tokens) for c in own])}
        if all(completion.logprobs for completion in own):
            scores["logprob"] = np.array([float(np.mean(c.logprobs)) for c in own])
        return scores


def read_dataset(pools: Sequence[ValuePool], recipe: Recipe, inputs: Sequence[str]) -> Dataset:
    """Return all samples with their features, computing those that are not stored.

    A problem that two pools have is one problem; its samples of both stay apart.
    """
    samples: list[JudgedSample] = []
    rows: list[NDArray[np.float32]] = []
    places: list[tuple[int, ...]] = []
    seconds, forward, computed = 0.0, 0, 0
    for pool in pools:
        pairs = [(sample.problem, sample.rollout) for sample in pool.samples]
        found = pool_features(Path(pool.name), pairs, pool.frozen, recipe)
        seconds, forward = seconds + found.seconds, forward + found.forward
        computed += found.computed
        for sample in pool.samples:
            completion = sample.rollout.completion
            own = found.of[completion.problem_id, completion.sample]
            samples.append(sample)
            rows.append(inputs_of(own, completion, inputs))
            places.append(own.places)
    return Dataset(
        samples=tuple(samples),
        inputs=tuple(rows),
        places=tuple(places),
        seconds=seconds,
        forward=forward,
        computed=computed,
    )
