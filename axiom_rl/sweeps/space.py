"""What a search chooses from, read from overrides in Hydra's own grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from axiom_rl.core.errors import AxiomError
from axiom_rl.run.sweep_study import optuna


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched, what is fixed, and the seeds that every setting is run with."""

    distributions: Mapping[str, Any]
    """Optuna's distributions by override key."""
    fixed: Sequence[str]
    seeds: Sequence[str]
    """Overrides `seed=...`; empty for the one seed of the config."""

    def jobs(self, params: Mapping[str, Any]) -> list[list[str]]:
        """Return the overrides of a setting's jobs."""
        asked = [*self.fixed, *(f"{key}={_typed(value)}" for key, value in params.items())]
        return [[*asked, seed] for seed in self.seeds] or [asked]


def _typed(value: Any) -> str:
    """Write a value as people would: four digits of a drawn number are enough."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def space_of(overrides: Sequence[Override]) -> Space:
    """Sort overrides into what is searched, what is fixed and the seeds; later ones win.

    Raises:
        AxiomError: if nothing is searched.
    """
    by_key = {override.get_key_element(): override for override in overrides}
    swept = {key: o for key, o in by_key.items() if o.is_sweep_override()}
    seeds = swept.pop("seed", None)
    if not swept:
        raise AxiomError(
            "hparams_search=optuna: nothing to search; give e.g. "
            "'trainer.args.learning_rate=tag(log,interval(1e-5,1e-3))' or key=a,b"
        )
    return Space(
        distributions={key: distribution(override) for key, override in swept.items()},
        fixed=[
            f"{key}={override.get_value_element_as_str()}"
            for key, override in by_key.items()
            if not override.is_sweep_override()
        ],
        seeds=[] if seeds is None else [f"seed={value}" for value in seeds.sweep_string_iterator()],
    )


def distribution(override: Override) -> Any:
    """Return Optuna's distribution for `interval`, `range`, `choice` or a list of values."""
    kinds, value = optuna().distributions, override.value()
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind = kinds.IntDistribution if whole else kinds.FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    numbers = value.range() if isinstance(value, RangeSweep) else None
    if isinstance(numbers, range):
        return kinds.IntDistribution(numbers[0], numbers[-1], step=numbers.step)
    return kinds.CategoricalDistribution([*override.sweep_string_iterator()])
