"""stage=watch: what it lists and serves, to whom, and what it never gives away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from fake_run import make_run
from test_hostile import Strict

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json
from axiom_rl.report.page import write_report
from axiom_rl.report.watch.listing import find_runs
from axiom_rl.report.watch.server import WatchServer, serve
from axiom_rl.run.lock import at_work, locked
from axiom_rl.run.sweep_jobs import Job, Status

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "the secret beside outputs"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in every state, files of every kind, and links into and out of the folder."""
    place = tmp_path_factory.mktemp("place")
    (place / "secret.json").write_text(SECRET)
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "report.html").write_text(SECRET)
    root = place / "outputs"
    run = make_run(root / "train" / "2026-11-26_10-00-00")
    write_report(run)
    write_json(run / "checkpoints" / "state.json", {"finished": ["done"]})
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_model.safetensors").write_text("weights")
    (run / "own.html").write_text("<script>owned()</script>")
    (run / ".hidden.json").write_text(SECRET)
    (run / "page.json").symlink_to(place / "secret.json")
    (run / "inside.json").symlink_to("environment.json")
    (run / "circle.json").symlink_to("circle.json")
    os.mkfifo(run / "pipe.json")
    (root / "latest").symlink_to("train/2026-11-26_10-00-00")
    (root / "out").symlink_to(place / "elsewhere")
    make_run(root / "stopped = <b>, # ü", finished=False)
    sweep = root / "train_sweep" / "2026-11-26_12-00-00"
    write_json(sweep / "command.json", {})
    make_run(sweep / "0")
    Job(number=1, folder=sweep / "1", overrides=("seed=1",), status="failed").write()
    Job(number=0, folder=sweep / "0", overrides=("seed=0",), status="done").write()
    damaged = make_run(root / "damaged")
    (damaged / "evaluation" / "after.json").write_text("{")
    (damaged / "environment.json").write_text("[]")
    (damaged / "config.yaml").write_text("{: [")
    return root


@pytest.fixture(scope="module")
def server(outputs: Path) -> Iterator[WatchServer]:
    with WatchServer(outputs, 0) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


def ask(
    server: WatchServer, path: str, method: str = "GET", host: str | None = "127.0.0.1"
) -> tuple[HTTPResponse, str]:
    """Send a path as it stands, and read the answer whole."""
    link = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if host is not None:
        link.putheader("Host", host)
    link.endheaders()
    answer = link.getresponse()
    text = answer.read().decode("utf-8")
    link.close()
    return answer, text


def test_the_list_says_of_each_run_what_when_and_how_it_went(server: WatchServer) -> None:
    answer, text = ask(server, "/")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")
    assert Strict(text).scripts == 1
    for part in ('href="./train/2026-11-26_10-00-00/report.html"', "finished", "stopped",
                 "55.0 % → 87.5 %", "2026-01-02 03:04 UTC", "2 jobs of train_sweep/", "failed",
                 "cannot be read", "stopped = &lt;b&gt;, # ü"):  # fmt: skip
        assert part.replace(" %", "\N{NO-BREAK SPACE}%") in text or part in text, part
    assert "latest" not in text.replace("the latest", "") and SECRET not in text


def test_states_of_runs_and_sweeps_that_were_stopped_early(tmp_path: Path) -> None:
    root = tmp_path / "outputs"
    early = make_run(root / "early", finished=False)  # before its first phase ended
    shutil.rmtree(early / "checkpoints", ignore_errors=True)
    write_report(early)
    with locked(early):
        assert [run.state for run in find_runs(root)] == ["running"]
    sweep = root / "train_sweep" / "today"
    write_json(sweep / "command.json", {})
    jobs = [Job(number=number, folder=sweep / str(number), overrides=()) for number in (0, 1)]

    def states(*jobs_are: Status) -> list[str]:
        for job, status in zip(jobs, jobs_are, strict=True):
            replace(job, status=status).write()
        return [run.state for run in find_runs(root)]

    assert states("done", "waiting") == ["stopped", "stopped", "finished", "waiting"]
    assert states("done", "running") == ["stopped", "stopped", "finished", "stopped"], "killed"
    assert states("done", "failed") == ["stopped", "finished", "finished", "failed"]
    with locked(sweep):
        assert states("done", "running") == ["stopped", "running", "finished", "running"]
        with pytest.raises(AxiomError, match="another process"), locked(sweep):
            pass


def test_states(outputs: Path, tmp_path: Path) -> None:
    states = {run.folder.name: run.state for run in find_runs(outputs)}
    assert states["2026-11-26_10-00-00"] == "finished" and states["1"] == "failed"
    run = make_run(tmp_path / "outputs" / "run", finished=False)
    with locked(run):
        assert at_work(run) and [r.state for r in find_runs(run.parent)] == ["running"]
    assert not at_work(run) and [r.state for r in find_runs(run.parent)] == ["stopped"]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = run / "checkpoints" / "run.pid"
    owner.write_text(f"{dead.pid}\n")
    assert not at_work(run), "killed: its note is still there"
    owner.write_text(f"{os.getpid()}\n")
    os.utime(owner, (1e9, 1e9))
    assert not at_work(run), "another process has the number of one that was killed"
    write_json(run / "checkpoints" / "spent_train_1.json", {})
    assert at_work(run), "on another machine: it notes its time"
    owner.write_text("nonsense")
    assert not at_work(run)


def test_pages_texts_and_pictures_are_sent_as_what_they_are(server: WatchServer) -> None:
    run = "/train/2026-11-26_10-00-00"
    for path, kind in {
        f"{run}/report.html": "text/html", "/latest/report.html": "text/html",
        f"{run}/report.md": "text/plain", f"{run}/charts/loss.png": "image/png",
        f"{run}/completions/before.jsonl?x=1": "text/plain", f"{run}/inside.json": "text/plain",
        "/stopped%20%3D%20%3Cb%3E%2C%20%23%20%C3%BC/config.yaml": "text/plain",
    }.items():  # fmt: skip
        link = HTTPConnection("127.0.0.1", server.server_port)
        link.request("GET", path)
        answer = link.getresponse()
        body = answer.read()
        assert answer.status == 200 and body, path
        assert answer.headers["Content-Type"].startswith(kind)
        assert int(answer.headers["Content-Length"]) == len(body)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert ("script-src 'sha256-" in policy) == (kind == "text/html")
        assert "Access-Control-Allow-Origin" not in answer.headers
    head, text = ask(server, f"{run}/report.md", "HEAD")
    assert head.status == 200 and int(head.headers["Content-Length"]) > 100 and text == ""


def test_a_folder_lists_its_files(server: WatchServer) -> None:
    run = "/train/2026-11-26_10-00-00"
    moved, _text = ask(server, run)
    assert (moved.status, moved.headers["Location"]) == (301, f"{run}/")
    answer, text = ask(server, f"{run}/")
    assert answer.status == 200 and 'href="./completions/"' in text and "report.md" in text
    assert Strict(text).scripts == 1 and 'href="./../../"' in text
    for name in ("safetensors", ".hidden.json", "page.json", "own.html"):
        assert name not in text


TRICKS = [
    "/../secret.json", "/train/../../secret.json", "/%2e%2e/secret.json", "/%2E%2E%2Fsecret.json",
    "/..%2fsecret.json", "/%252e%252e/secret.json", "/%252e%252e%252fsecret.json",
    "/..%5csecret.json", "/..\\secret.json", "/.%2e/secret.json", "/%c0%ae%c0%ae/secret.json",
    "/..;/secret.json", "/....//secret.json", "//etc/passwd", "/%2fetc/passwd", "/etc/passwd",
    "///etc/passwd", "/C:/Windows/win.ini", "/C:%5cWindows%5cwin.ini", "/\\\\host\\share",
    "/file:///etc/passwd", "/secret.json%00.md", "/%00", "/train%00/../../secret.json",
    "/out/report.html", "/out/", "/out", "/train/2026-11-26_10-00-00/page.json",
    "/train/2026-11-26_10-00-00/.hidden.json", "/train/2026-11-26_10-00-00/circle.json",
    "/train/2026-11-26_10-00-00/pipe.json", "/train/2026-11-26_10-00-00/own.html",
    "/train/2026-11-26_10-00-00/adapter/adapter_model.safetensors",
    "/train/2026-11-26_10-00-00/report.md/", "/train/./2026-11-26_10-00-00/report.md",
    "/train//2026-11-26_10-00-00/report.md", "/latest/../../secret.json", "/none",
    "/" + "a" * 5000, "/" + "a/" * 3000, "/%", "/%zz", "/%ff%fe", "/train/%0d%0aX-Evil:%20yes/",
    "http://127.0.0.1/../secret.json", "secret.json", "*",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: path[:40])
def test_nothing_beside_the_folder_is_sent(server: WatchServer, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as link:
        link.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    assert answer.split(b" ")[1] == b"404", answer[:200]
    assert SECRET.encode() not in answer and b"root:" not in answer and b"X-Evil" not in answer


def test_a_link_put_there_between_the_look_and_the_opening_leads_nowhere(
    outputs: Path, server: WatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = outputs / "swapped"
    folder.mkdir()
    (folder / "a.json").write_text("{}")
    resolve = Path.resolve

    def swap(path: Path, strict: bool = False) -> Path:
        found = resolve(path, strict=strict)
        if path.name == "a.json":
            (folder / "a.json").unlink()
            (folder / "a.json").symlink_to(outputs.parent / "secret.json")
        return found

    monkeypatch.setattr(Path, "resolve", swap)
    answer, text = ask(server, "/swapped/a.json")
    assert answer.status == 404 and SECRET not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(server: WatchServer, method: str) -> None:
    answer, _text = ask(server, "/", method)
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost", 200), ("LOCALHOST:9000", 200), ("127.0.0.1:1", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403),
        ("evil.example:8642", 403), ("localhost:80:80", 403), ("localhost@evil.example", 403),
        ("0.0.0.0", 403), ("[::1]", 403), ("", 403), (None, 403),
    ],
)  # fmt: skip
def test_other_names_for_this_machine_are_refused(
    server: WatchServer, host: str | None, status: int
) -> None:
    answer, text = ask(server, "/", host=host)
    assert answer.status == status
    assert ("2026-11-26" in text) == (status == 200)


def test_it_listens_on_this_machine_alone(server: WatchServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told_with_the_key(server: WatchServer, tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match=rf"stage\.port={server.server_port}: .*stage\.port=0"):
        serve(tmp_path, server.server_port)
    for port in (-1, 65536):
        with pytest.raises(AxiomError, match=r"stage\.port=.*0 to 65535"):
            load_config("stage=watch", f"stage.port={port}")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_command_serves_leaves_no_folder_and_ends_cleanly(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = [sys.executable, str(ROOT / "launch.py"), "stage=watch", "stage.port=0"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        made = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 120
        while "http://127.0.0.1:" not in log.read_text() and time.monotonic() < end:
            assert made.poll() is None, log.read_text()
            time.sleep(0.1)
        port = int(log.read_text().split("http://127.0.0.1:")[1].split("/")[0])
        assert [path.name for path in tmp_path.iterdir()] == ["log"], "no run folder"
        link = HTTPConnection("127.0.0.1", port)
        link.request("GET", "/")
        assert "No run yet" in link.getresponse().read().decode()
        made.send_signal(number)
        assert made.wait(30) == 0
    finally:
        made.kill()
        made.wait()
    said = log.read_text()
    assert "Traceback" not in said and "ended" in said
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_run_that_begins_while_it_is_watched_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "outputs"
    assert [*find_runs(root)] == []
    make_run(root / "a" / "b")
    assert json.loads(json.dumps([run.stage for run in find_runs(root)])) == ["train"]
