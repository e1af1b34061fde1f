"""What was chosen and how the vote came about, problem by problem, for the report's browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axiom_rl.core.files import write_jsonl
from axiom_rl.evaluation.search.scores import Pool
from axiom_rl.search.execute import shown
from axiom_rl.search.material import Material
from axiom_rl.search.registry import Choice
from axiom_rl.search.selectors.vote import agreement, clusters

SCHEMA = 1


def write_choices(
    folder: Path,
    pool: Pool,
    materials: Mapping[str, Material],
    choices: Mapping[str, Mapping[str, Choice]],
) -> None:
    """Write what was chosen of all samples, and what the survivors returned, for the browser."""
    write_jsonl(
        folder / "search" / "choices.jsonl",
        (
            {
                "schema": SCHEMA,
                "problem_id": key,
                "selector": name,
                "sample": pool.samples[key][choice.place].sample,
                "passed": pool.passed[key][choice.place],
                "agreeing": choice.agreeing,
                "voters": choice.voters,
                "tied": choice.tied,
                "majority": choice.majority,
            }
            for name, chosen in choices.items()
            for key, choice in chosen.items()
        ),
    )
    rows = (_cluster_row(each, pool.passed[key]) for key, each in materials.items())
    write_jsonl(folder / "search" / "clusters.jsonl", rows)


def _cluster_row(material: Material, passed: Sequence[bool]) -> dict[str, Any]:
    voters = list(agreement(material, range(len(material.samples))))
    groups = [
        {
            "samples": [material.samples[place].sample for place in places],
            "right": sum(passed[place] for place in places),
            "outputs": [answer.shown for answer in material.answers[places[0]] or ()],
        }
        for places in clusters(material, voters).values()
    ]
    return {
        "schema": SCHEMA,
        "problem_id": material.problem.id,
        "inputs": [", ".join(map(shown, args)) for args in material.inputs],
        "clusters": groups,
    }
