"""Programs for problems that have examples and no hidden tests: sample, search, write down."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axiom_rl.config import SelectConfig
from axiom_rl.core.files import write_jsonl
from axiom_rl.core.types import Problem
from axiom_rl.rollouts.draw import Drawn, draw_rollouts, stopped_early
from axiom_rl.rollouts.judge import JudgedBy
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import Sampler
from axiom_rl.sampling.base import EarlyStopping, StoppingSampler
from axiom_rl.search import registry
from axiom_rl.search.execute import FILE, Executions, gather
from axiom_rl.search.material import Material, sampled, with_values
from axiom_rl.search.public import public_side
from axiom_rl.search.registry import Choice
from axiom_rl.search.sharing.need import evidence
from axiom_rl.search.sharing.rounds import ceiling, first_round, next_round, part_of
from axiom_rl.search.written import FILE as WRITTEN
from axiom_rl.search.written import draw_written
from axiom_rl.verify import Verifier

log = logging.getLogger(__name__)

SCHEMA = 1
PHASE = "solve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Solving:
    """How programs are drawn and chosen."""

    sampler: Callable[[], Sampler]
    verifier: Verifier
    search: SelectConfig
    style: str
    samples: int
    """Of each problem, or on average where search.allocation=need."""
    seed: int
    model_name: str
    valued: Callable[[Sequence[tuple[Problem, Rollout]]], Mapping[tuple[str, int], float]] | None
    """Each sample's probability to pass, by problem id and sample; None without a head."""
    calibrated_on: str | None
    """What the probabilities are of; None without a head."""
    early: EarlyStopping | None
    """Stops hopeless samples while they are drawn; None draws all to their end. Tests that the
    model writes are always drawn to their end."""


def solve(folder: Path, problems: Sequence[Problem], solving: Solving, output: Path) -> Drawn:
    """Draw samples, choose one for each problem, and write the choices to `output`.

    Nothing is judged by hidden tests, even where a problem has some. A row of `output` is the
    chosen program (None where no sample holds one), how many samples agree with it, which public
    tests it passes (`passes`, by position from 0), and a probability that is None without a head.

    Returns:
        The samples that were chosen from, and what they cost.
    """
    if solving.search.allocation == "need":
        materials, drawn = _drawn_by_need(folder, problems, solving)
    else:
        counts = dict.fromkeys((problem.id for problem in problems), solving.samples)
        materials, drawn = _drawn(folder, problems, solving, counts)
    stopped = Counter(x.completion.problem_id for x in drawn.rollouts if x.completion.stopped)
    executions = Executions(folder / FILE, solving.verifier)
    rows = [
        row
        | {"passes": _passes(executions, materials[row["problem_id"]], row["code"])}
        | {"stopped": stopped[row["problem_id"]]}
        for row in _chosen(materials, solving)
    ]
    write_jsonl(output, rows)
    for row in rows:
        log.info("%s", _line(row))
    if solving.early is not None:
        log.info("%s", stopped_line(drawn))
    return drawn


def stopped_line(drawn: Drawn) -> str:
    """Say what early stopping saved."""
    found = stopped_early(drawn.rollouts)
    tokens = sum(item.completion.completion_tokens for item in drawn.rollouts)
    if not found:
        return f"stopped early: none of {len(drawn.rollouts)} samples ({tokens} tokens)"
    return (
        f"stopped early: {found['stopped_samples']} of {len(drawn.rollouts)} samples, after "
        f"{found['stopped_tokens']} of the {tokens} tokens drawn; some {found['saved_tokens']} "
        "more are saved, if they had become as long as the others"
    )


def _drawn(
    folder: Path, problems: Sequence[Problem], solving: Solving, counts: Mapping[str, int]
) -> tuple[dict[str, Material], Drawn]:
    """Draw what is not drawn yet of so many samples of each problem; return what is known of them.

    Samples on disk beyond these counts, of an interrupted round, take no part.
    """
    early = solving.early
    drawn = draw_rollouts(
        folder / "completions" / f"{PHASE}.jsonl",
        [JudgedBy(problem=problem, hidden=False) for problem in problems],
        {key: range(count) for key, count in counts.items()},
        sampler=solving.sampler if early is None else lambda: _stopping(solving.sampler(), early),
        verifier=solving.verifier,
        style=solving.style,
        stream=f"{solving.seed}/{PHASE}",
        iteration=0,
    )
    by_id = {problem.id: problem for problem in problems}
    items = [
        (by_id[item.completion.problem_id], item)
        for item in drawn.rollouts
        if item.completion.sample < counts[item.completion.problem_id]
    ]
    public = [public_side(problem) for problem in problems]
    written = None
    if solving.search.written_tests:
        written = draw_written(
            folder / WRITTEN,
            public,
            solving.search.written_tests,
            solving.sampler,
            f"{solving.seed}/written",
        )
    materials = gather(
        Executions(folder / FILE, solving.verifier),
        public,
        {
            key: [sampled(item.completion, item.code) for of, item in items if of.id == key]
            for key in counts
        },
        inputs=solving.search.inputs,
        time_limit_s=solving.search.time_limit_s,
        seed=solving.seed,
        written=None if written is None else written.tests,
    )
    if solving.valued is not None:
        whole = [(problem, item) for problem, item in items if not item.completion.stopped]
        stopped = [(p.id, item.completion.sample) for p, item in items if item.completion.stopped]
        # What holds no program does not pass.
        at_end = {**solving.valued(whole), **dict.fromkeys(stopped, 0.0)}
        materials = {key: with_values(each, at_end) for key, each in materials.items()}
    return materials, replace(drawn, rollouts=tuple(item for _problem, item in items))


def _stopping(sampler: Sampler, early: EarlyStopping) -> Sampler:
    assert isinstance(sampler, StoppingSampler)  # others are refused before they are opened
    return sampler.stopping(early)


def _drawn_by_need(
    folder: Path, problems: Sequence[Problem], solving: Solving
) -> tuple[dict[str, Material], Drawn]:
    """Draw solving.samples of each problem on average, round by round, by what is known so far.

    What a round adds follows from the samples of the rounds before it, so a run that was killed
    draws the same ones. A problem of which nothing tells a need gets the even share.
    """
    share, before = solving.samples, Drawn(rollouts=())
    counts = {problem.id: first_round(share) for problem in problems}
    while True:
        materials, drawn = _drawn(folder, problems, solving, counts)
        before = replace(before + drawn, rollouts=drawn.rollouts)
        known = {key: evidence(each) for key, each in materials.items()}
        shared = {key: counts[key] for key, each in known.items() if each.tells}
        rest = {key: share for key in known if key not in shared}
        budget, spent = share * len(shared), sum(shared.values())
        given = next_round(
            {key: known[key].need(range(counts[key])) for key in shared},
            shared,
            ceiling(share, shared),
            part_of(budget, spent),
        )
        if not given and all(counts[key] == share for key in rest):
            log.info(
                "shared by need: %d samples, %d to %d a problem",
                sum(counts.values()),
                min(counts.values()),
                max(counts.values()),
            )
            return materials, before
        counts = rest | {key: shared[key] + given.count(key) for key in shared}
        log.info("shared by need: %d of %d samples drawn", spent, budget)


def _chosen(materials: Mapping[str, Material], solving: Solving) -> list[dict[str, Any]]:
    """Choose; where the selector lacks something, as on problems without inputs, it falls back."""
    selector = registry.get(solving.search.selector)
    return [
        _solved(material, selector.chosen(material, range(len(material.samples))), solving)
        for material in materials.values()
    ]


def _passes(executions: Executions, material: Material, code: str | None) -> list[int] | None:
    """Return which examples a program passes, by position; None in rows of older versions."""
    judged = executions.public([(material.problem, code)] if code else [])
    return next((row.get("passes") for row in judged.values()), [])


def _solved(material: Material, choice: Choice, solving: Solving) -> dict[str, Any]:
    sample = material.samples[choice.place]
    return {
        "schema": SCHEMA,
        "problem_id": material.problem.id,
        "problem_title": material.problem.title,
        "code": sample.code,
        "selector": solving.search.selector,
        "sample": sample.sample,
        "samples": len(material.samples),
        "public_tests": len(material.problem.public_tests),
        "public_passed": material.public_passed[choice.place],
        "survivors": len(material.survivors),
        "agreeing": choice.agreeing,
        "voters": choice.voters,
        "tied": choice.tied,
        "majority": choice.majority,
        "inputs": len(material.inputs),
        "probability": None if material.values is None else material.values[choice.place],
        "calibrated_on": solving.calibrated_on,
        "model_name": solving.model_name,
    }


def _line(row: Mapping[str, Any]) -> str:
    name = row["problem_id"]
    if row["code"] is None:
        return f"{name}: none of {row['samples']} samples holds a program"
    tests = f"{row['public_passed']} of {row['public_tests']} examples"
    if row["public_passed"] < row["public_tests"]:
        return f"{name}: NOT SOLVED, the best of {row['samples']} programs passes {tests}"
    agree = f"; {row['agreeing']} of {row['voters']} that do agree with it" if row["voters"] else ""
    if row["voters"] == 1 < row["samples"]:  # as a program does that knows the examples by heart
        agree = f"; it alone of {row['samples']} programs does, so that nothing agrees with it"
    known = row["probability"]
    chance = "" if known is None else f"; probability {known:.2f} ({row['calibrated_on']})"
    return f"{name}: passes {tests}{agree}{', tied' if row['tied'] else ''}{chance}"
