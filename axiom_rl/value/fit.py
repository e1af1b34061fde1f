"""Fitting a head: regularised logistic regression, or two layers, on all rows at once.

The loss is the cross-entropy of the verdicts plus, where asked, a logistic loss on pairs of a
passing and a failing row of the same group (Burges et al. 2005), which teaches the order *within* a
problem; difficulty, which all samples of a problem share, takes no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from axiom_rl.value.head import Floats, Probe

LEAST_SCALE = 1e-4
MOST_PAIRS = 20_000
"""Pairs that one fit looks at; of more, as many are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How a head is fitted."""

    hidden: int
    """Units between two layers; 0 for one layer."""
    l2: float
    """Weight of half the sum of squared weights, on standardised inputs."""
    pairs: float
    """Weight of the loss on pairs."""
    epochs: int
    """Steps of L-BFGS at most, each over all rows."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a head is fitted on or asked about."""

    inputs: NDArray[np.float32]
    """(rows, width)."""
    passed: NDArray[np.bool_]
    weights: Floats
    """Of each row in the cross-entropy."""
    groups: NDArray[np.int64]
    """Rows of one group are compared with each other: a problem's, at one place."""

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(
            inputs=self.inputs[kept],
            passed=self.passed[kept],
            weights=self.weights[kept],
            groups=self.groups[kept],
        )


def fit(rows: Rows, options: FitOptions) -> Probe:
    """Fit a head; the same rows and seed give the same head."""
    mean = rows.inputs.mean(axis=0, dtype=np.float64)
    scale = np.maximum(rows.inputs.std(axis=0, dtype=np.float64), LEAST_SCALE)
    inputs = torch.from_numpy((rows.inputs - mean) / scale)
    passed = torch.from_numpy(rows.passed.astype(np.float64))
    share = torch.from_numpy(rows.weights / rows.weights.sum())
    good, bad = (torch.from_numpy(side) for side in pairs_of(rows, options.seed))
    layers = _layers(inputs.shape[1], options)
    parameters = [tensor for layer in layers for tensor in layer]
    steps = torch.optim.LBFGS(
        parameters, max_iter=options.epochs, line_search_fn="strong_wolfe", tolerance_grad=1e-7
    )

    def loss() -> torch.Tensor:
        logits = _forward(inputs, layers)
        total = (binary_cross_entropy_with_logits(logits, passed, reduction="none") * share).sum()
        if options.pairs and len(good):
            total = total + options.pairs * softplus(logits[bad] - logits[good]).mean()
        squares = torch.stack([weights.square().sum() for weights, _biases in layers]).sum()
        return total + 0.5 * options.l2 * squares

    def closure() -> torch.Tensor:
        steps.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    steps.step(closure)  # type: ignore[no-untyped-call]
    return Probe(
        mean=mean,
        scale=scale,
        layers=tuple((w.detach().numpy().copy(), b.detach().numpy().copy()) for w, b in layers),
    )


def calibrated(probe: Probe, raw: Floats, passed: NDArray[np.bool_], weights: Floats) -> Probe:
    """Return the head with Platt's scaling (1999) fitted on logits of rows it had not seen.

    Args:
        probe: the head.
        raw: logits of heads fitted without these rows' problems.
        passed: of the rows.
        weights: of the rows.
    """
    logits, share = torch.from_numpy(raw), torch.from_numpy(weights / weights.sum())
    # Platt's targets: a pass counts as (n+ + 1) / (n+ + 2), so that no logit goes to infinity.
    good, bad = int(passed.sum()), int((~passed).sum())
    targets = torch.from_numpy(np.where(passed, (good + 1) / (good + 2), 1 / (bad + 2)))
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    steps = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        steps.zero_grad()
        scaled = line[0] * logits + line[1]
        losses = binary_cross_entropy_with_logits(scaled, targets, reduction="none")
        value = (losses * share).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    steps.step(closure)  # type: ignore[no-untyped-call]
    slope, offset = line.detach().tolist()
    # A slope below 0 would turn the order round: then only the base rate is known.
    return replace(probe, slope=max(slope, 1e-3), offset=offset)


def pairs_of(rows: Rows, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positions of passing and failing rows of the same group, pair by pair."""
    good: list[NDArray[np.int64]] = []
    bad: list[NDArray[np.int64]] = []
    order = np.argsort(rows.groups, kind="stable")
    starts = np.flatnonzero(np.diff(rows.groups[order], prepend=rows.groups[order][:1] - 1))
    for members in np.split(order, starts[1:]):
        wins, losses = members[rows.passed[members]], members[~rows.passed[members]]
        good.append(np.repeat(wins, len(losses)))
        bad.append(np.tile(losses, len(wins)))
    first, second = _joined(good), _joined(bad)
    if len(first) > MOST_PAIRS:
        kept = np.random.default_rng(seed).choice(len(first), MOST_PAIRS, replace=False)
        first, second = first[kept], second[kept]
    return first, second


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _layers(width: int, options: FitOptions) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One layer begins at 0, where its loss has one minimum; two begin at random."""
    random = torch.Generator().manual_seed(options.seed)
    sizes = [width, options.hidden, 1] if options.hidden else [width, 1]
    layers = []
    for size, out in pairwise(sizes):
        weights = torch.randn(out, size, generator=random, dtype=torch.float64) * size**-0.5
        weights = weights if options.hidden else torch.zeros_like(weights)
        biases = torch.zeros(out, dtype=torch.float64)
        layers.append((weights.requires_grad_(), biases.requires_grad_()))
    return layers


def _forward(
    inputs: torch.Tensor, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    values = inputs
    for number, (weights, biases) in enumerate(layers):
        values = (values.tanh() if number else values) @ weights.T + biases
    return values[:, 0]
