"""What a sweep's page says: settings over seeds, what mattered, and what is lacking."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import make_run

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.blocks import Table
from axiom_rl.report.sweep.page import (
    Sweep,
    build_page,
    headline,
    write_sweep,
    write_sweep_so_far,
)
from axiom_rl.report.sweep.scores import Score, difference, job_score, settings_of
from axiom_rl.run.sweep_jobs import Job, read_jobs
from axiom_rl.run.tracking import Tracker


def score(rate: float, half: float = 0.01, tests_sha256: str = "a") -> Score:
    interval = Interval(rate, rate - half, rate + half)
    return Score(interval, "val", "fresh tests", interval, tests_sha256)


def grid(rates: dict[str, list[float]]) -> tuple[list[Job], dict[int, Score]]:
    """Jobs of a grid: learning rate by seed."""
    asked = [(f"lr={lr}", f"seed={seed}") for lr, row in rates.items() for seed in range(len(row))]
    jobs = [
        Job(number=number, folder=Path(str(number)), overrides=overrides, status="done")
        for number, overrides in enumerate(asked)
    ]
    flat = [rate for row in rates.values() for rate in row]
    return jobs, {number: score(rate) for number, rate in enumerate(flat)}


def sweep(jobs: list[Job], scores: dict[int, Score]) -> Sweep:
    return Sweep(
        folder=Path("outputs/s"),
        jobs=jobs,
        scores=scores,
        settings=settings_of(jobs, scores),
        importance={},
    )


def test_settings_are_means_over_seeds_with_students_interval() -> None:
    jobs, scores = grid({"1e-5": [0.30, 0.32, 0.34], "1e-4": [0.60, 0.70, 0.80]})
    best, other = settings_of(jobs, scores)
    assert best.parameters == {"lr": "1e-4"} and [*best.scores] == ["0", "1", "2"]
    assert best.rate.value == pytest.approx(0.7)
    margin = 4.302653 * 0.1 / math.sqrt(3)  # t(0.975, 2), deviation 0.1
    assert best.rate.high - 0.7 == pytest.approx(margin, rel=1e-3)
    gap = difference(best, other, 1)
    assert gap.value == pytest.approx(0.38) and gap.low > 0
    assert difference(best, other, 10).low < gap.low, "widened for more comparisons"


def test_seeds_that_agree_by_chance_are_not_certain() -> None:
    jobs, scores = grid({"1e-4": [0.5, 0.5, 0.5], "1e-5": [0.5, 0.5, 0.5]})
    one, other = settings_of(jobs, scores)
    assert one.rate.high - one.rate.low > 0.01
    assert difference(one, other, 1).low < 0 < difference(one, other, 1).high


def test_one_seed_has_the_interval_of_its_samples() -> None:
    jobs, scores = grid({"1e-4": [0.5], "1e-5": [0.3]})
    one, other = settings_of(jobs, scores)
    assert one.rate == scores[0].rate
    assert difference(one, other, 1).low > 0


def test_what_mattered_is_the_mean_of_each_value_where_more_than_one_parameter_differs() -> None:
    asked = [("lr=1", "r=8"), ("lr=1", "r=16"), ("lr=2", "r=8"), ("lr=2", "r=16")]
    jobs = [
        Job(number=n, folder=Path(str(n)), overrides=(*pair, "seed=0"), status="done")
        for n, pair in enumerate(asked)
    ]
    scores = {n: score(rate) for n, rate in enumerate((0.1, 0.2, 0.6, 0.7))}
    section = next(s for s in build_page(sweep(jobs, scores)).sections if s.title[:4] == "What")
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert table.rows == [
        ["lr", "1", "2", "15.0 %"],
        ["lr", "2", "2", "65.0 %"],
        ["r", "8", "2", "35.0 %"],
        ["r", "16", "2", "45.0 %"],
    ]
    one = build_page(sweep(*grid({"1e-5": [0.3, 0.4], "1e-4": [0.5, 0.6]})))
    assert "What mattered" not in [s.title for s in one.sections], "the settings say it"
    many = [
        Job(number=n, folder=Path(str(n)), overrides=(f"lr={n}", f"r={n}"), status="done")
        for n in range(9)
    ]
    drawn = build_page(sweep(many, {n: score(0.1) for n in range(9)}))
    assert "What mattered" not in [s.title for s in drawn.sections], "a search draws too many"


def test_the_headline_says_what_can_and_cannot_be_told() -> None:
    clear = sweep(*grid({"1e-5": [0.30, 0.32, 0.34], "1e-4": [0.70, 0.71, 0.72]}))
    assert headline(clear).startswith("Best of 2: lr=1e-4, 71.0 %")
    assert "It is better than the second, lr=1e-5, by +39.0 points." in headline(clear)
    assert "mean of 3 seeds" in headline(clear) and "6 of 6 jobs are done." in headline(clear)
    noisy = sweep(*grid({"1e-5": [0.30, 0.60], "1e-4": [0.50, 0.50]}))
    assert "cannot be told" in headline(noisy)
    jobs, _ = grid({"1e-5": [0.3], "1e-4": [0.5]})
    assert headline(sweep(jobs, {})) == "No job has a score. 2 of 2 jobs are done."


def test_scores_on_different_problems_are_not_ranked_in_silence() -> None:
    jobs, scores = grid({"1e-5": [0.3], "1e-4": [0.5]})
    scores[1] = score(0.5, tests_sha256="b")
    page = build_page(sweep(jobs, scores))
    assert "scored on different problems" in str(page.sections[0].blocks[0])


def test_seeds_of_one_setting_have_their_rate_before() -> None:
    jobs, scores = grid({"1e-5": [0.3, 0.5]})
    scores = {number: replace(found, before=0.1 + 0.1 * number) for number, found in scores.items()}
    page = build_page(sweep(jobs, scores))
    assert [section.title for section in page.sections] == ["Settings", "Jobs"]
    table = page.sections[0].blocks[1]
    assert isinstance(table, Table)
    assert dict(zip(table.headers, table.rows[0], strict=True))["before"] == "15.0 %"


def test_a_run_is_scored_on_val_where_it_has_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    found = job_score(folder)
    assert found is not None and found.split == "train" and found.rate == found.headline
    first = read_evaluation(folder / "evaluation" / "before.json").pass_at_1.value
    assert found.before == first != found.rate.value
    val = {"split": "val", "tests": "fresh tests", "low": 0.1, "high": 0.4}
    Tracker(folder).log("evaluate", 0, **val, accuracy=0.15)
    Tracker(folder).log("evaluate", 0, **(val | {"tests": "hidden tests"}), accuracy=0.2)
    Tracker(folder).log("evaluate", 1, **val, accuracy=0.25)
    found = job_score(folder)
    assert found is not None and found.split == "val" and found.rate == Interval(0.25, 0.1, 0.4)
    assert found.before == 0.15
    assert job_score(tmp_path / "nothing") is None


def test_the_page_lists_failed_and_missing_jobs(tmp_path: Path) -> None:
    for number, status in enumerate(("done", "failed", "running")):
        error = "CUDA out of memory | <b>" if status == "failed" else ""
        folder = tmp_path / str(number)
        Job(
            number=number,
            folder=folder,
            overrides=(f"seed={number}",),
            status=status,  # type: ignore[arg-type]
            error=error,
        ).write()
    make_run(tmp_path / "0")
    said = write_sweep(tmp_path)
    assert said.endswith("1 of 3 jobs are done, 1 failed, 1 running.") and "one run" in said
    text = (tmp_path / "sweep.md").read_text()
    assert "CUDA out of memory \\| \\<b>" in text
    assert "&lt;b&gt;" in (tmp_path / "sweep.html").read_text()
    document = read_json(tmp_path / "sweep.json")
    assert document["jobs"] == {"0": "done", "1": "failed", "2": "running"}
    assert document["settings"][0]["by_seed"].keys() == {"0"}


def test_a_folder_that_is_no_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match="no such sweep folder"):
        read_jobs(tmp_path / "x")
    with pytest.raises(AxiomError, match="holds no jobs of a sweep"):
        write_sweep(tmp_path)


def test_the_page_of_a_sweep_that_goes_on_is_html_alone_and_says_so(tmp_path: Path) -> None:
    for number, status in enumerate(("done", "running")):
        folder = tmp_path / str(number)
        make_run(folder)
        Job(number=number, folder=folder, overrides=(f"seed={number}",), status=status).write()
    write_sweep_so_far(tmp_path)
    text = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert "Not final: the sweep goes on" in text and "1 of 2 jobs are done, 1 running" in text
    assert sorted(path.name for path in tmp_path.glob("sweep.*")) == ["sweep.html"]
    write_sweep(tmp_path)
    assert "Not final" not in (tmp_path / "sweep.html").read_text(encoding="utf-8")
