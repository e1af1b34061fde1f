"""What Optuna kept of a search, in study.log of the sweep's folder."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError

STUDY = "axiom-rl"
FEWEST = 4
"""Finished trials below which no forest is fitted."""
log = logging.getLogger(__name__)


def optuna() -> Any:
    """Return the package.

    Raises:
        AxiomError: if it is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise AxiomError(
            "hparams_search=optuna needs the package optuna: pip install 'axiom-rl[optuna]', or "
            "sweep a grid with -m key=a,b"
        )
    package = importlib.import_module("optuna")
    package.logging.set_verbosity(package.logging.WARNING)
    return package


def open_study(sweep: Path) -> Any:
    """Begin a study that maximises, or go on with the one in the sweep's folder."""
    package = optuna()
    sweep.mkdir(parents=True, exist_ok=True)
    backend = package.storages.journal.JournalFileBackend(str(sweep / "study.log"))
    return package.create_study(
        study_name=STUDY,
        storage=package.storages.JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
    )


def study_importance(sweep: Path) -> dict[str, float]:
    """Return Optuna's fANOVA of a search, the largest first; empty where there is none to compute.

    It needs a study, the packages optuna and scikit-learn, and a few finished trials whose values
    differ.
    """
    if not (sweep / "study.log").exists():
        return {}
    if not all(importlib.util.find_spec(name) for name in ("optuna", "sklearn")):
        log.warning("no fANOVA: it needs pip install 'axiom-rl[optuna]'")
        return {}
    study = open_study(sweep)
    values = [trial.value for trial in study.trials if trial.value is not None]
    if len(values) < FEWEST or len(set(values)) < 2:
        return {}
    importance = importlib.import_module("optuna.importance")
    evaluator = importance.FanovaImportanceEvaluator(seed=0)
    found = importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(value) for key, value in found.items()}
