"""trainer=value: features of the pools, a head, and what it is worth."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

from axiom_rl.config import Config, ValueConfig, saved_yaml
from axiom_rl.core.files import write_text
from axiom_rl.run.folder import DONE, Run, open_run, write_environment
from axiom_rl.run.lock import locked
from axiom_rl.run.resume import point_latest
from axiom_rl.run.tracking import open_tracker
from axiom_rl.trainers.value.cross import fit_head
from axiom_rl.trainers.value.measured import head_lines, measure_head
from axiom_rl.trainers.value.pools import ValuePool, read_value_pools
from axiom_rl.trainers.value.rows import Dataset, read_dataset
from axiom_rl.trainers.value.stopping import stopping_line, threshold_of
from axiom_rl.value.fit import FitOptions
from axiom_rl.value.head import SeenProblems, ValueHead, save_head
from axiom_rl.value.recipe import Recipe, question_hash

log = logging.getLogger(__name__)

SCHEMA = 1


def run_value(config: Config, trainer: ValueConfig, folder: Path) -> None:
    """Fit a head on the pools' train problems, measure it, and write value/.

    Raises:
        AxiomError: as `read_value_pools`; nothing is written then.
    """
    pools = read_value_pools(trainer, config.model.device)
    drawn = pools[0].config
    run_of = replace(config, model=replace(drawn.model, device=config.model.device))
    with locked(folder):
        tracker = open_tracker(config.tracking, folder, asdict(run_of))
        try:
            run = open_run(folder, tracker)
            write_text(folder / "config.yaml", saved_yaml(asdict(replace(run_of, resume=None))))
            resumed = config.resume is not None
            base = dict(pools[0].frozen.base)
            write_environment(folder, config.seed, "", base, resumed=resumed)
            point_latest(folder)
            _fit(run, config.seed, trainer, pools)
        finally:
            tracker.close()


def _fit(run: Run, seed: int, trainer: ValueConfig, pools: list[ValuePool]) -> None:
    recipe = Recipe(layer=trainer.layer, every=trainer.every)
    inputs = [name for name in ("hidden", "logprob", "length") if name in trainer.inputs]
    with run.timed("features", 0):
        data = read_dataset(pools, recipe, inputs)
    log.info(
        "features: %d samples read now, %d found stored; %.1f s and %d tokens for all of them",
        data.computed,
        len(data.samples) - data.computed,
        data.seconds,
        data.forward,
    )
    options = FitOptions(
        hidden=trainer.hidden,
        l2=trainer.l2,
        pairs=trainer.pairs,
        epochs=trainer.epochs,
        seed=seed,
    )
    began = time.monotonic()
    with run.timed("fit", 0):
        chosen = [
            n
            for n, sample in enumerate(data.samples)
            if sample.problem.split == "train" and sample.problem.type not in trainer.holdout_types
        ]
        fitted = fit_head(data, chosen, options, trainer.folds)
    fit_s = time.monotonic() - began
    with run.timed("measure", 0):
        measured = measure_head(data, fitted, [pool.name for pool in pools])
        stopping = threshold_of(data, fitted)
    report = {
        "schema": SCHEMA,
        "pools": [pool.name for pool in pools],
        "fitted_on": {
            "samples": len(chosen),
            "problems": len({data.samples[n].problem.id for n in chosen}),
            "types": sorted({data.samples[n].problem.type for n in chosen}),
        },
        "base": dict(pools[0].frozen.base),
        "recipe": asdict(recipe),
        "inputs": inputs,
        "options": asdict(options),
        "features_s": round(data.seconds, 3),
        "features_computed": data.computed,
        "forward_tokens": data.forward,
        "fit_s": round(fit_s, 3),
        "measured": measured,
        "early_stopping": stopping,
    }
    place = run.folder / "value"
    shutil.rmtree(place, ignore_errors=True)  # of an earlier start that did not finish
    head = ValueHead(
        probes=fitted.probes,
        base=pools[0].frozen.base,
        adapter_sha256=pools[0].frozen.adapter_sha256,
        recipe=recipe,
        inputs=tuple(inputs),
        seen=_seen(data, chosen),
        stop_below=stopping["proposed"],
    )
    save_head(place, head, report)
    run.finish(DONE)
    for line in (*head_lines(report), stopping_line(stopping)):
        log.info("%s", line)
    log.info("value head: %s", place)


def _seen(data: Dataset, chosen: list[int]) -> SeenProblems:
    problems = {data.samples[n].problem.id: data.samples[n].problem for n in chosen}
    return SeenProblems(
        ids=tuple(sorted(problems)),
        questions=tuple(sorted({question_hash(problem) for problem in problems.values()})),
        types=tuple(sorted({problem.type for problem in problems.values()})),
        pools=tuple(sorted({data.samples[n].pool for n in chosen})),
    )
