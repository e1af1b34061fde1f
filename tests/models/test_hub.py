"""The hub as a source: asked once, for a short time, and told apart from silence."""

from __future__ import annotations

import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_hub_is_asked_for_the_pinned_commit_and_the_needed_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    file = Mock(rfilename="model.safetensors", size=3_000_000_000)
    unwanted = Mock(rfilename="original/consolidated.pth", size=10**15)
    info = Mock(sha=COMMIT, siblings=[file, unwanted])
    download = Mock(return_value=str(tmp_path))
    room = Mock()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HfApi", lambda: Mock(model_info=Mock(return_value=info)))
    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "check_free_disk", room)
    assert hub.fetch_snapshot("some/model", COMMIT) == tmp_path
    download.assert_called_once_with("some/model", revision=COMMIT, allow_patterns=hub.FILES)
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
