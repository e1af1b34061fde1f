"""Values of samples by a head: what selectors get, and the prefixes that early stopping reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
ANEW = (
    "train one on other pools or without these types (trainer.holdout_types), or, on new problems "
    "of the same types, type search.cross_fit=true"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Of the samples of a pool."""

    at_end: Mapping[Key, float]
    """Probability to pass of whole completions, by problem id and sample."""
    each: tuple[float, ...]
    """The same in the order of the samples, of which two may have one number in different draws."""
    prefixes: Mapping[Key, Trace]
    computed: int
    """Samples whose features were not stored."""
    seconds: float
    """Of reading them all, those found stored included."""
    forward: int
    """Tokens read for all of them."""
    stop_below: float | None
    """Threshold of early stopping that the head is stored with, if any."""


def check_head(
    head: ValueHead, problems: Sequence[Problem], frozen: FrozenPolicy, *, cross_fit: bool
) -> None:
    """Refuse a head that says nothing of these samples, before anything is read.

    Raises:
        AxiomError: for a head of another base model or adapter, or one that was fitted on some of
            the problems or on their questions.
    """
    _check_policy(head, frozen)
    ids, questions = set(head.seen.ids), set(head.seen.questions)
    seen = [p for p in problems if p.id in ids or question_hash(p) in questions]
    if cross_fit:
        seen = [p for p in seen if not head.leaves_out(p.type) or p.id in ids]
    if seen:
        cure = "leave problems of the train split out, stage.split=test" if cross_fit else ANEW
        raise AxiomError(
            _trained_on(seen, problems, "its values would say nothing of new ones", cure)
        )


def check_blind(
    head: ValueHead, problems: Sequence[Problem], frozen: FrozenPolicy, *, cross_fit: bool
) -> None:
    """Refuse a head that saw verdicts of the problems that an expert decides over, or is scored on.

    It would carry hidden tests into gold that is found without them. With `cross_fit` the part that
    judges a problem was fitted and calibrated without its type, so it saw none of its verdicts.

    Raises:
        AxiomError: saying what to type instead.
    """
    _check_policy(head, frozen)
    ids, questions = set(head.seen.ids), set(head.seen.questions)
    seen = [p for p in problems if p.id in ids or question_hash(p) in questions]
    if cross_fit:
        seen = [p for p in seen if not head.leaves_out(p.type)]
    if seen:
        cure = (
            "no part of it was fitted without their types: train one on pools of other problems"
            if cross_fit
            else "train one on pools of other problems, or type search.cross_fit=true"
        )
        raise AxiomError(
            _trained_on(seen, problems, "its choices would come from their hidden tests", cure)
        )


def _trained_on(seen: Sequence[Problem], of: Sequence[Problem], why: str, cure: str) -> str:
    names = short_names([problem.id for problem in seen])
    return (
        f"search.head: it was trained on these problems or their questions, so {why} "
        f"({len(seen)} of {len(of)}: {names}); {cure}"
    )


def _check_policy(head: ValueHead, frozen: FrozenPolicy) -> None:
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


def head_values(
    head: ValueHead,
    folder: Path,
    items: Sequence[tuple[Problem, Rollout]],
    frozen: FrozenPolicy,
    *,
    cross_fit: bool,
    release: Callable[[], None] = lambda: None,
) -> Values:
    """Return the values of samples; features are stored in `folder`/search.

    Args:
        head: checked by `check_head`.
        folder: of the run that drew the samples.
        items: samples with their problems.
        frozen: the policy that reads them.
        cross_fit: judge each problem by the head that was fitted without its type.
        release: makes room for the policy, where it must be loaded.
    """
    features = pool_features(folder, items, frozen, head.recipe, release)
    each: list[float] = []
    at_end: dict[Key, float] = {}
    prefixes: dict[Key, Trace] = {}
    for (problem, item), own in zip(items, features.each, strict=True):
        key = (item.completion.problem_id, item.completion.sample)
        inputs = inputs_of(own, item.completion, head.inputs)
        fold = problem.type if cross_fit else EVERYTHING
        each.append(float(head.probe(END, fold).probabilities(inputs[-1:])[0]))
        at_end[key] = each[-1]
        early = head.probe(PREFIX, fold).probabilities(inputs[:-1])
        prefixes[key] = tuple(zip(own.places[:-1], map(float, early), strict=True))
    return Values(
        at_end=at_end,
        each=tuple(each),
        prefixes=prefixes,
        computed=features.computed,
        seconds=features.seconds,
        forward=features.forward,
        stop_below=head.stop_below,
    )
