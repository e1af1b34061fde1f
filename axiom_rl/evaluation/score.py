"""The score of one model on one set of problems: built from completions and their verdicts.

Scores come from fresh tests: inputs that training never rewarded, of the same tasks. Rows that the
sandbox itself spoiled (`SANDBOX_FAULT`) are counted and are in no denominator.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.evaluation.statistics import Interval, Scope, pass_at_k, rate_interval
from axiom_rl.problems.registry import get_type, is_registered
from axiom_rl.verify.extract import cut_off_thinking

SCHEMA = 1
FRESH_TESTS = "fresh tests"
BENCHMARK_TESTS = "benchmark tests"
HIDDEN_TESTS = "hidden tests"
"""All that problems without a generator have; on train problems, what training rewards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemScore:
    """Passing and judged samples of one problem."""

    type: str
    difficulty: int
    title: str
    passed: int
    samples: int

    @property
    def rate(self) -> float:
        """Share of the judged samples that pass; NaN without any."""
        return self.passed / self.samples if self.samples else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model scored, and everything needed to tell whether another score is comparable."""

    tests: str
    """What was held out: `fresh tests` or `benchmark tests`; or `hidden tests`."""
    tests_sha256: str
    """Hash of the tests of the problems given to `score`; '' where it was not recorded."""
    split: str
    scope: Scope
    """fixed: the problems are the population; sampled: they stand for more like them."""
    model: Mapping[str, Any]
    """name, source, format, sha256, revision, adapter."""
    sampler: Mapping[str, Any]
    """backend, n, temperature, top_p, max_new_tokens, prompt (its style)."""
    seed: int
    samples: int
    """Judged samples: without the sandbox's faults."""
    faults: int
    pass_at_1: Interval
    solved: int
    """Problems with at least one passing sample."""
    pass_at_k: Mapping[int, float]
    """Mean over problems; NaN where some problem has fewer than k judged samples."""
    per_problem: Mapping[str, ProblemScore]
    verdicts: Mapping[str, int]
    """Samples by status, faults included."""
    overfit_gap: float | None
    """Share of the samples accepted by the hidden tests that fail the fresh ones."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Tasks of a benchmark that are not scored, by id: those that overlap with training, and those
    that cannot be judged."""
    shared_inputs: Mapping[str, str] = field(default_factory=dict)
    """Types whose fresh tests repeat inputs that training saw, with the reason."""
    truncated_thinking: int | None = None
    """Samples that the token limit cut off inside <think>; None where none was asked for."""
    weak: Mapping[str, str] = field(default_factory=dict)
    """Problems whose tests a trivial program passes, by id, with the program."""

    @property
    def problems(self) -> int:
        """How many problems were evaluated."""
        return len(self.per_problem)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `evaluation/*.json`; NaN becomes null."""
        document = {"schema": SCHEMA} | asdict(self)
        document["pass_at_1"] = {key: _number(v) for key, v in asdict(self.pass_at_1).items()}
        document["solved"] = {"value": self.solved, "problems": self.problems}
        document["pass_at_k"] = {str(k): _number(v) for k, v in self.pass_at_k.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Evaluation:
        """Rebuild an evaluation from its document.

        Raises:
            AxiomError: if a key is missing, or the document has another schema version.
        """
        if document.get("schema") != SCHEMA:
            raise AxiomError(f"evaluation has schema {document.get('schema')!r}, expected {SCHEMA}")
        try:
            # Older versions lack these.
            document = {"weak": {}, "truncated_thinking": None, **document}
            fields = {key: document[key] for key in cls.__dataclass_fields__}
            fields["pass_at_1"] = Interval(**{k: _nan(v) for k, v in fields["pass_at_1"].items()})
            fields["solved"] = fields["solved"]["value"]
            fields["pass_at_k"] = {int(k): _nan(v) for k, v in fields["pass_at_k"].items()}
            fields["per_problem"] = {
                key: ProblemScore(**value) for key, value in fields["per_problem"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise AxiomError(f"evaluation is incomplete or malformed: {error}") from error
        return cls(**fields)


def score(
    problems: Sequence[Problem],
    completions: Sequence[Completion],
    fresh_verdicts: Sequence[Verdict],
    hidden_verdicts: Sequence[Verdict] | None = None,
    *,
    split: str,
    model: Mapping[str, Any],
    sampler: Mapping[str, Any],
    seed: int,
    tests: str = FRESH_TESTS,
    left_out: Mapping[str, str] | None = None,
    weak: Mapping[str, str] | None = None,
) -> Evaluation:
    """Score a model from its completions and the verdicts on them. Pure: no files, no clock.

    Args:
        problems: the problems evaluated, with the tests they were judged by, whose hash tells
            `compare` that two evaluations used the same ones.
        completions: any number per problem, in any order.
        fresh_verdicts: one per completion, in the same order.
        hidden_verdicts: the same completions judged by the hidden tests, for the overfit gap.
        split: name of the split.
        model: name, source, format, sha256, revision and adapter of the model.
        sampler: the settings that the completions were drawn with.
        seed: seed of sampling.
        tests: what was held out, in words.
        left_out: why some tasks of the benchmark are not among the problems, by id.
        weak: which trivial program passes the tests, by problem id; of other problems as well.

    Raises:
        AxiomError: if there are no problems, or a completion belongs to none of them.
    """
    if not problems:
        raise AxiomError("nothing to evaluate: there are no problems; check problems.types")
    counted = _count(problems, completions, fresh_verdicts)
    per_problem = {
        problem.id: ProblemScore(
            type=problem.type,
            difficulty=problem.difficulty,
            title=problem.title,
            passed=counted[problem.id][0],
            samples=counted[problem.id][1],
        )
        for problem in problems
    }
    passed = [row.passed for row in per_problem.values()]
    samples = [row.samples for row in per_problem.values()]
    scope = scope_of(problems)
    statuses = Counter(str(verdict.status) for verdict in fresh_verdicts)
    return Evaluation(
        tests=tests,
        tests_sha256=hash_of_tests(problems, fresh=tests == FRESH_TESTS),
        split=split,
        scope=scope,
        model=dict(model),
        sampler=dict(sampler),
        seed=seed,
        samples=sum(samples),
        faults=statuses[Status.SANDBOX_FAULT],
        pass_at_1=rate_interval(passed, samples, scope),
        solved=sum(count > 0 for count in passed),
        pass_at_k={k: _mean_pass_at_k(per_problem, k) for k in _ks(samples)},
        per_problem=per_problem,
        verdicts=dict(sorted(statuses.items())),
        overfit_gap=_overfit_gap(fresh_verdicts, hidden_verdicts),
        left_out=dict(left_out or {}),
        shared_inputs=_shared_inputs(problems) if tests == FRESH_TESTS else {},
        truncated_thinking=_cut_off(completions) if sampler.get("prompt") == "think" else None,
        weak={key: name for key, name in (weak or {}).items() if key in per_problem},
    )


def _cut_off(completions: Sequence[Completion]) -> int:
    return sum(item.truncated and cut_off_thinking(item.text) for item in completions)


def _shared_inputs(problems: Sequence[Problem]) -> dict[str, str]:
    names = sorted({problem.type for problem in problems if is_registered(problem.type)})
    reasons = {name: get_type(name).small_input_space for name in names}
    return {name: reason for name, reason in reasons.items() if reason}


def scope_of(problems: Sequence[Problem]) -> Scope:
    """Return `fixed` where every type has one problem, else `sampled`.

    A type with a single problem (fizzbuzz) is that problem; several problems of one type are draws
    of a generator or rows of a data set, and stand for the others.
    """
    types = Counter(problem.type for problem in problems)
    return "fixed" if max(types.values()) == 1 else "sampled"


def hash_of_tests(problems: Sequence[Problem], *, fresh: bool = False) -> str:
    """SHA-256 over the ids and hidden or fresh tests of the problems, whatever their order."""
    tests = {
        problem.id: [
            [encode(case.args), encode(case.expected)]
            for case in (fresh and problem.fresh_tests) or problem.hidden_tests
        ]
        for problem in problems
    }
    return hashlib.sha256(json.dumps(tests, sort_keys=True).encode()).hexdigest()


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write `evaluation/*.json` atomically."""
    write_json(path, evaluation.to_json())


def read_evaluation(path: Path) -> Evaluation:
    """Read `evaluation/*.json`.

    Raises:
        AxiomError: naming the file, if it is missing or malformed.
    """
    try:
        return Evaluation.from_json(read_json(path))
    except AxiomError as error:
        raise AxiomError(f"{path}: {error}") from error


def _count(
    problems: Sequence[Problem], completions: Sequence[Completion], verdicts: Sequence[Verdict]
) -> dict[str, tuple[int, int]]:
    """Return passing and judged samples by problem id."""
    counted = {problem.id: (0, 0) for problem in problems}
    if len(counted) != len(problems):
        raise AxiomError("two problems share an id; give every problem its own")
    for completion, verdict in zip(completions, verdicts, strict=True):
        if completion.problem_id not in counted:
            raise AxiomError(f"a completion belongs to no problem: {completion.problem_id}")
        if verdict.status is not Status.SANDBOX_FAULT:
            passed, samples = counted[completion.problem_id]
            counted[completion.problem_id] = (passed + verdict.passed, samples + 1)
    return counted


def _ks(samples: Sequence[int]) -> list[int]:
    """Powers of two up to the number of samples drawn, and that number."""
    most = max(samples)
    return sorted({k for k in (2**i for i in range(most.bit_length())) if k <= most} | {most} - {0})


def _mean_pass_at_k(per_problem: Mapping[str, ProblemScore], k: int) -> float:
    rates = [pass_at_k(row.samples, row.passed, k) for row in per_problem.values()]
    return math.fsum(rates) / len(rates)


def _overfit_gap(fresh: Sequence[Verdict], hidden: Sequence[Verdict] | None) -> float | None:
    if hidden is None:
        return None
    claimed = [
        verdict.passed
        for verdict, claim in zip(fresh, hidden, strict=True)
        if claim.passed and verdict.status is not Status.SANDBOX_FAULT
    ]
    return 1 - sum(claimed) / len(claimed) if claimed else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
