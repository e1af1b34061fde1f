"""What a run will be able to tell, stated before it starts.

Who looks at the data first can always find a number of samples that seems to be enough. So the
smallest difference that the planned samples find is logged and written down before anything is
sampled, and the report repeats it beside what came out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from axiom_rl.config import SPLITS
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.text import count, points
from axiom_rl.evaluation.compare import POWER, detectable_difference
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.score import scope_of
from axiom_rl.evaluation.statistics import Scope
from axiom_rl.problems.splits import Splits

SCHEMA = 1
FILE = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The evaluation that the report's first line will be about."""

    split: str
    problems: int
    samples: int
    """Per problem."""
    scope: Scope
    detectable: float
    """Smallest difference of two pass rates found in 80 % of cases, if every problem passes half of
    its samples (the worst case) and changes alike."""

    def __str__(self) -> str:
        """Say it in two sentences, for the log and the report: plainly and in numbers."""
        size = points(self.detectable).lstrip("+")
        return (
            f"a change of the pass rate by less than about {size} will probably read 'cannot "
            f"tell', for it could be luck{self._advice()}. In numbers: "
            f"{count(self.problems, f'{self.split} problem')} with "
            f"{count(self.samples, 'sample')} each find a difference of {size} "
            f"in {100 * POWER:.0f} % of cases, if every problem passes about half of its samples "
            "(the worst case) and changes alike."
        )

    def _advice(self) -> str:
        if self.scope == "fixed":
            return "; sampler.n times four halves it"
        return "; four times as many problems (problems.sizes) halve it"


def samples_text(splits: Splits, samples: int, *, trains: bool) -> str:
    """Say how many samples an evaluation takes, split by split.

    Args:
        splits: the problems of the run.
        samples: per problem (sampler.n).
        trains: the evaluation is made before and after training.
    """
    counts = {name: len(getattr(splits, name)) for name in SPLITS if getattr(splits, name)}
    parts = (f"{count(number, f'{name} problem')} x {samples}" for name, number in counts.items())
    total = count(samples * sum(counts.values()), "sample")
    each = "each evaluation, before and after training," if trains else "the evaluation"
    return f"{each} takes {total}: {', '.join(parts)}"


def asked_text(doing: str, problems: int, most: int, *, fewer: str) -> str:
    """Say how many samples a stage draws at most that evaluates nothing.

    Args:
        doing: what the stage does: "solving", "collecting", ...
        problems: it samples from.
        most: samples of one problem at most.
        fewer: why they may be fewer; '' where they are not.
    """
    total = f"{count(problems * most, 'sample')}: {count(problems, 'problem')} x {most}"
    return f"{doing} takes at most {total}; {fewer}" if fewer else f"{doing} takes {total}"


def plan_for(splits: Splits, samples: int) -> Plan:
    """Return what an evaluation of these problems will be able to tell.

    Args:
        splits: the problems of the run; at least one.
        samples: per problem (sampler.n).
    """
    split = headline_split(splits)
    problems = getattr(splits, split)
    scope = scope_of(problems)
    return Plan(
        split=split,
        problems=len(problems),
        samples=samples,
        scope=scope,
        detectable=detectable_difference(len(problems), samples, scope=scope),
    )


def write_plan(folder: Path, plan: Plan) -> None:
    """Write plan.json; a resumed run keeps the plan that it began with."""
    if not (folder / FILE).exists():
        write_json(folder / FILE, {"schema": SCHEMA, **asdict(plan)})


def read_plan(folder: Path) -> Plan | None:
    """Read plan.json; None where a run has none (older runs, other stages).

    Raises:
        AxiomError: naming the file, if it is damaged or of another schema version.
    """
    path = folder / FILE
    if not path.exists():
        return None
    document = read_json(path)
    try:
        if document.pop("schema") != SCHEMA:
            raise AxiomError(f"{path}: this program reads schema {SCHEMA}")
        return Plan(**document)
    except (AttributeError, KeyError, TypeError) as error:
        raise AxiomError(f"{path} is no plan as this program writes it: {error}") from error
