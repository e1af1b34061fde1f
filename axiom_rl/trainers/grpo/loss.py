"""The arithmetic of GRPO: advantages of a group, the ratio's loss, and what weights a token.

Rows are completions, B of them, padded on the right to T tokens. Sources: GRPO, Shao et al. 2024
(arXiv:2402.03300); clipping, Schulman et al. 2017 (arXiv:1707.06347); dr_grpo, Liu et al. 2025
(arXiv:2503.20783); dapo, Yu et al. 2025 (arXiv:2503.14476); cispo, MiniMax 2025
(arXiv:2506.13585); importance_sampling_level=sequence, Zheng et al. 2025 (arXiv:2507.18071); delta,
INTELLECT-2 (arXiv:2505.07291); the best of k as the goal, Walder & Karkhanis 2025
(arXiv:2505.15201) and Bagirov et al. 2025 (arXiv:2510.23393). Names are those of trl.GRPOConfig,
and so are the numbers: values and gradients are compared with trl.GRPOTrainer's in
tests/trainers/test_grpo_trainer.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from trl.trainer.grpo_config import GRPOConfig

TINY = 1e-4
"""Added to a deviation that is divided by, as in TRL."""
SAME = 1e-9
"""Rewards closer than this are the same."""


def group_advantages(
    rewards: torch.Tensor, group_size: int, scale: str, k: int | None = None
) -> torch.Tensor:
    """Return how much better than its group each row did, (B,); 0 for a row without a reward.

    Args:
        rewards: (B,), NaN where there is none; groups lie one after the other.
        group_size: rows of a group.
        scale: divide by the deviation of the group, of the whole batch, or by none (dr_grpo: the
            division blows up groups in which almost all rows earn the same).
        k: None for the mean reward (trainer.objective=mean); else the best of k is what rises, and
            the deviation is that of the rows' shares in it.
    """
    groups = rewards.view(-1, group_size)
    if k is None:
        advantages = groups - groups.nanmean(1, keepdim=True)
    else:
        groups = torch.tensor([_of_known(row, k) for row in groups.tolist()]).to(groups)
        advantages = groups
    if scale == "group":
        advantages = advantages / (_deviation(groups) + TINY)
    elif scale == "batch":
        advantages = advantages / (_deviation(groups.view(1, -1)) + TINY)
    return advantages.nan_to_num(0.0).flatten()


def max_at_k_advantages(rewards: Sequence[float], k: int) -> list[float]:
    """Return each row's weight in an unbiased estimate of the gradient of max@k.

    max@k is the mean of the largest reward of k samples; pass@k where rewards are 0 and 1. Over all
    subsets of the n rows, row i has the weight

        A_i = k (mean of max S over the k-subsets S with i - the same over those without i),

    so that sum_i A_i grad log p(x_i) / n estimates the gradient: the k-subsets with i are what x_i
    has a part in, and the others a baseline that x_i has none in (Walder & Karkhanis 2025, eq. for
    maxg@k with the leave-one-out baseline; Bagirov et al. 2025). The weights of a group add up to
    0, and k = 1 would be n / (n - 1) times reward minus mean. For k = n no k-subset is without i:
    the baseline is the maximum of the others (their `sloo_minus_one`), so only a best row that no
    other row reaches has a weight. Of c passes among n rewards of 0 and 1, pass@k learns something
    only while c <= n - k, or c = 1 for k = n.

    Args:
        rewards: of one group, at least one.
        k: 2 or more; where a group has fewer rows (faults of the sandbox), their number.
    """
    n, least = len(rewards), min(rewards)
    k = min(k, n)
    ascending = sorted(range(n), key=rewards.__getitem__)
    weights = [0.0] * n
    for row in ascending if n > 1 else ():
        own = rewards[row] - least  # differences alone matter; equal rewards give exact zeros
        others = [rewards[other] - least for other in ascending if other != row]
        with_row = _mean_of_largest([max(own, other) for other in others], k - 1)
        without = _mean_of_largest(others, min(k, n - 1))
        weight = k * (with_row - without)
        weights[row] = weight if abs(weight) > SAME else 0.0
    return weights


def _mean_of_largest(ascending: Sequence[float], size: int) -> float:
    """Return the mean of the largest value over all subsets of a size."""
    # The value at place p is the largest of those subsets whose other members lie before it.
    total = sum(math.comb(place, size - 1) * value for place, value in enumerate(ascending))
    return total / math.comb(len(ascending), size)


def _of_known(rewards: Sequence[float], k: int) -> list[float]:
    """Return max@k weights of the rows that have a reward; NaN for the others."""
    known = [place for place, reward in enumerate(rewards) if not math.isnan(reward)]
    weights = [math.nan] * len(rewards)
    found = max_at_k_advantages([rewards[place] for place in known], k) if known else []
    for place, weight in zip(known, found, strict=True):
        weights[place] = weight
    return weights


def _deviation(rows: torch.Tensor) -> torch.Tensor:
    """Return the sample deviation (n - 1) of each row without its NaN, (rows, 1)."""
    count = (~rows.isnan()).sum(1, keepdim=True)
    squares = (rows - rows.nanmean(1, keepdim=True)).square().nansum(1, keepdim=True)
    return (squares / (count - 1)).sqrt()  # one row alone: 0 / 0, which nan_to_num makes 0


def importance_ratio(
    trained: torch.Tensor, sampled: torch.Tensor, cap: float
) -> tuple[torch.Tensor, int]:
    """Return min(p / q, cap) of each token, and how many were cut.

    The sampler drew a token with probability q; the trainer, before it learns from it, gives it p.
    Weighting by p / q makes the gradient that of the trainer's own samples; the cut bounds its
    variance (truncated importance sampling: Ionides 2008, and Yao et al. 2025 for engines that
    compute otherwise than the trainer).

    Args:
        trained: log p, any shape; no gradient flows through the ratio.
        sampled: log q; NaN where the engine gave none, which means a ratio of 1.
        cap: 1 or more.
    """
    ratio = (trained.detach() - sampled).nan_to_num(nan=0.0).exp()
    return ratio.clamp(max=cap), int((ratio > cap).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The loss of one micro-batch, and what it is watched by (means over tokens)."""

    value: torch.Tensor
    kl: float | None
    clip_share: float | None


def grpo_loss(
    logps: torch.Tensor,
    mask: torch.Tensor,
    advantages: torch.Tensor,
    args: GRPOConfig,
    *,
    old: torch.Tensor | None = None,
    reference: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    tokens: float = 0.0,
) -> Loss:
    """Return the loss of a micro-batch; transformers divides it by those of one optimizer step.

    Args:
        logps: (B, T) log-probabilities of the drawn tokens, differentiable.
        mask: (B, T) 1.0 where there is a token.
        advantages: (B,).
        args: loss_type, epsilon, epsilon_high, delta, importance_sampling_level, beta,
            use_bias_correction_kl, max_completion_length.
        old: (B, T) log-probabilities of the policy that drew; None where no step lies between.
        reference: (B, T) of the model that `beta` keeps near.
        weights: (B, T) importance ratios of sampler and trainer; None for 1.
        tokens: dapo and cispo: tokens of a micro-batch, on average over those drawn together.
    """
    advantage = advantages[:, None]
    log_ratio = logps - (logps.detach() if old is None else old)  # value 0, slope 1 without old
    if args.importance_sampling_level == "sequence":  # one ratio for a row: its geometric mean
        log_ratio = ((log_ratio * mask).sum(1) / mask.sum(1).clamp(min=1))[:, None]
    ratio = log_ratio.exp()
    low, high = args.epsilon, args.epsilon if args.epsilon_high is None else args.epsilon_high
    if args.loss_type == "cispo":  # the ratio is a weight alone: tokens above the cap still learn
        each = -ratio.detach().clamp(max=high) * advantage * logps
    else:
        clipped = ratio.clamp(1 - low, 1 + high)
        if args.delta is not None:  # bounds a ratio that rose where the advantage is negative
            ratio = ratio.clamp(max=args.delta)
        each = -torch.min(ratio * advantage, clipped * advantage)  # the smaller gain
    if weights is not None:
        each = each * weights
    kl = None
    if reference is not None:
        apart = reference - logps
        kl = apart.exp() - apart - 1  # k3 of Schulman 2020: unbiased, and never below 0
        if args.use_bias_correction_kl:
            kl = kl * log_ratio.exp()
        each = each + args.beta * kl
    total = (each * mask).sum()
    match args.loss_type:
        case "grpo":  # each row counts alike, whatever its length
            value = ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
        case "bnpo":  # each token of the micro-batch
            value = total / mask.sum().clamp(min=1)
        case "dr_grpo":  # by a constant, so that neither short nor long rows are preferred
            assert args.max_completion_length is not None
            value = total / (len(mask) * args.max_completion_length)
        case "dapo" | "cispo":  # each token of all that was drawn together
            value = total / max(tokens, 1.0)
        case other:
            raise ValueError(f"loss_type={other}")
    outside = ((ratio < 1 - low) & (advantage < 0)) | ((ratio > 1 + high) & (advantage > 0))
    return Loss(
        value=value,
        kl=None if kl is None else _mean(kl.detach(), mask),
        clip_share=None if args.loss_type == "cispo" else _mean(outside.float(), mask),
    )


def _mean(values: torch.Tensor, mask: torch.Tensor) -> float:
    """Return the mean over tokens of (B, T), or over rows of (B, 1)."""
    if values.shape[1] == 1:
        return float(values.mean())
    return float((values * mask).sum() / mask.sum().clamp(min=1))
