"""What to change where no sample passed, given what the run was."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from axiom_rl.context.run_context import RunContext
from axiom_rl.core.types import Problem
from axiom_rl.problems import has_fresh_tests, problem_types
from axiom_rl.rollouts.records import Rollout

LARGER = {
    "Qwen2.5-Coder-1.5B-Instruct": "a larger model (model=qwen2.5-coder-7b)",
    "Qwen2.5-Coder-7B-Instruct": "",
}
"""Advice to users of the models of conf/model that are not small."""


HOPELESS = 64
"""Samples of which not one passed, before GRPO is refused: the model's rate is then below 4.6 %
with 95 % confidence, since 0.954**64 is 0.05. A baseline of fewer says too little."""


def nothing_for_grpo(context: RunContext, rollouts: Collection[Rollout]) -> str:
    """Say that no sample passed, and what would help a run of GRPO.

    Args:
        context: of the run.
        rollouts: what was drawn.
    """
    first = (
        "training first on verified solutions (trainer=sft or expert_iter, then "
        "model.adapter=outputs/train/<run>/adapter) or on a teacher's (experiment=cold_start)"
    )
    return nothing_passed(
        context.splits.train,
        rollouts,
        model=str(context.model["name"]),
        limit=context.sampler.max_new_tokens,
        others=[first],
    )


def all_cut_off(rollouts: Collection[Rollout]) -> bool:
    """Whether the token limit ended every answer, so that no rate means anything."""
    return bool(rollouts) and all(item.completion.truncated for item in rollouts)


def nothing_passed(
    problems: Sequence[Problem],
    rollouts: Collection[Rollout],
    *,
    model: str,
    limit: int,
    expert: str = "hidden",
    others: Sequence[str] = (),
) -> str:
    """Say that no sample passed, and what would help here.

    Args:
        problems: that were sampled.
        rollouts: what was drawn of them.
        model: its name.
        limit: sampler.max_new_tokens.
        expert: who decided (trainer.expert).
        others: further cures, which the caller knows.
    """
    count = len(rollouts)
    if all_cut_off(rollouts):
        return (
            f"every one of {count} answers was cut off by the token limit, so none passed: give "
            f"more than sampler.max_new_tokens={limit}"
        )
    larger = LARGER.get(model, "a larger model (model=qwen2.5-coder-1.5b)")
    cures = [cure for cure in (larger, _easier(problems), *others) if cure]
    advice = ", or ".join(cures)
    if expert == "hidden":
        return f"none of {count} samples passed: try {advice}"
    return f"none of {count} samples is gold by the expert {expert}: try {advice}"


def _easier(problems: Sequence[Problem]) -> str:
    """Name easier problems than these; '' where there are none."""
    levels = {problem.difficulty for problem in problems if has_fresh_tests(problem)}
    if levels and max(levels) > 1:
        below = range(1, max(2, min(levels) + (len(levels) > 1)))
        return f"lower levels (problems.levels=[{','.join(map(str, below))}])"
    basic = {*problem_types()["basic"]}
    return "" if {p.type for p in problems} <= basic else "easier problems (problems=basic)"
