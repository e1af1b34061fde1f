"""Repair: a program that fails a public test is shown the failure, and written again.

The feedback is what the public tests give and nothing else: the first that fails, with the value
returned or the error. A chain ends when its program passes every public test, or after `turns`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.core.types import Status
from axiom_rl.problems.prompts import Message, render, show_call
from axiom_rl.rollouts.draw import judge_as_drawn
from axiom_rl.rollouts.judge import JudgedBy, JudgedLater
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.search.execute import Executions, name_of
from axiom_rl.search.public import PublicProblem, as_problem
from axiom_rl.verify import Verifier

REQUEST = "Correct it. Answer with the whole corrected function, in one ```python block."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One sample and its repairs."""

    problem: PublicProblem
    steps: tuple[Rollout, ...]
    """The sample first; the last is the chain's program."""
    statuses: tuple[Status, ...]
    """Of each step, how it does on the public tests."""

    @property
    def sample(self) -> int:
        """Index of the draw."""
        return self.steps[0].completion.sample

    @property
    def tokens(self) -> int:
        """Generated, repairs included."""
        return sum(step.completion.completion_tokens for step in self.steps)

    @property
    def prompt_tokens(self) -> int:
        """Read."""
        return sum(step.completion.prompt_tokens for step in self.steps)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing that a public test could still say."""
        return self.statuses[-1] is Status.ACCEPTED or not self.problem.public_tests


def feedback(problem: PublicProblem, row: Mapping[str, Any] | None) -> str:
    """Say what the public tests show of a program.

    Args:
        problem: its public tests.
        row: of `Executions.public`; None where the answer held no program.
    """
    if row is None:
        return "That answer holds no program."
    if row["failed"] is None:
        return f"That program does not run: {row['detail']}."
    shown = show_call(problem.entry_point, problem.public_tests[row["failed"]])
    match row["status"]:
        case Status.WRONG_ANSWER:
            return f"That program is wrong: `{shown}` does not hold, it {row['detail']}."
        case _:
            return f"That program fails on `{shown}`: {row['detail']}."


def messages(problem: PublicProblem, style: str, chain_text: str, said: str) -> list[Message]:
    """Return the chat messages of one repair: the question, the last answer, the feedback."""
    return [
        *render(as_problem(problem), style),
        {"role": "assistant", "content": chain_text},
        {"role": "user", "content": f"{said} {REQUEST}"},
    ]


def start_chains(
    executions: Executions, problems: Sequence[PublicProblem], rollouts: Sequence[Rollout]
) -> list[Chain]:
    """Return a chain for each sample, judged by the public tests."""
    by_id = {problem.id: problem for problem in problems}
    own = [item for item in rollouts if item.completion.problem_id in by_id]
    statuses = _statuses(executions, by_id, own)
    return [
        Chain(problem=by_id[item.completion.problem_id], steps=(item,), statuses=(status,))
        for item, status in zip(own, statuses, strict=True)
    ]


def repair_once(
    path: Path,
    turn: int,
    chains: Sequence[Chain],
    *,
    executions: Executions,
    tasks: Mapping[str, JudgedBy],
    sampler: Callable[[], Sampler],
    verifier: Verifier,
    style: str,
    stream: str,
    temperature: float | None = None,
) -> list[Chain]:
    """Draw one repair of each chain that is not done, but for those that `path` holds already.

    Args:
        path: completions/repair_<turn>.jsonl.
        turn: from 1.
        chains: of `start_chains` or an earlier turn.
        executions: judges by the public tests.
        tasks: judge the repairs as the samples were, for the report alone.
        sampler: called only if something is left to draw.
        verifier: of `tasks`.
        style: prompt style of the question.
        stream: name of the random streams.
        temperature: in the place of sampler.temperature.

    Returns:
        All chains, in the same order.
    """
    waiting = {(c.problem.id, c.sample): c for c in chains if not c.is_done}
    done = {item.completion.key: item for item in read_rollouts(path)}
    rows = executions.public(
        (chain.problem, code) for chain in waiting.values() if (code := chain.steps[-1].code)
    )
    requests = [
        SampleRequest(
            problem_id=key[0],
            messages=tuple(_ask(chain, rows, style)),
            samples=(key[1],),
            stream=stream,
        )
        for key, chain in waiting.items()
        if key not in done
    ]
    if requests:
        drawn = sampler().sample(requests, temperature=temperature)
        judged = judge_as_drawn(path, drawn, tasks, JudgedLater(verifier), turn)
        done |= {item.completion.key: item for item in judged}
    new = {key: done[key] for key in waiting}
    by_id = {chain.problem.id: chain.problem for chain in chains}
    statuses = dict(zip(new, _statuses(executions, by_id, list(new.values())), strict=True))
    return [
        Chain(
            problem=chain.problem,
            steps=(*chain.steps, new[key]),
            statuses=(*chain.statuses, statuses[key]),
        )
        if (key := (chain.problem.id, chain.sample)) in new
        else chain
        for chain in chains
    ]


def _ask(chain: Chain, rows: Mapping[tuple[str, str], Any], style: str) -> list[Message]:
    last = chain.steps[-1]
    row = rows.get((chain.problem.id, name_of(last.code))) if last.code else None
    text = f"```python\n{last.code.strip()}\n```" if last.code else last.completion.text
    return messages(chain.problem, style, text, feedback(chain.problem, row))


def _statuses(
    executions: Executions, problems: Mapping[str, PublicProblem], items: Sequence[Rollout]
) -> list[Status]:
    rows = executions.public(
        (problems[item.completion.problem_id], item.code) for item in items if item.code
    )
    statuses = []
    for item in items:
        row = rows.get((item.completion.problem_id, name_of(item.code))) if item.code else None
        if row is None:  # no program, or no public test
            statuses.append(Status.ACCEPTED if item.code else Status.NO_CODE)
        else:
            statuses.append(Status(row["status"]))
    return statuses
