"""A run folder knows what is finished, and its metrics never run ahead of that."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.run.folder import open_run, peak_memory_gb, write_environment
from axiom_rl.run.tracking import Tracker, read_metrics


def test_a_new_run_has_nothing_finished(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    assert run.finished == [] and not run.is_finished("train/1")
    run.finish("train/1")
    assert run.is_finished("train/1") and not run.is_finished("train/2")


def test_rows_after_the_last_finished_phase_are_cut_off(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    run.tracker.log("evaluate", 0, accuracy=0.5)
    run.finish("evaluate/before")
    run.tracker.log("train", 1, loss=1.0)
    again = open_run(tmp_path, Tracker(tmp_path))
    assert again.finished == ["evaluate/before"]
    assert [row["phase"] for row in read_metrics(tmp_path)] == ["evaluate"]
    again.tracker.log("train", 1, loss=2.0)
    again.finish("train/1")
    third = open_run(tmp_path, Tracker(tmp_path))
    assert third.finished == ["evaluate/before", "train/1"]
    assert [row.get("loss") for row in read_metrics(tmp_path)] == [None, 2.0]


def test_rows_of_a_run_without_any_finished_phase_are_cut_off(tmp_path: Path) -> None:
    open_run(tmp_path, Tracker(tmp_path)).tracker.log("evaluate", 0, accuracy=0.5)
    run = open_run(tmp_path, Tracker(tmp_path))
    assert read_metrics(tmp_path) == [] and run.tracker.rows == 0


def test_a_saved_state_inside_a_phase_keeps_its_rows(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    run.tracker.log("train", 1, loss=1.0)
    run.save_state()
    run.tracker.log("train", 1, loss=2.0)
    again = open_run(tmp_path, Tracker(tmp_path))
    assert again.finished == [] and [r["loss"] for r in read_metrics(tmp_path)] == [1.0]


def test_lost_metrics_and_damaged_states_are_named(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    run.tracker.log("train", 1, loss=1.0)
    run.finish("train/1")
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(AxiomError, match=r"metrics\.jsonl has 0 rows"):
        open_run(tmp_path, Tracker(tmp_path))
    (tmp_path / "checkpoints" / "state.json").write_text("{")
    with pytest.raises(AxiomError, match=r"state\.json is not valid JSON"):
        open_run(tmp_path, Tracker(tmp_path))


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "checkpoints" / "state.json", {"schema": 99, "done": []})
    with pytest.raises(AxiomError, match=r"state\.json.*schema"):
        open_run(tmp_path, Tracker(tmp_path))


def test_a_timed_block_logs_one_row_unless_it_fails(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    with run.timed("collect", 2) as columns:
        columns["tokens"] = 7
    with run.timed("silent", 2, log=False):
        pass
    with pytest.raises(RuntimeError), run.timed("broken", 2):
        raise RuntimeError
    (row,) = read_metrics(tmp_path)
    assert (row["phase"], row["name"], row["iteration"], row["tokens"]) == (
        "timing",
        "collect",
        2,
        7,
    )
    assert row["seconds"] >= 0 and row["peak_memory_gb"] > 0


def test_the_environment_says_what_a_reader_needs(tmp_path: Path) -> None:
    write_environment(tmp_path, 3, "full", {"name": "tiny", "sha256": "abc"})
    found = read_json(tmp_path / "environment.json")
    assert found.keys() == {
        *("schema", "command", "git_commit", "git_dirty", "python", "platform", "cpu", "cores"),
        *("memory_gb", "gpu", "packages", "seed", "isolation", "model", "started"),
    }
    assert found["seed"] == 3 and found["isolation"] == "full" and found["cores"] >= 1
    assert found["model"] == {"name": "tiny", "sha256": "abc"}
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert found["command"].startswith("python ") and found["memory_gb"] > 0


def test_a_machine_without_git_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_environment(tmp_path, 0, "full", {})
    found = read_json(tmp_path / "environment.json")
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_peak_memory_is_in_gigabytes() -> None:
    assert 0.01 < peak_memory_gb() < 64
