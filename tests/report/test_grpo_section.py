"""The report of a run of GRPO: curves over steps, where time went, what was forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_grpo import TYPES, make_grpo_run

from axiom_rl.report.charts import PRINT, Series, _draw
from axiom_rl.report.page import write_report
from axiom_rl.report.run_folder import read_run
from axiom_rl.report.sections.grpo import _summary
from axiom_rl.run.tracking import Tracker


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_grpo_run(tmp_path_factory.mktemp("runs") / "grpo")
    write_report(run)
    return run


def section(run: Path, title: str) -> str:
    text = (run / "report.md").read_text(encoding="utf-8")
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in cells}


def test_every_curve_of_the_policy_is_drawn(finished: Path) -> None:
    text = section(finished, "GRPO step by step")
    names = ("reward", "signal", "entropy", "lengths", "truncated", "logprob_gap",
             "rollout_verdicts", "levels")  # fmt: skip
    assert re.findall(r"\]\(charts/(\w+)\.png\)", text) == [*names]
    for name in names:
        assert (finished / "charts" / f"{name}.png").stat().st_size > 1000
    assert "20 steps of GRPO. On average 39.5 % of the groups gave no signal." in text


def test_the_steps_are_summed_up_by_their_first_and_last_tenth(finished: Path) -> None:
    text = section(finished, "GRPO step by step")
    assert "| mean of | first 2 steps | last 2 steps | all steps |" in text
    table = rows(text)
    assert table["groups without signal"] == ["48.5 %", "30.5 %", "39.5 %"]
    assert table["KL to the start (nats per token)"][0] == "0.0015"
    assert table["lis"] == ["1", "3", "3"], "levels: first, last, highest"
    assert float(table["accepted"][1].removesuffix(" %")) > 40


def test_several_rewards_are_told_apart() -> None:
    """One alone is the reward itself."""
    both = [{"step": n, "reward": n, "rewards": {"binary": 1.0, "mine": 0.5 * n}} for n in (1, 2)]
    table = {cells[0]: cells[1:] for cells in _summary(both).rows}
    assert table["mean reward"] == ["1.000", "2.000", "1.500"]
    assert table["of it mine, before its weight"] == ["0.500", "1.000", "0.750"]
    assert list(table)[1] == "of it binary, before its weight"
    alone = [row | {"rewards": {"binary": 1.0}} for row in both]
    assert len(_summary(alone).rows) == 1


def test_the_seconds_of_a_step_are_broken_down(finished: Path) -> None:
    text = section(finished, "Time and tokens")
    assert "charts/step_seconds.png" in text
    table = rows(text)
    assert table["verification"] == ["40.0 s", "2.0 s", "5.0 %"]
    assert table["all"][:2] == ["13 min 20 s", "40.0 s"]


def test_evaluations_during_training_are_not_counted_twice(finished: Path) -> None:
    text = section(finished, "Time and tokens")
    assert "In all 13 min 40 s and 60,900 tokens" in text
    assert "| evaluate at step 10 | 1 | 7.0 s |  | 100 |" in text
    assert "| train | 1 | 13 min 20 s | 97.6 % |" in text
    assert "| evaluate | 1 | 20.0 s | 2.4 % |" in text


def test_learning_curves_run_over_steps_and_leave_other_families_out(finished: Path) -> None:
    text = section(finished, "Learning curves")
    assert "Pass rate by step and split" in text
    places = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert places == ["0", "0", "5", "10", "15", "20", "20"], "after training is step 20"
    assert text.count("| test |") == 2, "rows of forgetting are no test rows"
    assert "train rollouts" in (finished / "report.html").read_text()


def test_what_was_forgotten_is_told_by_the_method_of_the_headline(finished: Path) -> None:
    text = section(finished, "What was forgotten")
    assert "Worse than before: basic." in text
    assert "easy: whether anything was lost cannot be told; these samples find a loss of" in text
    table = [line for line in text.splitlines() if " points (" in line]
    assert [row.split(" | ")[0].strip("| ") for row in table] == ["basic", "easy"]
    assert table[0].endswith("| worse |")
    assert table[1].endswith("| cannot tell from this much data |")
    assert "Bonferroni" in text


def test_forgetting_is_no_headline_and_no_iteration(finished: Path) -> None:
    run = read_run(finished)
    assert [*run.evaluations] == ["before", "after"]
    assert run.before is not None and run.before.split == "test"
    text = (finished / "report.md").read_text()
    assert text.splitlines()[2].startswith("**Model N+1 is better than model N")


def test_types_and_levels_are_compared(finished: Path) -> None:
    text = section(finished, "Problem by problem")
    assert all(f"| {name} | 8 |" in text for name in TYPES)
    assert "| level 3 | 6 |" in text


@pytest.mark.slow
def test_an_unfinished_run_says_what_is_missing(tmp_path: Path) -> None:
    write_report(make_grpo_run(tmp_path / "grpo", steps=3, finished=False))
    text = (tmp_path / "grpo" / "report.md").read_text()
    assert "basic: not evaluated after training yet." in text
    assert "3 steps of GRPO" in text
    assert "better" not in text.splitlines()[2]


def test_negative_numbers_are_inside_the_chart() -> None:
    lines = [Series("loss", [1, 2, 3], [-0.2, 0.1, 0.3])]
    figure = _draw(lines, "step", "loss", False, PRINT)
    assert figure.axes[0].get_ylim()[0] < -0.2
    figure = _draw([Series("loss", [1, 2], [0.2, 0.3])], "step", "loss", False, PRINT)
    assert figure.axes[0].get_ylim()[0] == 0


def test_one_step_with_few_columns_is_enough(tmp_path: Path) -> None:
    columns = {"seconds": 3.0, "training_seconds": 3.0, "stage": 2, "extra_groups": 0}
    Tracker(tmp_path).log("train", 1, step=1, reward=0.5, **columns)
    write_report(tmp_path)
    text = section(tmp_path, "GRPO step by step")
    assert rows(text)["mean reward"] == ["0.500", "0.500", "0.500"]
    assert "charts/entropy.png" not in text
    assert rows(text)["all types"] == ["2", "2", "2"], "the ladder has one stage for all"
    assert rows(section(tmp_path, "Time and tokens"))["training"] == ["3.0 s", "3.0 s", "100.0 %"]
