"""Drawing: completions of problems, judged and written as they come.

A judged sample found on disk is never drawn or judged again, so an interrupted phase goes on where
it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import fsum
from pathlib import Path

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import append_jsonl
from axiom_rl.core.types import Completion
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.judge import JudgedBy, JudgedLater
from axiom_rl.rollouts.records import Rollout, read_rollouts, rollout_row
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.verify import Verifier

WRITTEN_TOGETHER = 8
"""Judged completions written in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rollouts, and what those cost that were drawn just now rather than found on disk."""

    rollouts: tuple[Rollout, ...]
    seconds: float = 0.0
    tokens: int = 0
    """Drawn in these seconds, whoever asks for them."""
    verify_seconds: float = 0.0
    """Seconds in which sampling stood still for the verifier; it works beside it otherwise."""
    verify_cpu_seconds: float = 0.0
    """CPU time of the programs judged."""
    discarded_tokens: int = 0
    """Tokens drawn ahead that nothing asked for, over all starts of the run."""
    ahead_seconds: float = 0.0
    """Part of the seconds that went to samples of rounds to come, by tokens."""

    @property
    def passed(self) -> int:
        """Samples that passed all hidden tests, duplicates included."""
        return sum(bool(item.hidden and item.hidden.passed) for item in self.rollouts)

    def __add__(self, other: Drawn) -> Drawn:
        names = (field.name for field in fields(self))
        return Drawn(**{name: getattr(self, name) + getattr(other, name) for name in names})


def draw_rollouts(
    path: Path,
    tasks: Sequence[JudgedBy],
    samples: range | Mapping[str, range],
    *,
    sampler: Callable[[], Sampler],
    verifier: Verifier,
    style: str,
    stream: str,
    iteration: int,
    temperature: float | None = None,
    publish: Callable[[], None] = lambda: None,
) -> Drawn:
    """Draw and judge the samples that `path` does not hold yet; return those of the whole file.

    Args:
        path: completions/<phase>.jsonl.
        tasks: problems and how to judge them.
        samples: indices of the samples of each problem; by problem id where they differ.
        sampler: called only if something is left to draw.
        verifier: judges the programs.
        style: prompt style.
        stream: name of the random streams, see `SampleRequest.stream`.
        iteration: written into each row.
        temperature: in the place of sampler.temperature.
        publish: called after each write, see `RunContext.publish`.
    """
    by_id = {task.problem.id: task for task in tasks}
    asked = samples if isinstance(samples, Mapping) else dict.fromkeys(by_id, samples)
    done = read_rollouts(path)
    have = {item.completion.key for item in done}
    requests = [
        SampleRequest(
            problem_id=task.problem.id,
            messages=tuple(render(task.problem, style)),
            samples=tuple(s for s in asked[task.problem.id] if (task.problem.id, s) not in have),
            stream=stream,
        )
        for task in tasks
    ]
    requests = [request for request in requests if request.samples]
    started, new = time.monotonic(), list[Rollout]()
    cpu_before = verifier.stats.candidate_cpu_s
    judging = JudgedLater(verifier)
    if requests:
        drawn = sampler().sample(requests, temperature=temperature)
        new = judge_as_drawn(path, drawn, by_id, judging, iteration, publish)
    return Drawn(
        rollouts=tuple(sorted([*done, *new], key=_order(by_id))),
        seconds=time.monotonic() - started,
        verify_seconds=judging.waited,
        verify_cpu_seconds=verifier.stats.candidate_cpu_s - cpu_before,
        tokens=sum(item.completion.completion_tokens for item in new),
    )


def judge_as_drawn(
    path: Path,
    completions: Iterable[Completion],
    tasks: Mapping[str, JudgedBy],
    judging: JudgedLater,
    iteration: int,
    publish: Callable[[], None] = lambda: None,
) -> list[Rollout]:
    """Judge completions while the sampler draws on; return them, appended to `path`."""
    judged: list[Rollout] = []
    try:
        for completion in completions:
            judging.submit(completion, tasks[completion.problem_id])
            if len(judging.ready()) >= WRITTEN_TOGETHER:
                judged += _write(path, judging.take(), iteration)
                publish()
        judged += _write(path, judging.take(everything=True), iteration)
    except KeyboardInterrupt:  # what is judged already need not be drawn again
        _write(path, judging.take(), iteration)
        raise
    return judged


def _write(path: Path, rollouts: list[Rollout], iteration: int) -> list[Rollout]:
    append_jsonl(path, (rollout_row(item, path.stem, iteration) for item in rollouts))
    return rollouts


def _order(tasks: Mapping[str, JudgedBy]) -> Callable[[Rollout], tuple[int, int]]:
    """Order by problem and sample: what follows must not depend on which sample finished first."""
    place = {problem_id: index for index, problem_id in enumerate(tasks)}
    return lambda item: (place.get(item.completion.problem_id, len(place)), item.completion.sample)


def draw(
    context: RunContext,
    phase: str,
    tasks: Sequence[JudgedBy],
    samples: range | Mapping[str, range],
    policy: Policy,
    iteration: int,
    temperature: float | None = None,
) -> Drawn:
    """Draw and judge samples of one phase, with a random stream named by seed and phase."""
    return draw_rollouts(
        context.run.folder / "completions" / f"{phase}.jsonl",
        tasks,
        samples,
        sampler=policy,
        verifier=context.verifier,
        style=context.style,
        stream=f"{context.seed}/{phase}",
        iteration=iteration,
        temperature=temperature,
        publish=context.publish,
    )


def cost(spent: Drawn) -> dict[str, float]:
    """Return the columns of a timing row: all tokens, and what this start of the run measured."""
    seconds = max(spent.seconds, 1e-9)
    discarded = {"discarded_tokens": spent.discarded_tokens} if spent.discarded_tokens else {}
    return discarded | {
        **stopped_early(spent.rollouts),
        "tokens": sum(item.completion.completion_tokens for item in spent.rollouts),
        "tokens_per_second": round(spent.tokens / seconds, 1),
        "verify_seconds": round(spent.verify_seconds, 3),
        "verify_share": round(spent.verify_seconds / seconds, 4),
        "verify_cpu_seconds": round(spent.verify_cpu_seconds, 3),
    }


def stopped_early(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Return the columns of a timing row about samples stopped early; none where none was.

    What a stopped sample would have had to come is not known. It is estimated by the mean of the
    samples that went on beyond its stop and were written to their end; without any it counts as 0.
    """
    lengths = [item.completion.completion_tokens for item in rollouts]
    ended = [item.completion.stopped for item in rollouts]
    stops = [tokens for tokens, early in zip(lengths, ended, strict=True) if early]
    whole = [tokens for tokens, early in zip(lengths, ended, strict=True) if not early]
    if not stops:
        return {}
    longer = {stop: [tokens for tokens in whole if tokens > stop] for stop in set(stops)}
    saved = fsum(fsum(longer[stop]) / len(longer[stop]) - stop for stop in stops if longer[stop])
    return {
        "stopped_samples": len(stops),
        "stopped_tokens": sum(stops),
        "saved_tokens": round(saved),
    }
