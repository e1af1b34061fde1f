"""The hub as a source: asked once, for a short time, and told apart from silence."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import pytest

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights import download, hub
from axiom_rl.models.weights.resolve import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_hub_is_asked_for_the_pinned_commit_and_the_needed_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    file = Mock(rfilename="model.safetensors", size=3_000_000_000)
    unwanted = Mock(rfilename="original/consolidated.pth", size=10**15)
    info = Mock(sha=COMMIT, siblings=[file, unwanted])
    fetched = Mock(return_value=tmp_path)
    room = Mock()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HfApi", lambda: Mock(model_info=Mock(return_value=info)))
    monkeypatch.setattr(hub, "download", fetched)
    monkeypatch.setattr(hub, "check_free_disk", room)
    assert hub.fetch_snapshot("some/model", COMMIT) == tmp_path
    fetched.assert_called_once_with("some/model", COMMIT, hub.FILES)
    assert room.call_args.args[1] == 3_000_000_000


def test_a_hub_that_hangs_costs_its_time_limit_once_in_ten_minutes(
    silent_server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    assert hub.REACH_S <= 3
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", silent_server)
    monkeypatch.setattr(hub, "REACH_S", 0.3)
    monkeypatch.setattr(hub, "HfApi", lambda: __import__("huggingface_hub").HfApi(silent_server))
    start = time.monotonic()
    with pytest.raises(AxiomError, match="no answer within"):
        hub.fetch_snapshot("nobody/nothing", "main")
    assert time.monotonic() - start < 1.5
    asked = Mock(side_effect=AxiomError("asked again"))
    monkeypatch.setattr(hub, "_ask", asked)
    with pytest.raises(
        AxiomError, match=r"no answer within .*, 0 min ago; it is asked again 10 mi"
    ):
        hub.fetch_snapshot("other/model", "main")
    asked.assert_not_called()
    now = time.time()
    for clock in (now + 601, now - 3600):  # later, and after the clock was set back
        monkeypatch.setattr(hub.time, "time", lambda clock=clock: clock)
        with pytest.raises(AxiomError, match=r"asked again$"):
            hub.fetch_snapshot("nobody/nothing", "main")
    monkeypatch.setattr(hub.time, "time", lambda: now)
    monkeypatch.setattr(constants, "ENDPOINT", "http://another.example")
    with pytest.raises(AxiomError, match=r"asked again$"):
        hub.fetch_snapshot("nobody/nothing", "main")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(AxiomError, match="HF_HUB_OFFLINE is set"):
        hub.fetch_snapshot("nobody/nothing", "main")


FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4096}


class _Hub(BaseHTTPRequestHandler):
    """A hub with one repository; `served` is how many bytes of a large file it gives."""

    served = 1 << 30
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if "/tree/" in self.path:
            files = [
                {"type": "file", "path": n, "size": len(d), "oid": n} for n, d in FILES.items()
            ]
            body = json.dumps(files).encode()
        elif "/api/models/" in self.path:
            listed = [{"rfilename": name, "size": len(FILES[name])} for name in FILES]
            about = {"id": "some/model", "sha": COMMIT, "siblings": listed}
            body = json.dumps(about).encode()
        else:
            body = FILES[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: self.served])
            self.wfile.flush()
            if len(body) > self.served:
                time.sleep(60)


@pytest.fixture
def own_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    """A hub on this machine."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(hub, "HfApi", lambda: __import__("huggingface_hub").HfApi(url))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield _Hub
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_hub_that_hangs_in_the_middle_of_a_file_is_left(
    own_hub: type[_Hub], model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.REACH_S + download.STALL_S < 15
    monkeypatch.setattr(download, "STALL_S", 2.0)
    monkeypatch.setattr(own_hub, "served", 500_000)
    model_config.hub_id = "some/model"
    start = time.monotonic()
    with pytest.raises(AxiomError, match=r"cannot be had here") as caught:
        resolve(model_config)
    assert time.monotonic() - start < 15
    said = str(caught.value)
    assert "hub: the download stopped: nothing came for 2 s (what came is kept)" in said
    assert "wheels: no wheels carry this model" in said
    with pytest.raises(AxiomError, match=r"nothing came for 2 s .*, 0 min ago"):
        hub.fetch_snapshot("some/model", "main")


def test_a_download_brings_the_files(own_hub: type[_Hub]) -> None:
    folder = hub.fetch_snapshot("some/model", "main")
    assert folder.name == COMMIT
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES


@pytest.mark.slow
def test_a_download_that_breaks_off_says_why(
    own_hub: type[_Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_hub, "do_HEAD", lambda self: self.send_error(403))
    with pytest.raises(AxiomError, match=r"^the download broke off: [^\n]+$"):
        hub.fetch_snapshot("some/model", "main")


def test_what_the_hub_answers_is_not_taken_for_silence(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for error, said in (
        (RevisionNotFoundError, r"some/model has no revision 0123: type model\.revision=main"),
        (GatedRepoError, "accept its licence"),
    ):
        api = Mock(model_info=Mock(side_effect=error("no", response=Mock())))
        monkeypatch.setattr(hub, "HfApi", lambda api=api: api)
        with pytest.raises(AxiomError, match=said):
            hub.fetch_snapshot("some/model", "0123")
    assert not list(own_cache.glob("hub_*"))
