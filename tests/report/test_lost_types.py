"""A type that was there before training and is gone after it stands in the report's first line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_run import MODEL, SAMPLER

from axiom_rl.config import load_config
from axiom_rl.core.text import MINUS
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.evaluation.forgetting import TypeBaseline, type_changes, write_types
from axiom_rl.evaluation.score import Evaluation, score, write_evaluation
from axiom_rl.problems import make_problem
from axiom_rl.report.closing import closing_lines
from axiom_rl.report.page import write_report
from axiom_rl.run.tracking import Tracker

COUNT = 8


def evaluation(passed: Mapping[str, int]) -> Evaluation:
    """Three problems of each type with eight samples; `passed` of their 24 pass."""
    problems = [
        make_problem(of, difficulty=1, split="test", index=i) for of in passed for i in range(3)
    ]
    completions, verdicts = [], list[Verdict]()
    left = dict(passed)
    for problem in problems:
        for sample in range(COUNT):
            is_right = left[problem.type] > 0
            left[problem.type] -= 1
            completions.append(_completion(problem, sample))
            status = Status.ACCEPTED if is_right else Status.WRONG_ANSWER
            verdicts.append(
                Verdict(status=status, passed=is_right, pass_fraction=is_right, total_tests=1)
            )
    return score(
        problems, completions, verdicts, split="test", model=MODEL, sampler=SAMPLER, seed=0
    )


def _completion(problem: Problem, sample: int) -> Completion:
    return Completion(
        problem_id=problem.id, sample=sample, text="", prompt_tokens=1, completion_tokens=1,
        truncated=False,
    )  # fmt: skip


def write_run(
    folder: Path,
    own: Mapping[str, tuple[int, int]],
    basic: Mapping[str, tuple[int, int]] | None = None,
    trained: tuple[str, ...] = (),
) -> Path:
    Tracker(folder).log("train", 1, step=1, reward=0.5)
    for when, place in (("before", 0), ("after", 1)):
        found = evaluation({of: counts[place] for of, counts in own.items()})
        write_evaluation(folder / "evaluation" / f"{when}.json", found)
        if basic:
            watched = evaluation({of: counts[place] for of, counts in basic.items()})
            write_evaluation(folder / "evaluation" / f"forgetting_basic_{when}.json", watched)
    types = {
        of: TypeBaseline(passed=15 if of not in trained else 5, samples=16, trained=of in trained)
        for of in own
    }
    write_types(folder, types)
    return folder


def said(folder: Path) -> tuple[str, str]:
    """Return the report's first line and its part on forgetting."""
    headline = write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text.splitlines()[2] == f"**{headline}**"
    return headline, text.partition("## What was forgotten")[2].partition("\n## ")[0]


def test_a_left_out_type_that_is_lost_is_named_first_and_last(tmp_path: Path) -> None:
    """The second seed of the results page: lcs from 21 to 0 of 24, left out, the rest better."""
    own = {"lcs": (21, 0), "lis": (8, 24), "knapsack": (4, 24), "n_queens": (0, 0)}
    folder = write_run(tmp_path, own, trained=("lis", "knapsack"))
    headline, text = said(folder)
    lost = "Lost: lcs (21 of 24 before, 0 of 24 after; left out of training)."
    assert headline.endswith(f". {lost}") and "34.4 % → 50.0 %" in headline
    assert f"| lcs | 15 of 16 | 21 of 24 | 0 of 24 | {MINUS}87.5 points | lost |" in text
    assert "| n_queens | 15 of 16 | 0 of 24 | 0 of 24 |" in text and "| lis |" not in text
    config = load_config("trainer=grpo", "problems=hard")
    assert lost in closing_lines(config, folder, headline)[0]


@pytest.mark.parametrize(
    ("counts", "lost"),
    [
        ((21, 9), True),
        ((24, 20), False),  # 17 points, which chance explains
        ((13, 1), True),
        ((12, 0), False),  # half, not more
        ((11, 0), False),
        ((24, 24), False),
    ],
)
def test_lost_is_more_than_half_before_and_a_fall_beyond_chance(
    tmp_path: Path, counts: tuple[int, int], lost: bool
) -> None:
    headline, _text = said(write_run(tmp_path, {"lcs": counts, "lis": (8, 9)}))
    assert ("Lost: lcs" in headline) == lost


def test_a_type_that_is_trained_on_and_one_of_a_watched_family_are_named_as_such(
    tmp_path: Path,
) -> None:
    basic = {"two_sum": (24, 2), "fizzbuzz": (20, 21)}
    folder = write_run(tmp_path, {"lis": (24, 3), "lcs": (20, 20)}, basic, trained=("lis",))
    headline, text = said(folder)
    assert "lis (24 of 24 before, 3 of 24 after; trained on)" in headline
    assert "two_sum (24 of 24 before, 2 of 24 after; of basic, not in training)" in headline
    assert "fizzbuzz (" not in headline and "lcs (" not in headline
    assert "| lcs | 15 of 16 | 20 of 24 | 20 of 24 | " in text


def test_a_small_fall_of_many_samples_is_told_and_not_lost() -> None:
    many = [evaluation({"lcs": 23}), evaluation({"lcs": 22})]
    (change,) = type_changes({"": (many[0], many[1])})
    assert not change.is_told and not change.is_lost
    assert change.difference == pytest.approx(-1 / 24)


def test_best_of_k_stands_before_and_after_for_every_k(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {"lis": (8, 24), "lcs": (24, 24)}, trained=("lis",))
    said(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    part = text.partition("## GRPO step by step")[2].partition("\n## ")[0]
    found = [line for line in part.splitlines() if line.startswith("| pass@")]
    assert [line.split(" | ")[0].strip("| ") for line in found] == [
        f"pass@{k}" for k in range(1, 9)
    ]
    assert "| pass@1 | 66.7 % | 100.0 % | +33.3 points (" in found[0]
    assert "| pass@8 | 66.7 % | 100.0 % | +33.3" in found[7], "one of three of lis was solved"
