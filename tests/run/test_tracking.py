from __future__ import annotations

import json
import os
import pty
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import TrackingConfig, WandbConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.run.tracking import (
    Tracker,
    WandbTracker,
    open_tracker,
    read_metrics,
)
from axiom_rl.run.tracking.wandb_copy import has_login, sweep_of


def offline(mode: str = "offline") -> WandbConfig:
    return WandbConfig(kind="wandb", project="axiom-rl", entity=None, group=None, mode=mode)


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "HTTPS_PROXY", "https_proxy", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def test_rows_are_on_disk_with_their_time_at_once(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.log("train", 1, step=1, loss=0.5, grad_norm=float("nan"))
    tracker.log("evaluate", 1, split="val", accuracy=0.25)
    first, second = read_metrics(tmp_path)
    assert (first["schema"], first["phase"], first["iteration"]) == (1, "train", 1)
    assert first["grad_norm"] is None
    assert first["time"].endswith("+00:00")
    assert second["accuracy"] == 0.25
    assert tracker.rows == 2
    assert read_metrics(tmp_path, "train") == [first]


def test_an_empty_folder_has_no_metrics(tmp_path):
    assert read_metrics(tmp_path) == []
    assert Tracker(tmp_path).rows == 0


def test_a_resumed_run_goes_on_where_the_checkpoint_was(tmp_path):
    tracker = Tracker(tmp_path)
    for step in range(5):
        tracker.log("train", 1, step=step, loss=1.0)
    again = Tracker(tmp_path)
    assert again.rows == 5
    again.cut_back(3)
    again.log("train", 1, step=3, loss=0.5)
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path)] == [
        (0, 1.0),
        (1, 1.0),
        (2, 1.0),
        (3, 0.5),
    ]


def test_a_row_torn_by_a_crash_is_dropped(tmp_path):
    Tracker(tmp_path).log("train", 1, step=1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"schema": 1, "pha')
    tracker = Tracker(tmp_path)
    assert tracker.rows == 1
    tracker.log("train", 1, step=2)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]


def test_fewer_rows_than_the_checkpoint_counted_is_an_error(tmp_path):
    with pytest.raises(AxiomError, match="has 0 rows, but the checkpoint was taken after 2"):
        Tracker(tmp_path).cut_back(2)


def test_the_config_chooses_the_tracker(tmp_path):
    assert type(open_tracker(load_config().tracking, tmp_path, {})) is Tracker
    with pytest.raises(AxiomError, match="choose none or wandb"):
        open_tracker(TrackingConfig(kind="tensorboard"), tmp_path, {})


def test_a_missing_wandb_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AxiomError, match=r"axiom-rl\[wandb\]"):
        WandbTracker(tmp_path, offline(), {})


def test_a_login_is_found_in_the_environment_and_in_netrc(no_login, monkeypatch, tmp_path):
    server = "http://127.0.0.1:8080"
    assert not has_login(server)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert has_login(server)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password " + "x" * 40)
    assert has_login(server) and not has_login("https://api.wandb.ai")


def test_jobs_of_a_sweep_are_grouped_by_their_folder():
    assert sweep_of(Path("/x/outputs/train_sweep/2026-01-01_00-00-00/3")) == (
        "train_sweep/2026-01-01_00-00-00"
    )
    assert sweep_of(Path("/x/outputs/train/2026-01-01_00-00-00")) is None


class TestWandb:
    """With the real client, offline: what it recorded is read back from its file."""

    @pytest.fixture(autouse=True)
    def _needs_wandb(self, no_login):
        wandb = pytest.importorskip("wandb")
        yield
        wandb.teardown()  # its service remembers the environment of its first run

    def test_every_row_and_the_results_are_recorded(self, tmp_path):
        run = fill(tmp_path)
        tracker = open_tracker(offline("auto"), run, {"seed": 7, "model": {"name": "tiny"}})
        tracker.log("evaluate", 0, split="train", tests="fresh tests", accuracy=0.5, low=None)
        tracker.log("train", 1, step=1, loss=0.25)
        tracker.close()
        records = list(recorded(run))
        history = histories(records)
        assert history[0]["evaluate/train/fresh tests/accuracy"] == 0.5
        assert history[1]["train/loss"] == 0.25
        assert history[1]["_step"] == 1
        assert history[1]["completions/before/nrows"] == 1
        artifacts = {r.request.log_artifact.artifact.type for r in records} | {
            r.artifact.type for r in records
        }
        assert {"report", "model"} <= artifacts
        config = {c.key: json.loads(c.value_json) for r in records for c in r.run.config.update}
        assert config["seed"] == 7

    def test_nested_columns_and_tables_of_completions_and_verdicts(self, tmp_path):
        run = fill(tmp_path)
        tracker = open_tracker(offline(), run, {})
        counts = {"accepted": 3, "wrong_answer": 5}
        tracker.log("train", 1, step=1, reward=0.5, verdicts=counts, by={"a": {"b": float("nan")}})
        assert read_metrics(run)[0]["verdicts"] == counts
        assert read_metrics(run)[0]["by"] == {"a": {"b": None}}
        tracker.close()
        history = histories(recorded(run))
        assert history[0]["train/verdicts/accepted"] == 3
        assert history[0]["train/verdicts/wrong_answer"] == 5
        assert history[0]["train/by/a/b"] is None
        tables = {path.name.partition(".")[0].rpartition("_")[0]: path for path in tables_of(run)}
        assert {name.partition("_")[0] for name in tables} == {"before", "verdicts"}
        verdicts = next(path for name, path in tables.items() if name.startswith("verdicts"))
        document = json.loads(verdicts.read_text())
        assert document["columns"] == ["phase", "hidden_status", "fresh_status", "samples"]
        assert document["data"] == [["before", None, "accepted", 1]]
        completions = json.loads(
            next(p for n, p in tables.items() if n[:6] == "before").read_text()
        )
        row = dict(zip(completions["columns"], completions["data"][0], strict=True))
        assert row["text"] == "def f(): ..." and row["fresh_status"] == "accepted"

    def test_a_long_file_is_spread_over_its_table(self, tmp_path, monkeypatch):
        monkeypatch.setattr("axiom_rl.run.tracking.wandb_copy.TABLE_ROWS", 3)
        (tmp_path / "completions").mkdir()
        rows = [{"problem_id": "a", "sample": n, "step": n, "reward": 0.5} for n in range(8)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "completions" / "grpo.jsonl").write_text(lines)
        tracker = open_tracker(offline(), tmp_path, {})
        tracker.log("train", 1, step=1, loss=0.5)
        tracker.close()
        table = json.loads(next(p for p in tables_of(tmp_path) if "grpo" in p.name).read_text())
        assert [row[0] for row in table["data"]] == [0, 3, 6]

    def test_jobs_of_a_sweep_are_one_group_and_the_sync_command_is_said(self, tmp_path, caplog):
        caplog.set_level("INFO")
        job = tmp_path / "train_sweep" / "2026-01-01_00-00-00" / "3"
        tracker = open_tracker(offline(), job, {})
        tracker.log("train", 1, step=1, loss=0.5)
        tracker.close()
        assert f"to upload: wandb sync {job / 'wandb' / 'offline-run-'}" in caplog.text
        groups = {record.run.run_group for record in recorded(job) if record.run.run_group}
        assert groups == {"train_sweep/2026-01-01_00-00-00"}

    @pytest.mark.slow
    def test_at_a_terminal_without_a_login_nothing_is_asked(self, tmp_path):
        """mode=online at a terminal, where W&B would ask for a key and wait for the answer."""
        program = (
            "from pathlib import Path; import sys; from axiom_rl.config import WandbConfig\n"
            "from axiom_rl.run.tracking import open_tracker\n"
            "config = WandbConfig('wandb', 'p', None, None, 'online')\n"
            "tracker = open_tracker(config, Path(sys.argv[1]), {})\n"
            "tracker.log('train', 1, step=1, loss=0.5)\n"
            "tracker.close()\n"
        )
        ours, theirs = pty.openpty()
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            cwd=Path(__file__).parents[2],
            check=True,
            timeout=60,
        )
        os.close(ours)
        os.close(theirs)
        assert [row["train/loss"] for row in histories(recorded(tmp_path))] == [0.5]

    def test_a_resumed_offline_run_holds_everything_once_under_the_same_id(self, tmp_path):
        first = open_tracker(offline(), tmp_path, {})
        for step in range(3):
            first.log("train", 1, step=step, loss=1.0)
        first.close()
        second = open_tracker(offline(), tmp_path, {})
        second.cut_back(2)
        second.log("train", 1, step=2, loss=0.5)
        second.close()
        folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
        assert len({folder.name.split("-")[3] for folder in folders}) == 1
        losses = [(r["train/step"], r["train/loss"]) for r in histories(recorded(tmp_path))]
        assert losses == [(0, 1.0), (1, 1.0), (2, 0.5)]

    @pytest.mark.slow
    def test_an_unreachable_server_means_offline_and_no_question(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("axiom_rl.run.tracking.wandb_copy.INIT_S", 1.0)
        tracker = open_tracker(offline("auto"), tmp_path, {})
        tracker.log("train", 1, step=1, loss=0.5)
        assert isinstance(tracker, WandbTracker)
        assert tracker.run.offline
        tracker.close()

    @pytest.mark.slow
    def test_a_silent_server_costs_the_start_limit_and_then_means_offline(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("axiom_rl.run.tracking.wandb_copy.INIT_S", 1.0)
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            monkeypatch.setenv("WANDB_BASE_URL", address)
            tracker = open_tracker(offline("online"), tmp_path, {})
            tracker.log("train", 1, step=1, loss=0.5)
            tracker.close()
        assert [row["train/loss"] for row in histories(recorded(tmp_path))] == [0.5]

    def test_an_error_in_wandb_ends_the_copy_and_not_the_run(self, tmp_path, monkeypatch, caplog):
        tracker = open_tracker(offline(), tmp_path, {})
        tracker.log("train", 1, step=1, loss=0.5)
        assert isinstance(tracker, WandbTracker)
        monkeypatch.setattr(type(tracker.run), "log", lambda *_a, **_k: 1 / 0)
        tracker.log("train", 1, step=2, loss=0.4)
        tracker.log("train", 1, step=3, loss=0.3)
        tracker.run.finish()
        tracker.close()
        assert len(read_metrics(tmp_path)) == 3
        assert caplog.text.count("W&B failed") == 1


def fill(run: Path) -> Path:
    for name in ("report.html", "report.md", "adapter/adapter_model.safetensors"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    row = {"problem_id": "a", "sample": 0, "text": "def f(): ...", "truncated": False}
    row |= {"completion_tokens": 5, "hidden": None, "fresh": {"status": "accepted"}}
    (run / "completions").mkdir()
    (run / "completions" / "before.jsonl").write_text(json.dumps(row) + "\n")
    return run


def tables_of(run: Path) -> list[Path]:
    return [*(run / "wandb").glob("offline-run-*/files/media/table/**/*.json")]


def recorded(run: Path) -> Iterator[Any]:
    """Records of the last offline run: LevelDB's log format (32 KiB blocks), 7-byte header."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = (run / "wandb").glob("offline-run-*/*.wandb")
    data = max(files, key=lambda file: file.stat().st_mtime_ns).read_bytes()
    position, parts = 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _crc, length, kind = struct.unpack("<IHB", data[position : position + 7])
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or last part
            yield Record.FromString(parts)
            parts = b""


def histories(records: Any) -> list[dict[str, Any]]:
    return [
        {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
        for record in records
        if record.HasField("history")
    ]
