"""The page of a comparison says what a teacher bought."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_grpo import make_grpo_run

from axiom_rl.core.files import write_json, write_text
from axiom_rl.report.run_folder import RunFolder, read_run
from axiom_rl.report.sections.pipeline.bought import bought_blocks
from axiom_rl.report.sections.pipeline.steps import first_signal, step_blocks


def taught(folder: Path, steps: str) -> RunFolder:
    make_grpo_run(folder)
    write_text(
        folder / "config.yaml",
        f"stage: {{kind: train}}\ntrainer: {{kind: pipeline, steps: [{steps}]}}\n",
    )
    for name in ("after_sft", "after_grpo"):
        text = (folder / "evaluation" / "after.json").read_text(encoding="utf-8")
        write_text(folder / "evaluation" / f"{name}.json", text)
    result = {"tokens": 12345, "cost": 0.5, "traces": 200}
    write_json(folder / "teacher" / "result.json", result)
    return read_run(folder)


def test_a_taught_run_beside_one_that_was_not(tmp_path: Path) -> None:
    with_teacher = taught(tmp_path / "taught", "teach, sft, grpo")
    alone = read_run(make_grpo_run(tmp_path / "alone"))
    assert bought_blocks([("alone", alone)]) == []
    _text, table = bought_blocks([("alone", alone), ("taught", with_teacher)])
    rows = {row[0]: row[1:] for row in table.rows}  # type: ignore[union-attr]
    assert rows["steps"][1] == "teach, sft, grpo"
    assert rows["after cold start"][0] == "none" and "%" in rows["after cold start"][1]
    assert rows["tokens of the teacher"] == ["none", "12,345"]
    assert rows["money for the teacher"] == ["none", "0.5000"]
    assert rows["groups with signal, first steps of GRPO"][0].endswith("%")
    assert first_signal(alone) == pytest.approx(0.5, abs=0.05)
    assert with_teacher.phase_before("grpo") == "after_sft"
    assert step_blocks(alone) == []
