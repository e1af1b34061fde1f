"""What can be compared: a run folder, an adapter in one, or an evaluation file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.score import Evaluation, read_evaluation
from axiom_rl.report.run_folder import RunFolder, read_run

ADAPTER = "adapter_config.json"
"""What PEFT writes beside the weights of an adapter."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing compared: its name, its evaluation, its configuration where it is known."""

    name: str
    evaluation: Evaluation
    config: str


def find_entry(path: Path, name: str) -> Entry:
    """Return the evaluation that a path stands for.

    Args:
        path: an evaluation file; a run folder, whose last evaluation counts; or an adapter in a
            run folder (adapter, checkpoints/iter_K/adapter), whose own evaluation counts.
        name: for the page.

    Raises:
        AxiomError: if there is no such evaluation, saying what to type.
    """
    if path.is_file():
        return Entry(name, read_evaluation(path), "")
    if (path / ADAPTER).is_file():
        return _adapter_entry(path, name)
    run = read_run(path)
    evaluation = run.after or run.before
    if evaluation is None:
        raise AxiomError(f"{path} holds no evaluation; finish it with resume={path}")
    if run.after is None and run.setting("stage.kind", "") == "train":
        raise AxiomError(
            f"{path} was not evaluated after training; finish it with resume={path}, or compare "
            f"the model that it begins with: {path}/evaluation/before.json"
        )
    return Entry(name, evaluation, run.config)


def _adapter_entry(path: Path, name: str) -> Entry:
    place = path.resolve()
    run = next(
        (read_run(p) for p in (place.parent, place.parent.parent.parent) if _is_run(p)), None
    )
    evaluation = _evaluation_of(run, place) if run else None
    if run is None or evaluation is None:
        raise AxiomError(
            f"{path}: this adapter was not evaluated yet; run python launch.py stage=evaluate "
            f"model.adapter={path} with the problems of the others, and give the folder that it "
            "writes in the place of the adapter"
        )
    return Entry(name, evaluation, run.config)


def _evaluation_of(run: RunFolder, adapter: Path) -> Evaluation | None:
    """RUN/adapter is the last one; RUN/checkpoints/iter_K/adapter that of iteration K."""
    if adapter.parent == run.path:
        return run.after
    return run.evaluations.get(adapter.parent.name)


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()
