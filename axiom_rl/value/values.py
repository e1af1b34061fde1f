"""Values of samples by a head: what selectors get, and the prefixes that early stopping reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.rollouts.records import Rollout
from axiom_rl.value.features import Key, inputs_of, pool_features
from axiom_rl.value.head import END, EVERYTHING, PREFIX, ValueHead, short_names
from axiom_rl.value.recipe import FrozenPolicy, question_hash

Trace = tuple[tuple[int, float], ...]
"""Tokens read and the probability to pass, at each prefix of a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Of the samples of a pool."""

    at_end: Mapping[Key, float]
    """Probability to pass of whole completions, by problem id and sample."""
    prefixes: Mapping[Key, Trace]
    computed: int
    """Samples whose features were not stored."""
    seconds: float
    """Of reading them all, those found stored included."""
    forward: int
    """Tokens read for all of them."""


def check_head(
    head: ValueHead, problems: Sequence[Problem], frozen: FrozenPolicy, *, cross_fit: bool
) -> None:
    """Refuse a head that says nothing of these samples, before anything is read.

    Raises:
        AxiomError: for a head of another base model or adapter, or one that was fitted on some of
            the problems or on their questions.
    """
    if head.base["sha256"] != frozen.base["sha256"]:
        raise AxiomError(
            f"search.head: it was trained on samples of {head.base['name']} "
            f"({head.base['format']}), and these are of {frozen.base['name']} "
            f"({frozen.base['format']}): train a head on pools of that model by trainer=value"
        )
    if head.adapter_sha256 != frozen.adapter_sha256:
        own = "another adapter" if head.adapter_sha256 else "the model without an adapter"
        raise AxiomError(
            f"search.head: it was trained on samples of {own}: train a head on pools of this "
            "model.adapter by trainer=value"
        )
    ids, questions = set(head.seen.ids), set(head.seen.questions)
    seen = [p for p in problems if p.id in ids or question_hash(p) in questions]
    if cross_fit:
        ready = {fold for fold, _part in head.probes if fold != EVERYTHING}
        seen = [p for p in seen if p.type not in ready or p.id in ids]
    if seen:
        names = short_names([problem.id for problem in seen])
        cure = (
            "leave problems of the train split out, stage.split=test"
            if cross_fit
            else "train one on other pools or without these types (trainer.holdout_types), or, on "
            "new problems of the same types, type search.cross_fit=true"
        )
        raise AxiomError(
            f"search.head: it was trained on these problems or their questions, so its values "
            f"would say nothing of new ones ({len(seen)} of {len(problems)}: {names}); {cure}"
        )


def head_values(
    head: ValueHead,
    folder: Path,
    items: Sequence[tuple[Problem, Rollout]],
    frozen: FrozenPolicy,
    *,
    cross_fit: bool,
) -> Values:
    """Return the values of samples; features are stored in `folder`/search.

    Args:
        head: checked by `check_head`.
        folder: of the run that drew the samples.
        items: samples with their problems.
        frozen: the policy that drew them.
        cross_fit: judge each problem by the head that was fitted without its type.
    """
    features = pool_features(folder, items, frozen, head.recipe)
    at_end: dict[Key, float] = {}
    prefixes: dict[Key, Trace] = {}
    for problem, item in items:
        key = (item.completion.problem_id, item.completion.sample)
        own = features.of[key]
        inputs = inputs_of(own, item.completion, head.inputs)
        fold = problem.type if cross_fit else EVERYTHING
        at_end[key] = float(head.probe(END, fold).probabilities(inputs[-1:])[0])
        early = head.probe(PREFIX, fold).probabilities(inputs[:-1])
        prefixes[key] = tuple(zip(own.places[:-1], map(float, early), strict=True))
    return Values(
        at_end=at_end,
        prefixes=prefixes,
        computed=features.computed,
        seconds=features.seconds,
        forward=features.forward,
    )
