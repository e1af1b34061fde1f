"""Reading samples on a GPU, a real one or none: the features of the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_gpu import a_gpu
from test_features import PROBLEM, RECIPE, drawn, frozen  # noqa: F401

from axiom_rl.value import reader
from axiom_rl.value.features import pool_features
from axiom_rl.value.recipe import FrozenPolicy


@pytest.mark.parametrize("temperature", [None, 0.7])
def test_features_are_those_of_a_cpu(
    frozen: FrozenPolicy,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    temperature: float | None,
) -> None:
    for name in ("PASS_TOKENS", "LOGIT_TOKENS"):
        monkeypatch.setattr(reader, name, 30)  # several passes, each with padding
    items = drawn(frozen, PROBLEM, [3, 11, 8, 1, 19])
    policy = replace(frozen, temperature=temperature)
    plain = pool_features(tmp_path / "cpu", items, policy, RECIPE)
    with a_gpu():
        found = pool_features(tmp_path / "gpu", items, policy.on("cuda"), RECIPE)
    assert found.computed == len(items)
    for own, other in zip(found.each, plain.each, strict=True):
        assert own.places == other.places
        assert np.allclose(own.hidden, other.hidden, atol=2e-3)
        if temperature is not None:
            assert own.logprobs is not None and other.logprobs is not None
            assert np.allclose(own.logprobs, other.logprobs, atol=1e-3)
