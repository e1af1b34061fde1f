"""The samples of a finished evaluation, as they lie in its run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.problems.splits import Splits, read_splits
from axiom_rl.rollouts.records import Rollout, read_rollouts

PHASE = "before"
"""The phase of completions that stage=evaluate draws."""
HOW = "give the folder of a finished stage=evaluate run, such as outputs/evaluate/<run>"


def read_pool(folder: Path, key: str = "stage.pool") -> tuple[Splits, list[Rollout]]:
    """Return the problems and samples of a run of stage=evaluate.

    Args:
        folder: of the run.
        key: that names it, for errors.

    Raises:
        AxiomError: if the folder holds no such run, one that has not finished, one whose
            completions were stored without their texts, or one with a problem or sample twice.
    """
    path = folder / "completions" / f"{PHASE}.jsonl"
    splits = read_splits(folder / "problems")
    if splits is None or not path.is_file():
        missing = path if splits is not None else folder / "problems"
        raise AxiomError(f"{key}={folder}: there is no {missing.relative_to(folder)}; {HOW}")
    state = folder / "checkpoints" / "state.json"
    finished = read_json(state)["finished"] if state.is_file() else []
    if f"evaluate/{PHASE}" not in finished:
        raise AxiomError(
            f"{key}={folder}: its sampling has not finished; go on with it by resume={folder}"
        )
    for row in read_jsonl(path):
        if "text" not in row or "code" not in row:
            raise AxiomError(f"{key}={folder}: its completions hold no texts; {HOW}")
        break
    else:
        raise AxiomError(f"{key}={folder}: it holds no completions; {HOW}")
    rollouts = read_rollouts(path)
    if any(item.completion.stopped for item in rollouts):
        raise AxiomError(
            f"{key}={folder}: some of its samples were stopped early, so that scores over them "
            f"would be wrong; {HOW}, which draws them to their end"
        )
    problems = Counter(problem.id for problem in splits.all)
    samples = Counter(item.completion.key for item in rollouts)
    for name, count in (problems | samples).items():
        if count > 1:  # files put together by hand; a score would count them twice
            what = name if isinstance(name, str) else f"sample {name[1]} of {name[0]}"
            raise AxiomError(f"{key}={folder}: {what} stands there {count} times; {HOW}")
    return splits, rollouts


def typed_differences(
    typed: Sequence[str], asked: Mapping[str, object], pool: Mapping[str, object]
) -> list[str]:
    """Return which keys were typed with another value than the pool has.

    Args:
        typed: keys given on the command line.
        asked: the values of this run's config, by dotted key.
        pool: those of the pool's.
    """
    return [
        f"{key}={asked[key]} (the pool has {pool.get(key)})"
        for key in typed
        if key in asked and asked[key] != pool.get(key)
    ]
