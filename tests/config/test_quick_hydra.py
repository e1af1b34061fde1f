"""What tests/quick_hydra.py keeps is what Hydra would compose anew."""

from __future__ import annotations

import pytest
import quick_hydra
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Hydra as it is installed."""
    whole = "_compose_config_from_defaults_list"
    monkeypatch.setattr(ConfigRepository, "load_config", quick_hydra.read)
    monkeypatch.setattr(CachingConfigRepository, "__init__", quick_hydra.begun)
    monkeypatch.setattr(ConfigLoaderImpl, whole, quick_hydra.read_and_merged)
    chosen = quick_hydra.create_defaults_list
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", chosen)
    return monkeypatch


@pytest.mark.parametrize(
    "asked",
    [
        ("seed=3",),
        ("trainer=grpo", "problems=hard", "+problems.weights.lcs=2", "search=vote"),
        ("experiment=10_grpo_hard", "sampler.n=3", "~model.lora.lora_dropout"),
        ("trainer=nothing",),
        ("sampler.nn=1",),
        ("+trainer=grpo",),
    ],
)
def test_the_same_is_composed_whether_or_not_it_was_before(
    stock: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    def outcome() -> object:
        try:
            return load_config(*asked)
        except AxiomError as error:
            return str(error)

    anew = outcome()
    stock.undo()
    assert ConfigRepository.load_config is quick_hydra.read_once
    assert [outcome(), outcome()] == [anew, anew]
