"""A head on synthetic features whose truth is known, and the file that holds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.ranking import auc
from axiom_rl.value.fit import FitOptions, Rows, calibrated, fit, pairs_of
from axiom_rl.value.head import (
    END,
    EVERYTHING,
    PREFIX,
    Probe,
    SeenProblems,
    ValueHead,
    load_head,
    save_head,
    sigmoid,
)
from axiom_rl.value.recipe import Recipe

OPTIONS = FitOptions(hidden=0, l2=0.01, pairs=0.0, epochs=100, seed=0)


def made(problems: int, each: int, seed: int, *, xor: bool = False) -> Rows:
    """Column 0 decides within a problem; columns 1 and 2 are its difficulty; the rest is noise."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(problems), each)
    inputs = random.normal(size=(len(groups), 12)).astype(np.float32)
    inputs[:, 1:3] = random.normal(size=(problems, 2))[groups]
    logits = 2 * inputs[:, 0] + 3 * inputs[:, 1]
    if xor:
        logits = 6 * inputs[:, 0] * inputs[:, 3]
    passed = random.random(len(groups)) < sigmoid(logits.astype(float))
    return Rows(inputs=inputs * 50 + 7, passed=passed, weights=np.ones(len(groups)), groups=groups)


def test_a_separable_truth_is_found_and_meant() -> None:
    train, test = made(100, 8, 1), made(200, 8, 2)
    probe = fit(train, OPTIONS)
    probabilities = probe.probabilities(test.inputs)
    assert auc(probabilities, test.passed) > 0.9
    assert abs(probabilities.mean() - test.passed.mean()) < 0.03
    again = fit(train, OPTIONS)
    assert np.array_equal(probe.layers[0][0], again.layers[0][0])


def test_pairs_teach_the_order_within_a_problem() -> None:
    """Difficulty takes no part in them: its weight shrinks against that of what decides within."""
    train = made(60, 8, 3)
    plain, paired = fit(train, OPTIONS), fit(train, replace(OPTIONS, pairs=20.0))

    def share(probe: Probe) -> float:
        weights = np.abs(probe.layers[0][0][0])
        return float(weights[1] / weights[0])

    assert share(plain) > 1.1 * share(paired)
    good, bad = pairs_of(train, 0)
    assert train.passed[good].all() and not train.passed[bad].any()
    assert (train.groups[good] == train.groups[bad]).all()
    counts = [
        int(train.passed[train.groups == g].sum() * (~train.passed[train.groups == g]).sum())
        for g in range(60)
    ]
    assert len(good) == sum(counts)


def test_two_layers_learn_what_one_cannot() -> None:
    train, test = made(150, 8, 4, xor=True), made(100, 8, 5, xor=True)
    linear = fit(train, OPTIONS).probabilities(test.inputs)
    deep = fit(train, replace(OPTIONS, hidden=16, epochs=300)).probabilities(test.inputs)
    assert auc(linear, test.passed) < 0.6 < 0.8 < auc(deep, test.passed)


def test_calibration_mends_logits_that_are_too_sure() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=4000)
    passed = random.random(4000) < sigmoid(truth)
    one = Probe(mean=np.zeros(1), scale=np.ones(1), layers=((np.ones((1, 1)), np.zeros(1)),))
    found = calibrated(one, 10 * truth + 5, passed, np.ones(4000))
    assert found.slope == pytest.approx(0.1, rel=0.1)
    assert found.offset == pytest.approx(-0.5, abs=0.1)
    turned = calibrated(one, -truth, passed, np.ones(4000))
    assert turned.slope > 0  # an order is never turned round


def test_one_row_per_outcome_is_enough_not_to_fail() -> None:
    rows = made(2, 1, 0)
    rows = replace(rows, passed=np.array([True, False]))
    probe = fit(rows, OPTIONS)
    assert np.isfinite(probe.probabilities(rows.inputs)).all()


def a_head() -> ValueHead:
    one = fit(made(10, 8, 0), replace(OPTIONS, hidden=3))
    two = fit(made(10, 8, 1), OPTIONS)
    probes = {(EVERYTHING, END): one, (EVERYTHING, PREFIX): two, ("lcs", END): two}
    return ValueHead(
        probes=probes,
        base={"sha256": "s", "name": "tiny", "format": "safetensors"},
        adapter_sha256="",
        recipe=Recipe(layer=0.75, every=32),
        inputs=("hidden", "length"),
        seen=SeenProblems(ids=("a",), questions=("q",), types=("lcs",), pools=("outputs/x",)),
        stop_below=0.05,
    )


def test_a_head_comes_back_from_its_file(tmp_path: Path) -> None:
    head, inputs = a_head(), made(10, 8, 2).inputs
    save_head(tmp_path / "value", head, {"schema": 1})
    for place in (tmp_path / "value", tmp_path / "value" / "head.safetensors"):
        back = load_head(place)
        assert (back.base, back.recipe, back.inputs) == (head.base, head.recipe, head.inputs)
        assert back.seen == head.seen and back.stop_below == 0.05
        assert back.probes.keys() == head.probes.keys()
        for key, probe in head.probes.items():
            assert np.array_equal(probe.logits(inputs), back.probes[key].logits(inputs))
    assert back.probe(END, "lcs") is back.probes["lcs", END]
    assert back.probe(PREFIX, "unknown type") is back.probes[EVERYTHING, PREFIX]
    assert json.loads((tmp_path / "value" / "report.json").read_text()) == {"schema": 1}
    save_head(tmp_path / "none", replace(head, stop_below=None), {})
    assert load_head(tmp_path / "none").stop_below is None


def test_a_head_of_an_older_version_has_no_threshold(tmp_path: Path) -> None:
    save_head(tmp_path / "value", a_head(), {})
    path = tmp_path / "value" / "head.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["axiom_rl"])
    del about["stop_below"]
    header["__metadata__"]["axiom_rl"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert load_head(path).stop_below is None


def test_a_missing_or_damaged_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match=r"there is no head.safetensors; give the folder value/"):
        load_head(tmp_path)
    save_head(tmp_path / "value", a_head(), {})
    with pytest.raises(AxiomError, match="did you mean"):
        load_head(tmp_path)
    file = tmp_path / "value" / "head.safetensors"
    whole = file.read_bytes()
    for broken in (
        whole[: len(whole) // 2],
        b"",
        whole.replace(b'\\"schema\\": 1', b'\\"schema\\": 9'),
        whole.replace(b"axiom_rl", b"axiom_xx"),
        whole.replace(b"/platt", b"/plotz"),
    ):
        assert broken != whole
        file.write_bytes(broken)
        with pytest.raises(AxiomError, match="damaged or of another version"):
            load_head(tmp_path / "value")


@pytest.mark.parametrize(
    "changes",
    [
        lambda probe: {"scale": probe.scale[:-1]},
        lambda probe: {"mean": np.append(probe.mean, 0.0), "scale": np.append(probe.scale, 1.0)},
        lambda probe: {"mean": probe.mean * np.nan},
        lambda probe: {"scale": probe.scale * 0},
        lambda probe: {"slope": np.inf},
        lambda probe: {"layers": probe.layers[:1]},  # three outputs
        lambda probe: {"layers": probe.layers[::-1]},
    ],
)
def test_a_head_whose_parts_do_not_fit_is_refused_before_it_is_asked(
    changes: Callable[[Probe], dict[str, Any]], tmp_path: Path
) -> None:
    head = a_head()
    odd = replace(head.probes[EVERYTHING, END], **changes(head.probes[EVERYTHING, END]))
    save_head(tmp_path / "value", replace(head, probes=head.probes | {(EVERYTHING, END): odd}), {})
    with pytest.raises(AxiomError, match=r"damaged or of another version \(its "):
        load_head(tmp_path / "value")
