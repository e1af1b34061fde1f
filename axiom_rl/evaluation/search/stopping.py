"""Early stopping in replay: samples whose value fell below a threshold count as not finished.

The prefixes were judged after the fact, every so many tokens; a sample is stopped at the first one
whose probability to pass is below the threshold, and the tokens after it are saved. A stopped
sample holds no program: nothing can choose it. Where all samples of a problem are stopped, the
problem counts as failed, so the loss is that of stopping without mercy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from axiom_rl.evaluation.search.scores import Pool, Scorer
from axiom_rl.search.material import Material
from axiom_rl.search.registry import Selector

if TYPE_CHECKING:
    from axiom_rl.value.values import Trace

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
MOST_LOST = 0.02
"""Upper bound of the paired loss up to which a threshold is proposed."""

Stops = Mapping[str, Sequence[int | None]]
"""By problem id, for each sample the tokens after which it was stopped; None where it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stoppable:
    """A pool with what early stopping needs."""

    pool: Pool
    materials: Mapping[str, Material]
    prefixes: Mapping[tuple[str, int], Trace]
    """By problem id and sample."""


def stops_below(
    prefixes: Sequence[Trace], lengths: Sequence[int], below: float
) -> list[int | None]:
    """Return after how many tokens each sample is stopped.

    Args:
        prefixes: of each sample, tokens read and probability at each prefix.
        lengths: of each sample, its tokens; a prefix as long as that saves nothing.
        below: the threshold.
    """
    return [
        next((tokens for tokens, value in trace if value < below and tokens < length), None)
        for trace, length in zip(prefixes, lengths, strict=True)
    ]


def stopped_material(material: Material, stops: Sequence[int | None]) -> Material:
    """Return the material as it would be had samples been stopped: they hold no program."""
    ended = [stop is not None for stop in stops]
    values = material.values
    return replace(
        material,
        samples=tuple(
            sample if stop is None else replace(sample, code=None, tokens=stop)
            for sample, stop in zip(material.samples, stops, strict=True)
        ),
        public_passed=tuple(
            0 if end else passed for passed, end in zip(material.public_passed, ended, strict=True)
        ),
        answers=tuple(
            None if end else row for row, end in zip(material.answers, ended, strict=True)
        ),
        values=values and tuple(0.0 if end else v for v, end in zip(values, ended, strict=True)),
    )


def early_stopping(
    of: Stoppable, selector: Selector, at: Scorer, asked: float | None, of_head: float | None = None
) -> dict[str, Any]:
    """Return, for each threshold, the share of tokens saved and the paired loss.

    Args:
        of: the pool, its material, and the values of prefixes.
        selector: chooses with and without stopping.
        at: scores at the full budget.
        asked: a threshold that was chosen on another pool.
        of_head: the one that the head was stored with, see `own_threshold`.
    """
    full = [_passes(of, selector, key, None) for key in of.materials]
    rows = []
    for below in sorted({*THRESHOLDS, *(each for each in (asked, of_head) if each is not None)}):
        stops = _stops(of, below)
        kept = [_passes(of, selector, key, stops[key]) for key in of.materials]
        changed = sum(a != b for a, b in zip(full, kept, strict=True))
        loss = asdict(at.difference(full, kept))
        rows.append(_stopped(of, at, below) | {"loss": loss, "changed": changed})
    return {
        "selector": selector.name,
        "asked": asked,
        "of_head": of_head,
        "proposed": _most_saving(rows, "loss"),
        "thresholds": rows,
    }


def own_threshold(of: Stoppable, at: Scorer) -> dict[str, Any]:
    """Return the threshold that a head is stored with, and what it is chosen by.

    It is chosen on problems of the head's own pools, each judged by a head fitted without it, by
    the loss of the oracle: that of any selector that would have found the program.

    Args:
        of: the pools as one; its material is not looked at.
        at: scores on it.
    """
    rows = [_stopped(of, at, below) for below in THRESHOLDS]
    return {"proposed": _most_saving(rows, "oracle_loss"), "thresholds": rows}


def _most_saving(rows: Sequence[Mapping[str, Any]], loss: str) -> float | None:
    """Return the threshold that saves most within the loss allowed; of equals the most careful."""
    fine = [row for row in rows if row[loss]["high"] <= MOST_LOST]
    return max(fine, key=lambda row: row["tokens_saved"])["below"] if fine else None


def _stopped(of: Stoppable, at: Scorer, below: float) -> dict[str, Any]:
    """Return what a threshold saves and stops, and what the oracle loses."""
    stops, passed = _stops(of, below), of.pool.passed
    ends = [(ok, end) for key in stops for ok, end in zip(passed[key], stops[key], strict=True)]
    oracle = [float(any(passed[key])) for key in stops]
    best = [
        float(any(ok and end is None for ok, end in zip(passed[key], stops[key], strict=True)))
        for key in stops
    ]
    return {
        "below": below,
        "tokens_saved": _saved(of, stops),
        "stopped": _share([end is not None for _ok, end in ends]),
        "passing_stopped": _share([end is not None for ok, end in ends if ok]),
        "oracle_loss": asdict(at.difference(oracle, best)),
    }


def _stops(of: Stoppable, below: float) -> dict[str, list[int | None]]:
    return {
        key: stops_below(
            [of.prefixes[key, sample.sample] for sample in samples],
            [sample.tokens for sample in samples],
            below,
        )
        for key, samples in of.pool.samples.items()
    }


def _passes(
    of: Stoppable, selector: Selector, key: str, stops: Sequence[int | None] | None
) -> float:
    material = of.materials[key]
    if stops is not None:
        material = stopped_material(material, stops)
    place = selector.choose(material, range(len(material.samples))).place
    return float(of.pool.passed[key][place] and (stops is None or stops[place] is None))


def _saved(of: Stoppable, stops: Stops) -> float:
    """Return the share of all tokens drawn that come after a stop."""
    pairs = [
        (sample.tokens, end)
        for key, samples in of.pool.samples.items()
        for sample, end in zip(samples, stops[key], strict=True)
    ]
    total = sum(tokens for tokens, _end in pairs)
    return sum(tokens - end for tokens, end in pairs if end is not None) / max(1, total)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
