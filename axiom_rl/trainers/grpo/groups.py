"""Groups of samples for one step of GRPO: chosen problems, drawn, judged, rewarded, written down.

A group without signal has no advantage but 0: its samples all earn the same, or, where the best of
k is to rise, nothing that any of them adds to it. Dynamic sampling (as
in DAPO, Yu et al. 2025) draws other groups in its place, at most `trainer.max_extra_groups` a step.
What was thrown away is written and counted like everything else.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from axiom_rl.config import GrpoConfig
from axiom_rl.core.files import append_jsonl
from axiom_rl.core.types import Problem, Status, Verdict
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.judge import JudgedBy, JudgedLater
from axiom_rl.rollouts.records import Rollout, rollout_row
from axiom_rl.rollouts.rewards import Shaping, WeightedRewards, shaped, shaping_of
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.trainers.grpo.loss import SAME, group_advantages
from axiom_rl.verify import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All samples of one problem in one step, by index."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
    rewards: tuple[float | None, ...]
    """None for a fault of the sandbox: the row has advantage 0 and counts nowhere."""
    parts: tuple[Mapping[str, float | None], ...] = ()
    """What each function of trainer.rewards said of each sample, before its weight."""
    k: int | None = None
    """Where the best of k is to rise; None for the mean reward."""

    @property
    def has_signal(self) -> bool:
        """Whether a sample has an advantage other than 0."""
        if not self.rewards:
            return False
        known = [math.nan if reward is None else reward for reward in self.rewards]
        rows = torch.tensor(known, dtype=torch.float64)
        return bool((group_advantages(rows, len(rows), "none", self.k).abs() > SAME).any())

    @property
    def pass_rate(self) -> float | None:
        """Share of samples that passed; None if every verdict is a fault."""
        passed = [v.passed for v in self.verdicts if v.status is not Status.SANDBOX_FAULT]
        return sum(passed) / len(passed) if passed else None

    @property
    def verdicts(self) -> list[Verdict]:
        """Verdicts on the hidden tests."""
        return [item.hidden for item in self.rollouts if item.hidden]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The groups of one step and what they cost."""

    used: tuple[Group, ...]
    thrown_away: tuple[Group, ...]
    seconds: float
    """For everything: sampling, and waiting for verdicts."""
    verify_seconds: float
    """Seconds in which sampling stood still for the verifier."""

    def numbers(self) -> dict[str, Any]:
        """Return the columns of the step's row in metrics.jsonl.

        Rates and lengths are over all groups drawn, so that dynamic sampling does not flatter them.
        """
        groups = (*self.used, *self.thrown_away)
        rollouts = [item for group in groups for item in group.rollouts]
        verdicts = [verdict for group in groups for verdict in group.verdicts]
        rewards = [reward for group in groups for reward in group.rewards if reward is not None]
        judged = [v.passed for v in verdicts if v.status is not Status.SANDBOX_FAULT]
        lengths = [item.completion.completion_tokens for item in rollouts]
        sampling = max(self.seconds - self.verify_seconds, 1e-9)
        return {
            "reward": _mean(rewards),
            "rewards": _mean_parts([parts for group in groups for parts in group.parts]),
            "pass_rate": _mean(judged),
            "zero_variance_share": _mean(not group.has_signal for group in groups),
            "zero_variance_used": _mean(not group.has_signal for group in self.used),
            "extra_groups": len(groups) - len(self.used),
            "samples": len(rollouts),
            "faults": len(verdicts) - len(judged),
            "completion_length": _mean(lengths),
            "completion_length_max": max(lengths),
            "truncated_share": _mean(item.completion.truncated for item in rollouts),
            "verdicts": dict(sorted(Counter(str(v.status) for v in verdicts).items())),
            "problems": dict(sorted(Counter(group.problem.type for group in groups).items())),
            "tokens": sum(lengths),
            "thrown_away_tokens": sum(
                item.completion.completion_tokens for g in self.thrown_away for item in g.rollouts
            ),
            "generation_seconds": round(sampling, 3),
            "verification_seconds": round(self.verify_seconds, 3),
            "tokens_per_second": round(sum(lengths) / sampling, 1),
        }


def goal(trainer: GrpoConfig) -> int | None:
    """Return the k of the best of k that is to rise; None for the mean reward."""
    return trainer.k if trainer.objective == "max_at_k" else None


@dataclass(frozen=True)
class GroupSource:
    """Makes the batches of a run."""

    trainer: GrpoConfig
    """Of it the rewards, their terms and dynamic sampling."""
    curriculum: Curriculum
    """Chooses the problems."""
    sampler: Callable[[], Sampler]
    """Returns a sampler of the model as it is now."""
    verifier: Verifier
    """Judges the programs by the hidden tests."""
    style: str
    seed: int
    """Of the run; a step's samples depend on it, the step and the model alone."""
    group_size: int
    max_length: int
    """Tokens of a completion at most."""
    completions: Path
    """File that every sample is appended to."""
    iteration: int = 1
    """Written into each of its lines."""

    @cached_property
    def _rewards(self) -> WeightedRewards:
        return WeightedRewards(self.trainer.rewards)

    @cached_property
    def _shaping(self) -> Shaping:
        return shaping_of(self.trainer)

    def draw(self, step: int, count: int) -> Batch:
        """Draw `count` groups for a step; replace those without signal, up to the cap."""
        started = time.monotonic()
        problems = self._pick(count)
        groups, waited = self._groups(step, 0, problems, {})
        extra: list[Group] = []
        dull = [group for group in groups if not group.has_signal]
        wanted = min(len(dull), self.trainer.max_extra_groups)
        if self.trainer.dynamic_sampling and wanted:
            others = self._pick(wanted, {problem.id for problem in problems})
            have = Counter(problem.id for problem in problems)  # their samples come first
            extra, more = self._groups(step, 1, others, have)
            waited += more
        used, thrown_away = _replace(groups, extra)
        seconds = time.monotonic() - started
        self._write(step, used, thrown_away)
        return Batch(
            used=tuple(used), thrown_away=tuple(thrown_away), seconds=seconds, verify_seconds=waited
        )

    def _pick(self, count: int, used: Set[str] = frozenset()) -> list[Problem]:
        """Return problems, those of `used` and any a second time only if there are no others."""
        picked = self.curriculum.pick(count, frozenset(used))
        while len(picked) < count:
            picked += self.curriculum.pick(count - len(picked))
        return picked

    def _groups(
        self, step: int, attempt: int, problems: Sequence[Problem], have: Mapping[str, int]
    ) -> tuple[list[Group], float]:
        """Draw and judge one group for each problem; return also the seconds of waiting."""
        repeats = Counter(problem.id for problem in problems)
        tasks = {problem.id: JudgedBy(problem=problem) for problem in problems}
        requests = [
            SampleRequest(
                problem_id=key,
                messages=tuple(render(tasks[key].problem, self.style)),
                samples=self._samples(have.get(key, 0), times),
                stream=f"{self.seed}/grpo/{step}/{attempt}",
            )
            for key, times in repeats.items()
        ]
        judging = JudgedLater(self.verifier)
        for completion in self.sampler().sample(requests):
            judging.submit(completion, tasks[completion.problem_id])
        rollouts = sorted(judging.take(everything=True), key=lambda item: item.completion.sample)
        groups = []
        for problem_id in repeats:
            own = [item for item in rollouts if item.completion.problem_id == problem_id]
            for first in range(0, len(own), self.group_size):
                members = own[first : first + self.group_size]
                groups.append(self._group(tasks[problem_id].problem, members))
        for group in groups:
            if group.pass_rate is not None:
                self.curriculum.observe(group.problem.id, group.pass_rate)
        return groups, judging.waited

    def _samples(self, groups_before: int, groups: int) -> tuple[int, ...]:
        first = self.group_size * groups_before
        return tuple(range(first, first + self.group_size * groups))

    def _group(self, problem: Problem, rollouts: Sequence[Rollout]) -> Group:
        earned = [self._reward_of(problem, item) for item in rollouts]
        return Group(
            problem=problem,
            rollouts=tuple(rollouts),
            rewards=tuple(reward for reward, _parts in earned),
            parts=tuple(parts for _reward, parts in earned),
            k=goal(self.trainer),
        )

    def _reward_of(
        self, problem: Problem, item: Rollout
    ) -> tuple[float | None, dict[str, float | None]]:
        assert item.hidden is not None
        base, parts = self._rewards(problem, item.completion, item.hidden)
        reward = shaped(
            base,
            item.hidden,
            self._shaping,
            well_formed=item.code is not None and not item.completion.truncated,
            length=item.completion.completion_tokens / self.max_length,
        )
        return reward, parts

    def _write(self, step: int, used: Sequence[Group], thrown_away: Sequence[Group]) -> None:
        kept = [(group, True) for group in used] + [(group, False) for group in thrown_away]
        rows = [
            rollout_row(item, "grpo", self.iteration)
            | {"step": step, "reward": reward, "rewards": parts, "used": is_used}
            for group, is_used in kept
            for item, reward, parts in zip(group.rollouts, group.rewards, group.parts, strict=True)
        ]
        append_jsonl(self.completions, rows)


def _replace(groups: Sequence[Group], extra: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """Put extra groups with signal in the place of those without; return used and thrown away."""
    spare = [group for group in extra if group.has_signal]
    thrown_away = [group for group in extra if not group.has_signal]
    used = []
    for group in groups:
        if group.has_signal or not spare:
            used.append(group)
        else:
            used.append(spare.pop(0))
            thrown_away.append(group)
    return used, [*thrown_away, *spare]


def _mean_parts(parts: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each reward function over the samples that it gave a number."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: _mean(value for part in parts if (value := part.get(name)) is not None)
        for name in names
    }


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None
