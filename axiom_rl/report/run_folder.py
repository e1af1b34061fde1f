"""What a run left in its folder, read back for the report; every part but the folder may be absent.

A run may have been interrupted, may only evaluate, or may still be going on. What is missing is
an empty value here, so that the report can say so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from axiom_rl.config.parts import TEACH, iterations_of
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.power import Plan, read_plan
from axiom_rl.evaluation.recheck import Claims, read_claims
from axiom_rl.evaluation.score import Evaluation, read_evaluation
from axiom_rl.problems.splits import read_problems
from axiom_rl.run.folder import read_sessions
from axiom_rl.run.tracking import read_metrics

Row = dict[str, Any]
FORGETTING = "forgetting_"
"""How the files of evaluations on families outside training begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The files of one run folder as data."""

    path: Path
    config: str
    """Text of config.yaml; '' where there is none."""
    stage: str
    """stage.kind of the config; '' where it is unknown."""
    sessions: list[Row]
    """What environment.json says of each start, the first one first."""
    metrics: list[Row]
    evaluations: dict[str, Evaluation]
    """By file name: before, iter_1, ..., after."""
    completions: dict[str, list[Row]]
    """By phase: before, iter_1, attempts_1, ..."""
    solutions: dict[int, int]
    """Gold solutions by iteration."""
    problems: dict[str, Problem]
    """By id, with the tests that training sees."""
    forgetting: dict[str, tuple[Evaluation, Evaluation | None]]
    """By family of problems that training did not use: the model before training and after it."""
    claims: dict[str, Claims]
    """Claimed passes that were judged again after training, by phase."""
    plan: Plan | None
    """What the run could tell, as it was stated before the start."""

    def setting(self, key: str, unknown: Any) -> Any:
        """Return a value of config.yaml, or `unknown` where it has no such key."""
        return OmegaConf.select(_parsed(self.config), key, default=unknown)

    @property
    def steps(self) -> list[str]:
        """Steps of a pipeline; none for other trainers."""
        return [str(step) for step in self.setting("trainer.steps", None) or []]

    @property
    def numbers(self) -> Mapping[str, range]:
        """Iterations of each step of a pipeline."""
        return iterations_of(self.steps, int(self.setting("trainer.expert_iter.iterations", 1)))

    def phase_before(self, step: str) -> str:
        """Return the phase of the evaluation that a step of a pipeline began with."""
        trained = [s for s in self.steps[: self.steps.index(step)] if s != TEACH]
        return self._phase_of(trained[-1]) if trained else "before"

    def _phase_of(self, step: str) -> str:
        """Phase of the completions of a step's evaluation: expert iteration measures each round."""
        return f"iter_{self.numbers[step][-1]}" if step == "expert_iter" else f"after_{step}"

    @property
    def _reached(self) -> str:
        """The last step of a pipeline that trained and was evaluated; '' where none was."""
        done = [s for s in self.steps if s != TEACH and f"after_{s}" in self.evaluations]
        return done[-1] if done else ""

    @property
    def before(self) -> Evaluation | None:
        """Model N, or the one model of a run that evaluates alone."""
        others = [e for name, e in self.evaluations.items() if not _trained(name)]
        return self.evaluations.get("before", others[0] if others else None)

    @property
    def last_iteration(self) -> int:
        """The last iteration that was evaluated; 0 where none was."""
        return max([0, *(int(name[5:]) for name in self.evaluations if name.startswith("iter_"))])

    @property
    def after(self) -> Evaluation | None:
        """Model N+1: the run's last, or the last iteration reached by an unfinished run."""
        last = f"after_{self._reached}" if self.steps else f"iter_{self.last_iteration}"
        return self.evaluations.get("after", self.evaluations.get(last))

    @property
    def after_phase(self) -> str:
        """Phase of the completions that `after` was scored on."""
        if self._reached:
            return self._phase_of(self._reached)
        return "after" if "after" in self.completions else f"iter_{self.last_iteration}"

    @property
    def finished(self) -> bool:
        """Whether a training run reached its last evaluation; other stages end with their own.

        One that goes on further has the evaluation of its earlier end, and is not finished.
        """
        if self.stage not in ("", "train"):
            return True
        if (self.path / "value" / "report.json").exists():
            return True
        state = self.document("checkpoints/state.json")
        last = f"publish/{self.setting('trainer.iterations', 1)}"
        if self.steps:
            last = f"publish/{self.numbers[self.steps[-1]][-1]}"
        goes_on = state is not None and last not in state["finished"]
        return "after" in self.evaluations and not goes_on

    def document(self, name: str) -> Row | None:
        """Return what a JSON file of the run says; None where the run has no such file."""
        path = self.path / name
        return dict(read_json(path)) if path.exists() else None

    def rows(self, phase: str) -> list[Row]:
        """Rows of metrics.jsonl of one phase, in order."""
        return [row for row in self.metrics if row.get("phase") == phase]


@functools.lru_cache(maxsize=2)  # a page asks hundreds of times, and YAML is slow to read
def _parsed(config: str) -> Any:
    return OmegaConf.create(config)


def read_run(folder: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        AxiomError: if there is no such folder, or a file in it is damaged, naming it.
    """
    if not folder.is_dir():
        raise AxiomError(f"no such run folder: {folder}; runs are in outputs/<name>/<timestamp>")
    config = folder / "config.yaml"
    evaluations = {
        path.stem: read_evaluation(path)
        for path in sorted((folder / "evaluation").glob("*.json"), key=_natural)
    }
    return RunFolder(
        path=folder,
        config=config.read_text(encoding="utf-8") if config.exists() else "",
        stage=_stage(config) if config.exists() else "",
        sessions=read_sessions(folder),
        metrics=read_metrics(folder),
        evaluations={k: e for k, e in evaluations.items() if not k.startswith(FORGETTING)},
        completions={
            path.stem: list(read_jsonl(path))
            for path in sorted((folder / "completions").glob("*.jsonl"), key=_natural)
        },
        solutions={
            int(path.stem.removeprefix("iter_")): sum(1 for _row in read_jsonl(path))
            for path in sorted((folder / "solutions").glob("iter_*.jsonl"), key=_natural)
        },
        problems={
            problem.id: problem
            for path in sorted((folder / "problems").glob("*.jsonl"))
            for problem in read_problems(path, judged=False)
        },
        forgetting=_forgetting(evaluations),
        claims=read_claims(folder),
        plan=read_plan(folder),
    )


def _forgetting(
    evaluations: Mapping[str, Evaluation],
) -> dict[str, tuple[Evaluation, Evaluation | None]]:
    """Pair forgetting_<family>_before with forgetting_<family>_after."""
    pairs = {}
    for name, before in evaluations.items():
        if name.startswith(FORGETTING) and name.endswith("_before"):
            family = name.removeprefix(FORGETTING).removesuffix("_before")
            pairs[family] = before, evaluations.get(f"{FORGETTING}{family}_after")
    return pairs


def _trained(name: str) -> bool:
    return name.startswith(("after", "iter_")) or name == "teacher"


def _stage(config: Path) -> str:
    return str(OmegaConf.select(OmegaConf.load(config), "stage.kind", default="") or "")


def _natural(path: Path) -> tuple[int, int, str]:
    """Sort before, then iterations by number, then after."""
    name, _underscore, number = path.stem.rpartition("_")
    order = {"before": 0, "after": 2}.get(path.stem, 1)
    return order, int(number) if number.isdecimal() else 0, name
