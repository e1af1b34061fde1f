"""Fixtures of the tests about teachers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from teaching import Scripted, Teaching

import axiom_rl.gold.teacher.teach
import axiom_rl.stages.opening


@pytest.fixture
def teach(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teaching:
    """Stages without the page, whose charts take a second each, and without long waits."""
    from axiom_rl.gold.teacher.api import requests

    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: "")
    monkeypatch.setattr(requests, "FIRST_WAIT_S", 0.01)
    return Teaching(tiny_model_folder, tmp_path)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(say: Any) -> Scripted:
        scripted = Scripted(say)
        monkeypatch.setattr(axiom_rl.gold.teacher.teach, "open_teacher", lambda *_args: scripted)
        return scripted

    return made
