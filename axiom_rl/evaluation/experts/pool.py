"""The first round's samples from a pool that was drawn before, so that arms differ in gold alone.

A pool is the folder of a finished `stage=evaluate stage.split=train` run, or of a training run that
has measured its first model. Its samples of this run's problems become this run's own, verdicts
included; only what is missing (the test split, say) is drawn.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from axiom_rl.config import Config, ExpertIterConfig, pool_config
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_jsonl
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.evaluation.search.replayed import differing
from axiom_rl.problems.splits import content_hash, import_types_of
from axiom_rl.search.execute import FILE as EXECUTIONS
from axiom_rl.search.pool import PHASE, read_pool

log = logging.getLogger(__name__)

KEY = "trainer.pool"
SWEEP = "sweep"
"""In the place of a folder: the first job of the same sweep that has drawn its pool."""
OF_THE_POOL = ("problems", "sampler", "model")
SAME = ("model", "problems", "sampler", "seed")
"""Groups in which two jobs must agree to draw the same samples."""
FEATURES = "features_*.jsonl"
WRITTEN = Path("search") / f"written_{PHASE}.jsonl"


def with_pool(config: Config) -> Config:
    """Return the config with problems, sampler and model of its pool; the LoRA stays its own.

    Raises:
        AxiomError: if the folder holds no pool, or what was typed differs from it.
    """
    trainer = config.trainer
    if not isinstance(trainer, ExpertIterConfig) or trainer.pool in (None, SWEEP) or config.resume:
        return config
    place = Path(str(trainer.pool))
    if not (place / "config.yaml").is_file():
        raise AxiomError(f"{KEY}={place}: there is no config.yaml; {_how()}")
    pool = pool_config(place)
    if pool.stage.kind not in ("evaluate", "train"):
        raise AxiomError(f"{KEY}={place}: it is a run of stage={pool.stage.kind}; {_how()}")
    different = [key for key in differing(config, pool, OF_THE_POOL) if "model.lora" not in key]
    if different:
        raise AxiomError(
            "problems, prompt, sampler and model come from trainer.pool; leave out "
            f"{', '.join(different)}"
        )
    import_types_of(pool.problems)
    if not read_pool(place, KEY)[0].train:
        raise AxiomError(f"{KEY}={place}: it holds no samples of train problems; {_how()}")
    model = replace(pool.model, lora=config.model.lora)
    return replace(config, problems=pool.problems, sampler=pool.sampler, model=model)


def _how() -> str:
    return "draw one with stage=evaluate stage.split=train and give its folder"


def take_pool(context: RunContext, trainer: ExpertIterConfig) -> None:
    """Copy the pool's samples of this run's problems into the run, once.

    Raises:
        AxiomError: if the pool's train problems or weights are not those of this run.
    """
    folder = context.run.folder
    target = folder / "completions" / f"{PHASE}.jsonl"
    if trainer.pool is None or target.exists():
        return
    place = _drawn_beside(folder) if trainer.pool == SWEEP else Path(trainer.pool)
    if place is None:
        log.info("%s=%s: no job of this sweep has drawn the pool yet, so it is drawn", KEY, SWEEP)
        return
    splits, _rollouts = read_pool(place, KEY)
    _check_weights(context, place)
    theirs = {p.id: content_hash(p) for p in splits.all}
    shared = {p.id for p in context.splits.all if theirs.get(p.id) == content_hash(p)}
    missing = [problem.id for problem in context.splits.train if problem.id not in shared]
    if missing:
        raise AxiomError(
            f"{KEY}={place}: its train problems are not those of this run ({missing[0]}, "
            f"{len(missing)} in all): draw it with the same problems= and version"
        )
    rows = [
        row
        for row in read_jsonl(place / "completions" / f"{PHASE}.jsonl")
        if row["problem_id"] in shared and row["sample"] < context.sampler.n
    ]
    drawn = Counter(row["problem_id"] for row in rows)
    lacking = [p.id for p in context.splits.train if drawn[p.id] < context.sampler.n]
    if lacking:
        raise AxiomError(
            f"{KEY}={place}: it holds fewer than {context.sampler.n} samples of {lacking[0]} "
            f"({len(lacking)} such problems); {_how()}"
        )
    read = [path.relative_to(place) for path in (place / "search").glob(FEATURES)]
    for name in (EXECUTIONS, WRITTEN, *read):  # what is stored there is not computed again
        if (place / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / name, folder / name)
    write_jsonl(target, rows)
    log.info("%d samples of %d problems come from %s", len(rows), len(shared), place)


def _check_weights(context: RunContext, place: Path) -> None:
    path = place / "evaluation" / f"{PHASE}.json"
    there = read_evaluation(path).model.get("sha256") if path.exists() else None
    if there and there != context.model.get("sha256"):
        raise AxiomError(f"{KEY}={place}: it was drawn with other weights ({str(there)[:12]}...)")


def _drawn_beside(folder: Path) -> Path | None:
    """Return the first job of this run's sweep that has measured the same model, if any."""
    if not (folder / "job.json").exists():
        return None
    jobs = [path.parent for path in folder.parent.glob("*/job.json") if path.parent != folder]
    own = _drawn_with(folder)
    for job in sorted(jobs, key=lambda job: int(read_json(job / "job.json")["job"])):
        state = job / "checkpoints" / "state.json"
        drawn = state.exists() and f"evaluate/{PHASE}" in read_json(state)["finished"]
        if drawn and _drawn_with(job) == own:
            return job
    return None


def _drawn_with(folder: Path) -> Mapping[str, Any]:
    """Return what decides about the samples of a run, as its config.yaml has it."""
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=False)
    found = {key: config.get(key) for key in SAME}
    found["model"] = {k: v for k, v in (found["model"] or {}).items() if k != "lora"}
    return found
