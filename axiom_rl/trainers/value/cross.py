"""Fitting a head, and its cross-validation: problems left out, types left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from axiom_rl.core.progress import progress
from axiom_rl.trainers.value.rows import Dataset
from axiom_rl.value.fit import FitOptions, Rows, calibrated, fit
from axiom_rl.value.head import END, EVERYTHING, PREFIX, Floats, Probe, sigmoid
from axiom_rl.value.values import Trace

PARTS = (END, PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """What came of fitting on some samples."""

    chosen: tuple[int, ...]
    """The samples, as positions in the data set."""
    probes: dict[tuple[str, str], Probe]
    """By fold and part, as in a head."""
    new_problems: Floats
    """Of each chosen sample, its probability by a head fitted and calibrated on other problems."""
    new_prefixes: tuple[Trace, ...]
    """Of each chosen sample, the same at its prefixes."""


def fit_head(data: Dataset, chosen: Sequence[int], options: FitOptions, folds: int) -> FittedHead:
    """Fit the head on all chosen samples, and, for each type, on those of all other types.

    The calibration of every head comes from predictions on problems that the predicting heads had
    not seen; that of a left-out type's head from those on the other types.

    Args:
        data: all samples.
        chosen: those to fit on.
        options: how.
        folds: parts into which the problems are cut.
    """
    types = sorted({data.samples[n].problem.type for n in chosen})
    left_out = types if len(types) > 1 else []
    probes: dict[tuple[str, str], Probe] = {}
    ends: Floats = np.zeros(0)
    prefixes: tuple[Trace, ...] = ()
    with progress("fitting", len(PARTS) * (folds + 1 + len(left_out)), "head") as shown:

        def one_more() -> None:
            shown.update(1, "")

        for part in PARTS:
            rows, owners = data.rows(chosen, part)
            own_types = np.array([data.samples[n].problem.type for n in owners])
            parts = _parts([data.samples[n].problem.id for n in owners], folds, options.seed)
            raw = _left_out_logits(rows, parts, options, one_more)
            probes[EVERYTHING, part] = calibrated(
                fit(rows, options), raw, rows.passed, rows.weights
            )
            one_more()
            new = _cross_calibrated(probes[EVERYTHING, part], rows, raw, parts)
            if part == END:
                ends = new
            else:
                prefixes = _traces(data, chosen, owners, new)
            for name in left_out:
                others = own_types != name
                if _has_both(rows.passed[others]):
                    known = rows.where(others)
                    probes[name, part] = calibrated(
                        fit(known, options), raw[others], known.passed, known.weights
                    )
                one_more()
    return FittedHead(chosen=tuple(chosen), probes=probes, new_problems=ends, new_prefixes=prefixes)


def _traces(
    data: Dataset, chosen: Sequence[int], owners: NDArray[np.int64], values: Floats
) -> tuple[Trace, ...]:
    """Return, of each chosen sample, tokens read and probability at its prefixes.

    Args:
        data: all samples.
        chosen: those of the rows.
        owners: the sample of each row; its rows stand in the order of its places.
        values: of each row.
    """
    of: dict[int, list[float]] = {n: [] for n in chosen}
    for owner, value in zip(owners, values, strict=True):
        of[int(owner)].append(float(value))
    # Where no completion reaches a first prefix the ends stood for them, and there is none to stop.
    return tuple(tuple(zip(data.places[n][:-1], of[n], strict=False)) for n in chosen)


def _parts(problems: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the part that each row is in; all rows of a problem are in one."""
    names = sorted(set(problems))
    Random(f"{seed}/folds").shuffle(names)
    part_of = {name: place % folds for place, name in enumerate(names)}
    return np.array([part_of[problem] for problem in problems], dtype=np.int64)


def _left_out_logits(
    rows: Rows, parts: NDArray[np.int64], options: FitOptions, one_more: Callable[[], None]
) -> Floats:
    """Return each row's logit by a head fitted on the other parts; 0 where that is impossible."""
    raw: Floats = np.zeros(len(rows.passed))
    for part in range(int(parts.max()) + 1):
        mine = parts == part
        if _has_both(rows.passed[~mine]):
            raw[mine] = fit(rows.where(~mine), options).raw(rows.inputs[mine])
        one_more()
    return raw


def _cross_calibrated(probe: Probe, rows: Rows, raw: Floats, parts: NDArray[np.int64]) -> Floats:
    """Return probabilities whose calibration was fitted on the other parts too."""
    probabilities: Floats = np.zeros(len(raw))
    for part in range(int(parts.max()) + 1):
        mine = parts == part
        if not _has_both(rows.passed[~mine]):
            probabilities[mine] = rows.passed.mean()
            continue
        scaled = calibrated(probe, raw[~mine], rows.passed[~mine], rows.weights[~mine])
        probabilities[mine] = sigmoid(scaled.slope * raw[mine] + scaled.offset)
    return probabilities


def _has_both(passed: NDArray[np.bool_]) -> bool:
    return bool(passed.any() and not passed.all())
