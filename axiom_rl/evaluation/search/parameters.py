"""How many parameters the pool's model has, for the second cost axis; stored beside the pool."""

from __future__ import annotations

import logging
from pathlib import Path

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.models.weights.source import count_parameters

log = logging.getLogger(__name__)

SCHEMA = 1
FILE = Path("search") / "parameters.json"


def parameters_of(folder: Path, model: ModelConfig) -> int | None:
    """Return the number of parameters, None (and say so) where the weights are not here.

    Args:
        folder: of the run whose samples are searched.
        model: of that run.
    """
    if (folder / FILE).exists():
        return int(read_json(folder / FILE)["parameters"])
    try:
        found = count_parameters(resolve(model).folder)
    except AxiomError as error:
        reason = str(error).splitlines()[0]
        log.info(
            "compute (2 x parameters x tokens) is not given, the weights are not here: %s", reason
        )
        return None
    write_json(folder / FILE, {"schema": SCHEMA, "parameters": found})
    return found
