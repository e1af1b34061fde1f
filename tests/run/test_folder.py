"""A run folder knows what is finished, and its metrics never run ahead of that."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import pytest

import axiom_rl.run.folder
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.run.folder import (
    open_run,
    peak_memory_gb,
    read_sessions,
    whole_checkpoints,
    write_environment,
)
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


def test_time_before_a_stop_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds until Ctrl-C, then two: the row says twelve, and the notes are gone."""
    clock = [100.0]
    monkeypatch.setattr(axiom_rl.run.folder.time, "monotonic", lambda: clock[0])
    run = open_run(tmp_path, Tracker(tmp_path))
    with pytest.raises(KeyboardInterrupt), run.timed("evaluate", 0, phase="before"):
        clock[0] += 10
        raise KeyboardInterrupt
    assert read_metrics(tmp_path) == []
    run = open_run(tmp_path, Tracker(tmp_path))
    with run.timed("evaluate", 0, phase="after"):
        clock[0] += 1
    with run.timed("evaluate", 0, phase="before"):
        clock[0] += 2
    run.finish("evaluate/before")
    assert [row["seconds"] for row in read_metrics(tmp_path)] == [1, 12]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["state.json"]


def test_time_before_a_kill_counts(tmp_path: Path) -> None:
    """SIGKILL leaves no time to write anything, so it is noted while the phase runs."""
    program = (
        "import sys, time; from pathlib import Path; import axiom_rl.run.folder as r\n"
        "r.BEAT_S = 0.05\n"
        "folder = Path(sys.argv[1]); run = r.open_run(folder, r.Tracker(folder))\n"
        "with run.timed('train', 1), run.timed('evaluate', 1, phase='step_2'): time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    notes = [tmp_path / f"checkpoints/spent_{p}.json" for p in ("train_1", "evaluate_step_2")]
    for _ in range(600):
        if all(note.exists() and read_json(note)["seconds"] > 0.2 for note in notes):
            break
        time.sleep(0.05)
    child.kill()
    child.wait()
    noted = read_json(notes[0])["seconds"]
    run = open_run(tmp_path, Tracker(tmp_path))
    with run.timed("train", 1):
        pass
    (row,) = read_metrics(tmp_path)
    assert 0.2 < noted <= row["seconds"] < noted + 5 and row["peak_memory_gb"] > 0


def test_rows_of_steps_that_a_checkpoint_holds_survive_a_kill(tmp_path: Path) -> None:
    """TRL's checkpoint is written before the state is saved; a kill in between loses no row."""
    run = open_run(tmp_path, Tracker(tmp_path))
    run.tracker.log("evaluate", 0, accuracy=0.5)
    run.finish("evaluate/before")
    for step in range(1, 6):
        run.tracker.log("train", 1, step=step, loss=1.0)
    folder = tmp_path / "checkpoints" / "iter_1"
    for step, text in ((2, '{"global_step": 2}'), (3, '{"global_step": 3}'), (5, '{"global')):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    again = open_run(tmp_path, Tracker(tmp_path))
    assert [row["step"] for row in read_metrics(tmp_path, "train")] == [1, 2, 3]
    again.save_state()
    (folder / "checkpoint-3" / "trainer_state.json").unlink()  # a disk that lost what it had
    again.tracker.cut_training(1, max(whole_checkpoints(folder)))
    assert [row["step"] for row in read_metrics(tmp_path, "train")] == [1, 2]
    assert again.tracker.rows == len(read_metrics(tmp_path)) == 3


def test_the_environment_says_what_a_reader_needs(tmp_path: Path) -> None:
    write_environment(tmp_path, 3, "full", {"name": "tiny", "sha256": "abc"})
    (found,) = read_sessions(tmp_path)
    assert found.keys() == {
        *("command", "git_commit", "git_dirty", "python", "platform", "cpu", "cores"),
        *("memory_gb", "gpu", "packages", "seed", "isolation", "model", "started"),
    }
    assert found["seed"] == 3 and found["isolation"] == "full" and found["cores"] >= 1
    assert found["model"] == {"name": "tiny", "sha256": "abc"}
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert found["command"].startswith("python ") and found["memory_gb"] > 0


def test_each_start_is_recorded_also_in_a_folder_of_an_older_version(tmp_path: Path) -> None:
    assert read_sessions(tmp_path) == []
    old = {"schema": 1, "git_commit": "abc", "packages": {"torch": "2.0"}}
    write_json(tmp_path / "environment.json", old)
    assert read_sessions(tmp_path) == [old]
    write_environment(tmp_path, 0, "full", {})
    write_environment(tmp_path, 1, "full", {})
    sessions = read_sessions(tmp_path)
    assert sessions[0] == old and [session["seed"] for session in sessions[1:]] == [0, 1]


@pytest.mark.slow
def test_what_was_typed_is_recorded_also_beside_resume(tmp_path: Path) -> None:
    """In a process: the program composes with Hydra, and a stage that does nothing records."""
    program = (
        "import axiom_rl.cli, axiom_rl.stages, sys\n"
        "from axiom_rl.run.folder import write_environment\n"
        "def stage(config, folder):\n"
        "    saved = OmegaConf.to_yaml(OmegaConf.create(asdict(replace(config, resume=None))))\n"
        "    (folder / 'config.yaml').write_text(saved)\n"
        "    write_environment(folder, 0, 'full', {}, resumed=config.resume is not None)\n"
        "axiom_rl.stages.run_stage = stage\n"
        "common = ['hydra.run.dir=run', 'problems=hard', '+trainer.args.max_steps=4', 'seed=3']\n"
        "for typed in (common, ['resume=run', 'trainer.iterations=2', 'hydra.verbose=false']):\n"
        "    assert axiom_rl.cli.main(typed) == 0\n"
    )
    imports = "from dataclasses import asdict, replace; from omegaconf import OmegaConf\n"
    subprocess.run([sys.executable, "-c", imports + program], cwd=tmp_path, check=True)
    first, again = read_sessions(tmp_path / "run")
    assert first["overrides"] == ["problems=hard", "+trainer.args.max_steps=4", "seed=3"]
    assert (first["options"]["problems"], first["options"]["model"]) == (
        "hard",
        "qwen2.5-coder-0.5b",
    )
    assert not any(group.startswith("hydra") for group in first["options"])
    assert (again["options"], again["overrides"]) == ({}, ["trainer.iterations=2"])
    assert "resume=run trainer.iterations=2" in again["command"]


def test_a_start_that_does_nothing_is_not_recorded(tmp_path: Path) -> None:
    run = open_run(tmp_path, Tracker(tmp_path))
    begun: list[str] = []
    run.begin = lambda: begun.append("begun")
    with run.timed("evaluate", 0, log=False):
        assert begun == []
    for iteration in (1, 2):
        with run.timed("train", iteration):
            assert begun == ["begun"]


def test_a_machine_without_git_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_environment(tmp_path, 0, "full", {})
    (found,) = read_sessions(tmp_path)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_peak_memory_is_in_gigabytes() -> None:
    assert 0.01 < peak_memory_gb() < 64
