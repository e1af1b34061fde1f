"""What leads where: from problems to samples, from comparisons to runs, from sweeps to jobs."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from fake_grpo import make_grpo_run
from fake_run import make_run

from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.report.blocks import Chart, Link, Table, anchor, link_to
from axiom_rl.report.page import write_report
from axiom_rl.report.render import gathered, to_html
from axiom_rl.report.runs import compare_runs
from axiom_rl.report.sweep.page import write_sweep
from axiom_rl.report.sweep.scores import short_names
from axiom_rl.run.sweep_jobs import Job


def links(page: Path) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'href="([^"]*)"', page.read_text())]


def inside(page: Path) -> set[str]:
    return {f"#{html.unescape(i)}" for i in re.findall(r'\bid="([^"]*)"', page.read_text())}


def check_links(page: Path) -> list[str]:
    """Every link leads to a place of the page or to a file that is there."""
    found = links(page)
    for target in found:
        if target.startswith("#"):
            assert target in inside(page), target
        else:
            assert (page.parent / unquote(target)).exists(), target
    return found


@pytest.mark.parametrize("make", [make_run, pytest.param(make_grpo_run, marks=pytest.mark.slow)])
def test_problems_lead_to_their_samples(make, tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    write_report(run)
    found = check_links(run / "report.html")
    assert sum(target.startswith("#samples-") for target in found) >= 10
    text = (run / "report.html").read_text()
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids)), "charts do not repeat ids either"


@pytest.mark.slow
def test_a_comparison_leads_to_its_runs_and_shows_one_sample_of_both(tmp_path: Path) -> None:
    runs = [make_grpo_run(tmp_path / "train" / name, steps=steps) for name, steps in
            (("first run", 10), ("second, #2", 15))]  # fmt: skip
    for run in runs:
        (run / "report.html").touch()
    path = runs[1] / "completions" / "after.jsonl"
    rows = [row | {"text": f"other {row['sample']}"} for row in read_jsonl(path)]
    write_jsonl(path, rows[1:])  # the first sample is there once only
    out = tmp_path / "compare" / "now"
    compare_runs(runs, out)
    found = check_links(out / "comparison.html")
    assert "./../../train/second%2C%20%232/report.html" in found
    assert sum(target.startswith("#pair0-") for target in found) == 24
    text = (out / "comparison.html").read_text()
    for part in ("Comparison: first run, second, #2", "Pass rate on val",
                 "Mean reward of the rollouts", "Verdicts of the samples:", "wrong answer",
                 "second, #2 · sample"):  # fmt: skip
        assert part in text, part
    assert text.count('class="pair"') == 24 and text.count('class="problem"') == 24
    sides = re.findall(r'class="sample" data-status="([\w ]+)"', text)
    assert len(sides) == 48 and {"accepted", "wrong answer"} <= set(sides)
    markdown = (out / "comparison.md").read_text()
    assert "[second, #2](./../../train/second%2C%20%232/report.html)" in markdown
    assert (out / "charts" / "compared_reward.png").is_file()
    for name in re.findall(r"\]\((charts/[^)]*)\)", markdown):
        assert (out / name).is_file()


def test_an_evaluation_file_in_a_run_has_the_samples_of_that_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    write_report(run)
    files = [run / "evaluation" / f"{name}.json" for name in ("before", "after")]
    compare_runs(files, tmp_path / "out")
    check_links(tmp_path / "out" / "comparison.html")
    text = (tmp_path / "out" / "comparison.html").read_text()
    assert text.count('class="pair"') == 10 and "before against" not in text
    alone = [path.rename(tmp_path / path.name) for path in files]
    compare_runs(alone, tmp_path / "out")
    assert 'class="pair"' not in (tmp_path / "out" / "comparison.html").read_text()


def test_a_sweep_leads_to_its_jobs_and_names_what_varies_alone(tmp_path: Path) -> None:
    for number, rate in enumerate(("1e-5", "1e-4", "1e-3")):
        folder = tmp_path / str(number)
        asked = ("trainer=grpo", f"trainer.args.learning_rate={rate}", "+model.lora.r=8")
        Job(number=number, folder=folder, overrides=asked, error="no" if number == 2 else "",
            status="failed" if number == 2 else "done").write()  # fmt: skip
        if number < 2:
            write_report(make_run(folder))
    (tmp_path / "2" / "job.log").write_text("error: no")
    headline = write_sweep(tmp_path)
    found = check_links(tmp_path / "sweep.html")
    assert {"./0/report.html", "./1/report.html", "./2/job.log"} <= set(found)
    text = (tmp_path / "sweep.md").read_text()
    assert "Best of 2: learning_rate=1e-" in headline and "trainer" not in headline
    assert "Every job was asked: trainer=grpo +model.lora.r=8" in text
    assert "The best, as it is typed: trainer.args.learning_rate=1e-" in text
    assert "| [job 0](./0/report.html) |" in text and "| learning_rate=1e-3 | [job.log]" in text


def test_names_are_as_short_as_tells_them_apart() -> None:
    keys = ["trainer.args.learning_rate", "model.lora.r", "other.lora.r", "seed", "r"]
    assert [*short_names(keys).values()] == ["learning_rate", "model.lora.r", "other.lora.r",
                                             "seed", "r"]  # fmt: skip


def test_links_stay_paths_whatever_folders_are_named(tmp_path: Path) -> None:
    for name in ("javascript:x", "a b#?%", "ü\udcff", "..x"):
        link = link_to(tmp_path / name / "report.html", "x", tmp_path)
        assert link.href.startswith("./") and not set(link.href) & set("#? \"'<>")
    assert anchor("a", "x/y\ud800") == "a-x%2Fy%5Cud800"


def test_charts_that_follow_each_other_are_gathered() -> None:
    chart, table = Chart("<svg/>", "a.png", "c"), Table([], [[Link("a", "#a")]])
    assert gathered([chart, chart, table, chart]) == [(chart, chart), table, (chart,)]
    assert to_html  # what the template does with them: tests/report/test_browser.py
