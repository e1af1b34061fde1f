"""Neighbours of a sweep: each value against the next one typed, paired by problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import BASIC, evaluation

from axiom_rl.core.files import write_json
from axiom_rl.evaluation.score import write_evaluation
from axiom_rl.report.blocks import Table
from axiom_rl.report.sweep.neighbours import neighbour_blocks, neighbours
from axiom_rl.report.sweep.page import write_sweep
from axiom_rl.run.sweep_jobs import Job
from axiom_rl.run.tracking import Tracker

RATES = {"all": 0.3, "public": 0.9, "hidden": 0.9}


def job(
    folder: Path, number: int, expert: str, rate: float, seed: str = "0", **changes: str
) -> Job:
    made = Job(
        number=number,
        folder=folder / str(number),
        overrides=("experiment=12", f"trainer.expert={expert}", f"seed={seed}"),
        status="done",
    )
    made.write()
    found = evaluation(dict.fromkeys(BASIC, rate), seed=number, **changes)
    (made.folder / "evaluation").mkdir()
    write_evaluation(made.folder / "evaluation" / "after.json", found)
    return made


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    found = []
    for expert, rate in RATES.items():
        for seed in ("1", "2"):
            found.append(job(tmp_path, len(found), expert, rate, seed))
    return found


def test_each_is_compared_with_the_next_over_shared_seeds(jobs: list[Job]) -> None:
    pairs = neighbours(jobs)
    assert [(pair.first, pair.second, pair.seeds) for pair in pairs] == [
        ("all", "public", 2),
        ("public", "hidden", 2),
    ]
    assert pairs[0].difference.low > 0.3
    assert pairs[1].difference.low < 0 < pairs[1].difference.high
    (table,) = [block for block in neighbour_blocks(jobs) if isinstance(block, Table)]
    assert [row[4] for row in table.rows] == ["better", "cannot tell"]
    alone = neighbours([one for one in jobs if one.parameters["seed"] == "1"])
    assert [pair.seeds for pair in alone] == [1, 1]
    width = [p.difference.high - p.difference.low for p in (alone[1], pairs[1])]
    assert width[0] > width[1], "two seeds tell more"


def test_other_tests_or_parameters_are_not_compared(jobs: list[Job], tmp_path: Path) -> None:
    other = job(tmp_path, 9, "other", 0.5, "1", tests="hidden tests")
    moved = evaluation(dict.fromkeys(list(BASIC)[:5], 0.5))
    write_evaluation(other.folder / "evaluation" / "after.json", moved)
    assert len(neighbours([*jobs, other])) == 2
    twofold = Job(number=8, folder=tmp_path, overrides=("model.lora.r=8",), status="done")
    assert neighbours([*jobs, twofold]) == []
    assert neighbours(jobs[:1]) == [] == neighbour_blocks([])


def test_the_sweeps_page_has_them_with_what_each_was_trained_on(
    jobs: list[Job], tmp_path: Path
) -> None:
    one = jobs[0].folder
    share = {"value": 0.84, "low": 0.61, "high": 1.12}
    found = {"expert": "vote", "learned_from": "vote", "retention": {"vote": {"share": share}}}
    write_json(one / "search" / "retention.json", found)
    tracker = Tracker(one)
    tracker.log("timing", 1, name="train", seconds=9.0, solutions=60, steps=24, row_tokens=9000)
    tracker.log("collect", 1, false_gold_total=0.125)
    write_sweep(tmp_path)
    text = (tmp_path / "sweep.md").read_text()
    assert "## Neighbours" in text and "| all → public |" in text
    assert "| 0 | vote | 60 | 24 | 9,000 | 12.5 % | 0.84 (0.61 to 1.12) |" in text
