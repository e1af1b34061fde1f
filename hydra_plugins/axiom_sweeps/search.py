"""Sweeper `optuna`: Optuna's sampler chooses the settings, and each is run with every seed.

hydra-optuna-sweeper 1.3 needs optuna below 3, so this is a sweeper of our own on the public
interface of optuna 5 (ask and tell). A setting's value is the mean score of its seeds, see
`axiom_rl.report.sweep.scores.job_score`. The study is kept in study.log of the sweep's folder,
so a stopped search goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.run.sweep_jobs import read_job
from axiom_rl.run.sweep_study import open_study, optuna
from axiom_rl.sweeps.space import Space, space_of

log = logging.getLogger(__name__)
SAMPLERS = ("tpe", "random")


class OptunaSweeper(Sweeper):
    """Asks Optuna for settings until there are `trials` of them."""

    def __init__(
        self,
        sampler: str,
        trials: int,
        trials_at_once: int,
        startup_trials: int,
        seed: int,
        params: Mapping[str, Any],
    ) -> None:
        """Take the settings of conf/hydra/sweeper/optuna.yaml."""
        self.sampler = sampler
        self.trials = trials
        self.trials_at_once = trials_at_once
        self.startup_trials = startup_trials
        self.seed = seed
        self.params = dict(params)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Get the launcher."""
        self.hydra = config.hydra
        self.parser = OverridesParser.create(config_loader=hydra_context.config_loader)
        self.jobs: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search, going on with what the sweep's folder holds.

        Raises:
            AxiomError: if optuna is missing, or there is nothing to search.
        """
        configure_log(self.hydra.hydra_logging, self.hydra.verbose)
        optuna()
        self._check()
        given = [f"{key}={value}" for key, value in self.params.items()]
        space = space_of(self.parser.parse_overrides([*given, *arguments]))
        study = open_study(Path(self.hydra.sweep.dir))
        for trial in study.trials:
            if not trial.state.is_finished():  # of a search that was stopped
                self._run(study, space, {trial.number: trial.params})
        while len(study.trials) < self.trials:
            study.sampler = self._sampler(len(study.trials))
            count = min(self.trials_at_once, self.trials - len(study.trials))
            asked = [study.ask(dict(space.distributions)) for _ in range(count)]
            self._run(study, space, {trial.number: trial.params for trial in asked})

    def _check(self) -> None:
        if self.sampler not in SAMPLERS:
            raise AxiomError(
                f"hydra.sweeper.sampler={self.sampler}: choose one of {', '.join(SAMPLERS)}"
            )
        for name in ("trials", "trials_at_once"):
            if getattr(self, name) < 1:
                raise AxiomError(f"hydra.sweeper.{name}={getattr(self, name)}: must be 1 or more")

    def _sampler(self, trials: int) -> Any:
        """Return a sampler seeded by how many trials there are: a resumed search asks the same."""
        samplers, seed = optuna().samplers, self.seed + trials
        if self.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, n_startup_trials=self.startup_trials)

    def _run(self, study: Any, space: Space, trials: Mapping[int, Mapping[str, Any]]) -> None:
        """Run settings with consecutive numbers, and tell their values."""
        jobs = {number: space.jobs(params) for number, params in trials.items()}
        each = len(space.seeds) or 1
        flat = [overrides for group in jobs.values() for overrides in group]
        returned = self.jobs.launch(flat, initial_job_idx=min(trials) * each)
        for place, number in enumerate(trials):
            value = _value(returned[place * each : (place + 1) * each])
            failed = optuna().trial.TrialState.FAIL
            study.tell(number, value, state=None if value is not None else failed)
            log.info("setting %d: %s", number, "failed" if value is None else f"{value:.4f}")


def _value(returned: Sequence[JobReturn]) -> float | None:
    """Return the mean score of a setting's jobs; None where one failed or has no score."""
    from axiom_rl.report.sweep.scores import job_score

    scores = []
    for job in returned:
        if job.status is not JobStatus.COMPLETED:
            return None
        cfg = job.hydra_cfg
        folder = Path(cfg.hydra.runtime.output_dir if cfg is not None else str(job.working_dir))
        record = read_job(folder)
        score = job_score(folder)
        if record is None or record.status != "done" or score is None:
            return None
        scores.append(score.rate.value)
    return fmean(scores)
