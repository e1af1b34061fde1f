"""What values a key may have, beyond its type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from axiom_rl.config.schema import Config, SearchRoundConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import LONGEST_S


def _one_of(*names: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in names), f"one of {', '.join(names)}"


def _at_least(least: float) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: least <= value < math.inf), f"{least} or more"


def _are_weights(value: Any) -> bool:
    """Whether a value is a dictionary of finite numbers, one of them not 0."""
    numbers = list(value.values()) if isinstance(value, dict) else []
    real = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return real and all(map(math.isfinite, numbers)) and any(numbers)


ABOVE_0: tuple[Callable[[Any], bool], str] = (lambda value: 0 < value < math.inf), "above 0"
LARGEST_SEARCH = 500
"""Inputs that one program is run on."""
_ABSENT = object()
SPLITS = ("train", "val", "test")
SELECTORS = ("public", "vote", "codet", "value", "vote_value")
"""Experts that decide by a search, without hidden tests."""
CONTROLS = ("all", "shuffled", "wrong")
"""Experts that say what the verdicts were worth."""
EXPERTS = ("hidden", *SELECTORS, *CONTROLS)
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": ((lambda value: 0 <= value < 2**32), "0 to 4294967295"),
    "model.dtype": _one_of("auto", "bfloat16", "float32"),
    "model.quantization": _one_of("none", "4bit"),
    "model.device": _one_of("auto", "cuda", "mps", "cpu"),
    "problems.prompt": _one_of("direct", "chain_of_thought", "few_shot", "think"),
    "sampler.n": _at_least(1),
    "sampler.temperature": _at_least(0),
    "sampler.top_p": ((lambda value: 0 < value <= 1), "above 0 and at most 1"),
    "sampler.max_new_tokens": _at_least(1),
    "sampler.memory_gb": ABOVE_0,
    "sampler.max_batch": _at_least(1),
    "sampler.gpu_memory_utilization": ((lambda value: 0 < value <= 1), "above 0 and at most 1"),
    "sampler.adapters": _one_of("auto", "lora", "merge"),
    "sampler.start_timeout_s": ABOVE_0,
    "sampler.answer_timeout_s": ABOVE_0,
    "sampler.in_flight": _at_least(1),
    "sampler.timeout_s": ABOVE_0,
    "sampler.retries": _at_least(0),
    "sandbox.time_limit_s": (
        (lambda value: 0 < value <= LONGEST_S),
        f"above 0, {LONGEST_S} at most",
    ),
    "sandbox.memory_mb": _at_least(1),
    "sandbox.output_kb": _at_least(1),
    "sandbox.result_kb": _at_least(1),
    "sandbox.servers": _at_least(1),
    "sandbox.isolation": _one_of("full", "reduced", "process"),
    "trainer.iterations": _at_least(1),
    "trainer.start_from": _one_of("base", "adapter"),
    "trainer.max_attempts": _at_least(1),
    "trainer.retry_temperature": _at_least(0),
    "trainer.max_solutions": _at_least(1),
    "trainer.max_retries": _at_least(0),
    "trainer.expert": _one_of(*EXPERTS),
    "trainer.target": _one_of("completion", "code"),
    "trainer.arms": (
        (lambda value: set(value) <= set(EXPERTS) and len(set(value)) == len(value)),
        f"a list of different ones of {', '.join(EXPERTS)}",
    ),
    "trainer.problems_per_iteration": _at_least(1),
    "trainer.rewards": (
        _are_weights,
        "names with weights, in quotes for the shell: 'trainer.rewards={binary: 1.0, mine: 0.2}'",
    ),
    "trainer.failure_reward": ((lambda value: -math.inf < value <= 0), "0 or less"),
    "trainer.format_weight": ((lambda value: 0 <= value < 1), "0 or more and below 1"),
    "trainer.length_weight": ((lambda value: 0 <= value < 1), "0 or more and below 1"),
    "trainer.max_extra_groups": _at_least(0),
    "trainer.objective": _one_of("mean", "max_at_k"),
    "trainer.k": ((lambda value: value >= 2), "2 or more; for k=1 type trainer.objective=mean"),
    "trainer.rehearsal": _at_least(0),
    "trainer.rehearsal_rows": _at_least(1),
    "trainer.signal_low": ((lambda value: 0 <= value <= 1), "0 to 1"),
    "trainer.signal_high": ((lambda value: 0 <= value <= 1), "0 to 1"),
    "trainer.eval_every": _at_least(0),
    "trainer.max_logprob_gap": ABOVE_0,
    "trainer.importance_cap": _at_least(1),
    "trainer.curriculum.kind": _one_of("uniform", "ladder", "adaptive", "pools"),
    "trainer.curriculum.low": ((lambda value: 0 <= value <= 1), "0 to 1"),
    "trainer.curriculum.high": ((lambda value: 0 <= value <= 1), "0 to 1"),
    "trainer.curriculum.window": _at_least(1),
    "trainer.curriculum.focus": _at_least(0),
    "trainer.inputs": (
        (lambda value: bool(value) and set(value) <= {"hidden", "logprob", "length"}),
        "a list of hidden, logprob, length",
    ),
    "trainer.layer": ((lambda value: 0 < value <= 1), "above 0 and at most 1"),
    "trainer.every": _at_least(1),
    "trainer.hidden": _at_least(0),
    "trainer.l2": ABOVE_0,
    "trainer.pairs": _at_least(0),
    "trainer.epochs": _at_least(1),
    "trainer.folds": _at_least(2),
    "search.stop_below": (
        (lambda value: value == "head" if isinstance(value, str) else 0 < value < 1),
        "above 0 and below 1, or head: the threshold that search.head is stored with",
    ),
    "search.allocation": _one_of("even", "need"),
    "search.inputs": ((lambda value: 0 <= value <= LARGEST_SEARCH), f"0 to {LARGEST_SEARCH}"),
    "search.time_limit_s": ABOVE_0,
    "search.written_tests": _at_least(0),
    "search.turns": _at_least(1),
    "teacher.max_pass_rate": ((lambda value: 0 <= value <= 1), "0 to 1"),
    "teacher.samples": _at_least(1),
    "teacher.traces_per_problem": _at_least(1),
    "teacher.max_traces": _at_least(1),
    "teacher.min_yield": ((lambda value: 0 <= value < 1), "0 or more and below 1"),
    "teacher.judged_after": _at_least(1),
    "teacher.check": _one_of("always", "auto", "never"),
    "teacher.reasoning": _one_of("before", "after"),
    "teacher.backend": _one_of("auto", "transformers", "vllm"),
    "teacher.temperature": _at_least(0),
    "teacher.top_p": ((lambda value: 0 < value <= 1), "above 0 and at most 1"),
    "teacher.max_new_tokens": _at_least(1),
    "teacher.dtype": _one_of("auto", "bfloat16", "float32"),
    "teacher.quantization": _one_of("none", "4bit"),
    "teacher.device": _one_of("auto", "cuda", "mps", "cpu"),
    "teacher.max_tokens": _at_least(1),
    "teacher.in_flight": _at_least(1),
    "teacher.timeout_s": ABOVE_0,
    "teacher.retries": _at_least(0),
    "teacher.max_cost": ABOVE_0,
    "teacher.price_in": _at_least(0),
    "teacher.price_out": _at_least(0),
    "stage.split": _one_of(*SPLITS),
    "stage.max_attempts": _at_least(1),
    "stage.port": ((lambda value: 0 <= value <= 65535), "0 to 65535"),
    "stage.expert": _one_of(*EXPERTS),
    "stage.across": (
        (lambda value: set(value) <= {"weights", "prompt", "backend"}),
        "a list of weights, prompt, backend",
    ),
    "tracking.mode": (
        (lambda value: value in ("auto", "online", "offline")),
        "one of auto, online, offline; to track nothing type tracking=none",
    ),
}
"""What values a key may have, where its schema has it and it is not null."""
NEVER_NULL = ("trainer.rewards",)
"""Keys whose type allows null and whose rule does not."""
ROUND_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "how": _one_of("again", "direct", "chain_of_thought", "few_shot", "repair"),
    "temperature": _at_least(0),
    "samples": _at_least(0),
}
"""The same for each round of trainer.rounds and stage.rounds."""


def check_values(config: Config) -> None:
    """Compare every value with its rule.

    Raises:
        AxiomError: for the first that breaks it, naming the key and what it must be.
    """
    for key, (fine, wanted) in RULES.items():
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name, _ABSENT)
        if value is _ABSENT or (value is None and key not in NEVER_NULL):
            continue
        if not fine(value):
            raise AxiomError(f"{key}={value}: must be {wanted}")
    for owner in ("trainer", "stage"):
        for name, each in (getattr(getattr(config, owner), "rounds", None) or {}).items():
            _check_round(f"{owner}.rounds.{name}", name, each)


def _check_round(key: str, name: str, each: SearchRoundConfig) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise AxiomError(f"{key}: the name of a round is a file's too: a-z, 0-9 and _, like hot_2")
    for field, (fine, wanted) in ROUND_RULES.items():
        value = getattr(each, field)
        if not fine(value):
            raise AxiomError(f"{key}.{field}={value}: must be {wanted}")
