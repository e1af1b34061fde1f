"""The same sample of two runs, side by side: same problem, same number, same prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from axiom_rl.evaluation.compare import Comparison
from axiom_rl.report.blocks import Samples, anchor, harmless
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.report.sections.samples import FailedTests, passed, prompt_of, shown_sample

MOST_PROBLEMS = 60
"""On the page, for each pair of runs."""


@dataclass(frozen=True, slots=True)
class Side:
    """The samples of one side."""

    name: str
    run: RunFolder
    phase: str

    def by_problem(self) -> dict[str, dict[int, Row]]:
        """Return the rows by problem and number."""
        found: dict[str, dict[int, Row]] = defaultdict(dict)
        for row in self.run.completions.get(self.phase, ()):
            found[row["problem_id"]][row["sample"]] = row
        return found


def pairs_of(one: Side, other: Side, comparison: Comparison, number: int) -> list[Samples]:
    """Return one pair of samples of each problem, in the order of the comparison.

    Args:
        one: the base.
        other: what is compared with it.
        comparison: of the two.
        number: of the pair of runs on the page.
    """
    found = []
    for problem_id, (left, right) in _chosen(one, other, comparison).items():
        run = one.run if problem_id in one.run.problems else other.run
        problem = run.problems.get(problem_id)
        sides = (one, left), (other, right)
        words = ", ".join(f"{side.name} {_outcome(row)}" for side, row in sides)
        title = problem.title if problem and problem.title else problem_id
        found.append(
            Samples(
                title=harmless(f"{title} ({problem_id}), sample {left['sample']}: {words}"),
                prompt=prompt_of(run, problem) if problem else "",
                samples=[
                    shown_sample(row, FailedTests(side.run, problem), side.name)
                    for side, row in sides
                ],
                anchor=anchor(f"pair{number}", problem_id),
                side_by_side=True,
            )
        )
    return found


def pair_links(
    one: Side | None, other: Side | None, comparison: Comparison, number: int
) -> dict[str, str]:
    """Return where on the page the pair of each problem stands, by its id."""
    if one is None or other is None:
        return {}
    shown = _chosen(one, other, comparison)
    return {problem_id: f"#{anchor(f'pair{number}', problem_id)}" for problem_id in shown}


def _chosen(one: Side, other: Side, comparison: Comparison) -> Mapping[str, tuple[Row, Row]]:
    """Choose of each problem the first sample that one passes and the other fails, or the first."""
    chosen: dict[str, tuple[Row, Row]] = {}
    ours, theirs = one.by_problem(), other.by_problem()
    for change in comparison.problems:
        left, right = ours[change.id], theirs[change.id]
        shared = sorted(left.keys() & right.keys())
        if shared and len(chosen) < MOST_PROBLEMS:
            unlike = [n for n in shared if passed(left[n]) != passed(right[n])]
            place = (unlike or shared)[0]
            chosen[change.id] = (left[place], right[place])
    return chosen


def _outcome(row: Row) -> str:
    return "passes" if passed(row) else "fails"
