"""The benchmarks that a teacher's answers are compared with, and those that could not be had."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from axiom_rl.config import TeacherConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems.sources.benchmarks import BENCHMARKS, load_benchmark
from axiom_rl.problems.sources.contamination import AnswerCheck, load_benchmarks
from axiom_rl.problems.sources.jsonl import Loaded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compared:
    """What answers are compared with."""

    check: AnswerCheck | None = None
    names: tuple[str, ...] = ()
    """Benchmarks, or files, that the answers are compared with."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Benchmarks that could not be had, with the reason."""

    def overlap(self, answer: str, code: str, problem: Problem) -> str:
        """Return which task of a benchmark an answer repeats; '' if none."""
        return self.check.overlap(answer, code, problem) if self.check else ""


def load_compared(config: TeacherConfig) -> Compared:
    """Load the benchmarks that teacher.check asks for.

    Raises:
        AxiomError: if one cannot be had, where teacher.check=always or a file is named.
    """
    if config.check == "never":
        return Compared()
    if config.check_files:
        loaded = load_benchmarks(config.check_files)
        return Compared(AnswerCheck(loaded), tuple(config.check_files))
    found: dict[str, Loaded] = {}
    lacking: dict[str, str] = {}
    for name in BENCHMARKS:
        try:
            found[name] = load_benchmark(name)
        except AxiomError as error:
            lacking[name] = str(error)
    cure = "name files of both (teacher.check_files=[...], JSONL)"
    if lacking and config.check == "always":
        raise AxiomError(
            f"teacher.check=always: {'; '.join(lacking.values())}; {cure}, or take "
            "teacher.check=auto"
        )
    if lacking:
        log.warning(
            "the answers are NOT compared with %s, which cannot be had here: a benchmark score of "
            "what is trained on them may be too good; %s",
            " and ".join(lacking), cure,
        )  # fmt: skip
    return Compared(AnswerCheck(found.values()), tuple(found), lacking)
