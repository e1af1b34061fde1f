"""What a head is worth: value/report.json, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axiom_rl.core.text import with_ends
from axiom_rl.evaluation.ranking import (
    auc_across,
    auc_within,
    auc_within_difference,
    aucs_of_problems,
    brier_skill,
    calibration_error,
    chosen_rate,
    reliability,
)
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.trainers.value.cross import FittedHead
from axiom_rl.trainers.value.rows import Dataset
from axiom_rl.value.head import END, EVERYTHING, PREFIX, Floats, Probe
from axiom_rl.value.recipe import question_hash

SHARES = (0.25, 0.5, 0.75)
NEW_PROBLEMS, NEW_QUESTIONS, NEW_TYPES = "new problems", "new questions", "new types"


def measure_head(data: Dataset, fitted: FittedHead, pools: Sequence[str]) -> list[dict[str, Any]]:
    """Return one entry for each pool and each way in which its problems are new to the head.

    - new problems: of the fitted pools, by heads fitted without the problem (cross-validation);
    - new types: of any pool, by the heads fitted without the problem's type;
    - new questions: of the other splits, by the head itself, where it has not seen the question.
    """
    own = dict(zip(fitted.chosen, fitted.new_problems, strict=True))
    questions = {question_hash(data.samples[n].problem) for n in fitted.chosen}
    ids = {data.samples[n].problem.id for n in fitted.chosen}
    left_out = {fold for fold, part in fitted.probes if part == END and fold != EVERYTHING}
    entries = []
    for pool in pools:
        mine = [n for n, sample in enumerate(data.samples) if sample.pool == pool]
        seen = [n for n in mine if n in own]
        if seen:
            scores = np.array([own[n] for n in seen])
            entries.append(_entry(data, seen, scores, None, pool, NEW_PROBLEMS))
        fresh = [
            n
            for n in mine
            if data.samples[n].problem.id not in ids
            and question_hash(data.samples[n].problem) not in questions
        ]
        if fresh:
            entries.append(_by_probes(data, fresh, fitted.probes, pool, NEW_QUESTIONS))
        apart = [n for n in mine if data.samples[n].problem.type in left_out]
        if apart:
            entries.append(_by_probes(data, apart, fitted.probes, pool, NEW_TYPES))
    return entries


def _by_probes(
    data: Dataset,
    chosen: Sequence[int],
    probes: Mapping[tuple[str, str], Probe],
    pool: str,
    how: str,
) -> dict[str, Any]:
    """Measure on samples by the head, or, on new types, each by the head without its type."""
    folds = [data.samples[n].problem.type if how == NEW_TYPES else EVERYTHING for n in chosen]
    last = np.stack([data.inputs[n][-1] for n in chosen])
    scores = _predicted(probes, END, folds, last)
    early = {
        str(share): _predicted(probes, PREFIX, folds, data.at(chosen, share)) for share in SHARES
    }
    return _entry(data, chosen, scores, early, pool, how)


def _predicted(
    probes: Mapping[tuple[str, str], Probe],
    part: str,
    folds: Sequence[str],
    inputs: NDArray[np.float32],
) -> Floats:
    result: Floats = np.zeros(len(inputs))
    of = np.array(folds)
    for fold in sorted(set(folds)):
        probe = probes.get((fold, part), probes[EVERYTHING, part])
        result[of == fold] = probe.probabilities(inputs[of == fold])
    return result


def _entry(
    data: Dataset,
    chosen: Sequence[int],
    scores: Floats,
    early: Mapping[str, Floats] | None,
    pool: str,
    how: str,
) -> dict[str, Any]:
    judged = data.judged(chosen)
    baselines = data.baselines(chosen)
    of_problems = aucs_of_problems(judged, scores)
    named: dict[str, Floats] = {"value": scores, **baselines}
    return {
        "pool": pool,
        "split": data.samples[chosen[0]].problem.split,
        "how": how,
        "samples": len(chosen),
        "problems": len(set(judged.problems)),
        "with_both": len(of_problems),
        "units": len(set(judged.units)),
        "pass_rate": float(judged.passed.mean()),
        "auc_within": {name: _plain(auc_within(judged, each)) for name, each in named.items()},
        "minus": {
            name: _plain(auc_within_difference(judged, scores, each))
            for name, each in baselines.items()
        },
        "auc_across": {name: _plain(auc_across(judged, each)) for name, each in named.items()},
        "chosen": {name: _plain(chosen_rate(judged, each)) for name, each in named.items()},
        "brier_skill": _plain(brier_skill(judged, scores)),
        "calibration_error": _plain(calibration_error(judged, scores)),
        "reliability": [asdict(part) for part in reliability(judged, scores)],
        "by_type": _by_type(data, chosen, of_problems),
        "prefixes": {
            share: _plain(auc_within(judged, each)) for share, each in (early or {}).items()
        },
    }


def _by_type(
    data: Dataset, chosen: Sequence[int], aucs: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    type_of = {data.samples[n].problem.id: data.samples[n].problem.type for n in chosen}
    found: dict[str, list[float]] = {}
    for problem, value in aucs.items():
        found.setdefault(type_of[problem], []).append(value)
    return {
        name: {"problems": len(values), "auc_within": float(np.mean(values))}
        for name, values in sorted(found.items())
    }


def _plain(interval: Interval) -> dict[str, float | None]:
    return {
        key: None if math.isnan(value) else round(value, 6)
        for key, value in asdict(interval).items()
    }


def _auc(interval: Mapping[str, float | None]) -> str:
    return with_ends(interval, "{:.3f}".format)


def head_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a report in words, a line for each entry."""
    return [
        f"{entry['pool']} ({entry['split']}, {entry['how']}): AUC within problems "
        f"{_auc(entry['auc_within']['value'])} over {entry['with_both']} problems with both "
        f"outcomes; {_baselines(entry)}; across problems "
        f"{_auc(entry['auc_across']['value'])}; Brier skill "
        f"{with_ends(entry['brier_skill'])}, calibration error "
        f"{with_ends(entry['calibration_error'])}"
        for entry in report["measured"]
    ]


def _baselines(entry: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {_auc(entry['auc_within'][name])}"
        for name in ("logprob", "length")
        if name in entry["auc_within"]
    )
