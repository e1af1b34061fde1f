"""A value head: weights, what they were fitted on, and the file that holds both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json
from axiom_rl.models.weights.cache import write_folder
from axiom_rl.value.recipe import FILE, Recipe, head_file

SCHEMA = 1
REPORT = "report.json"
END, PREFIX = "end", "prefix"
"""The part for whole completions, and the part for their beginnings."""
EVERYTHING = ""
"""The fold that was fitted on every problem; the others are named by the type they left out."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One fitted function: standardised inputs, one or two layers, a calibrated logit."""

    mean: Floats
    """(width,) of the inputs it was fitted on."""
    scale: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    """Weights (out, in) and biases (out,); tanh between two layers."""
    slope: float = 1.0
    """Platt's scaling (1999) of the logit, fitted on problems that the layers had not seen."""
    offset: float = 0.0

    def logits(self, inputs: NDArray[np.float32]) -> Floats:
        """Return the calibrated logit of each row: (rows, width) to (rows,)."""
        return self.slope * self.raw(inputs) + self.offset

    def raw(self, inputs: NDArray[np.float32]) -> Floats:
        """Return the logit of each row before calibration."""
        values: Floats = (inputs.astype(np.float64) - self.mean) / self.scale
        for number, (weights, biases) in enumerate(self.layers):
            values = (np.tanh(values) if number else values) @ weights.T + biases
        return values[:, 0]

    def probabilities(self, inputs: NDArray[np.float32]) -> Floats:
        """Return each row's probability to pass."""
        return sigmoid(self.logits(inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProblems:
    """What a head was fitted on."""

    ids: tuple[str, ...]
    questions: tuple[str, ...]
    """Hashes, see `question_hash`."""
    types: tuple[str, ...]
    """Of the problems, without repetition."""
    pools: tuple[str, ...]
    """Run folders, as they were typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueHead:
    """All parts of a head."""

    probes: Mapping[tuple[str, str], Probe]
    """By fold and part."""
    base: Mapping[str, Any]
    """Identity of the base weights of the frozen policy."""
    adapter_sha256: str
    recipe: Recipe
    inputs: tuple[str, ...]
    seen: SeenProblems
    stop_below: float | None = None
    """Probability of a prefix below which a sample is hopeless, chosen on the head's own pools by
    heads that had not seen the problem; None where none is safe, and in older heads."""

    @property
    def reads_prefixes(self) -> bool:
        """Whether it was fitted on beginnings: of too short completions the ends stand for them."""
        end, early = (self.probes[EVERYTHING, part] for part in (END, PREFIX))
        return not np.array_equal(end.mean, early.mean)

    def leaves_out(self, kind: str) -> bool:
        """Whether every part has a fold that was fitted without problems of a type."""
        return all((kind, part) in self.probes for part in (END, PREFIX))

    def probe(self, part: str, left_out: str = EVERYTHING) -> Probe:
        """Return a part; of a type that no fold left out, that of the head as a whole."""
        return self.probes.get((left_out, part), self.probes[EVERYTHING, part])


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


def save_head(folder: Path, head: ValueHead, report: Mapping[str, Any]) -> None:
    """Write value/ with head.safetensors and report.json, whole or not at all.

    Raises:
        AxiomError: if the folder exists and is not empty, or the disk is full.
    """
    tensors: dict[str, Floats] = {}
    for (fold, part), probe in head.probes.items():
        name = f"{fold}/{part}"
        tensors |= {f"{name}/mean": probe.mean, f"{name}/scale": probe.scale}
        tensors[f"{name}/platt"] = np.array([probe.slope, probe.offset])
        for number, (weights, biases) in enumerate(probe.layers):
            tensors |= {f"{name}/weights{number}": weights, f"{name}/biases{number}": biases}
    about = {
        "schema": SCHEMA,
        "base": dict(head.base),
        "adapter_sha256": head.adapter_sha256,
        "recipe": asdict(head.recipe),
        "inputs": list(head.inputs),
        "seen": asdict(head.seen),
        "stop_below": head.stop_below,
    }
    content = save(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
        metadata={"axiom_rl": json.dumps(about)},
    )

    def build(temporary: Path) -> None:
        (temporary / FILE).write_bytes(content)
        write_json(temporary / REPORT, report)

    write_folder(folder, build)


def load_head(place: str | Path) -> ValueHead:
    """Read a head.

    Args:
        place: the folder value/, or the file in it.

    Raises:
        AxiomError: if there is none, or it is damaged.
    """
    path = head_file(place)
    try:
        with safe_open(path, framework="numpy") as opened:
            about = json.loads((opened.metadata() or {})["axiom_rl"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return _head(about, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise AxiomError(
            f"search.head={place}: {path} is damaged or of another version ({error}); train it "
            "anew by trainer=value"
        ) from error


def _head(about: Mapping[str, Any], tensors: Mapping[str, Floats]) -> ValueHead:
    if about["schema"] != SCHEMA:
        raise ValueError(f"schema {about['schema']}, this program reads {SCHEMA}")
    probes: dict[tuple[str, str], Probe] = {}
    for name in tensors:
        if not name.endswith("/mean"):
            continue
        stem = name.removesuffix("/mean")
        fold, _, part = stem.rpartition("/")
        slope, offset = tensors[f"{stem}/platt"]
        depth = sum(key.startswith(f"{stem}/weights") for key in tensors)
        probe = Probe(
            mean=tensors[name],
            scale=tensors[f"{stem}/scale"],
            layers=tuple(
                (tensors[f"{stem}/weights{n}"], tensors[f"{stem}/biases{n}"]) for n in range(depth)
            ),
            slope=float(slope),
            offset=float(offset),
        )
        if not depth or not all(np.isfinite(part).all() for pair in probe.layers for part in pair):
            raise ValueError("its weights are not finite numbers")
        first = next(iter(probes.values()), probe)
        if probe.mean.shape != first.mean.shape or not _fits(probe):
            raise ValueError("its parts do not fit each other")
        probes[fold, part] = probe
    if not {(EVERYTHING, END), (EVERYTHING, PREFIX)} <= probes.keys():
        raise ValueError("parts are missing")
    return ValueHead(
        probes=probes,
        base=about["base"],
        adapter_sha256=about["adapter_sha256"],
        recipe=Recipe(**about["recipe"]),
        inputs=tuple(about["inputs"]),
        seen=SeenProblems(**{key: tuple(values) for key, values in about["seen"].items()}),
        stop_below=about.get("stop_below"),
    )


def _fits(probe: Probe) -> bool:
    """Whether a probe can be asked: each layer takes what the one before gives, the last one 1."""
    width, fits = len(probe.mean), probe.scale.shape == probe.mean.shape
    for weights, biases in probe.layers:
        fits = fits and weights.shape == (len(biases), width)
        width = len(biases)
    known = [*probe.mean, *probe.scale, probe.slope, probe.offset]
    return bool(fits and width == 1 and np.isfinite(known).all() and (probe.scale > 0).all())


def short_names(names: Sequence[str], most: int = 3) -> str:
    """Write some names in a line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
