"""The schema of conf/search."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class SearchConfig:
    """What is added to the plain samples at inference time; it never sees a hidden test."""

    kind: str = MISSING
    """none, select (one of the samples) or repair."""


@dataclass
class SearchRoundConfig:
    """One round of search for problems that have no gold solution yet."""

    how: str = MISSING
    """again (the run's own prompt), direct, chain_of_thought or few_shot (another prompt), or
    repair (a program that fails a public test is shown the failure)."""
    temperature: float = MISSING
    """In the place of sampler.temperature."""
    samples: int = MISSING
    """Samples of each problem without a solution; 0 leaves the round out."""


@dataclass
class SelectConfig(SearchConfig):
    """One of the samples is chosen by what a user has: statement, examples, agreement."""

    selector: str = MISSING
    """random, logprob, public, vote, codet, value, vote_value, or one of your own, entered by
    axiom_rl.search.register."""
    imports: list[str] = MISSING
    """Modules to import first, which register selectors of your own."""
    inputs: int = MISSING
    """Inputs per problem to run programs on, made from the arguments of the public tests."""
    time_limit_s: float = MISSING
    """CPU seconds of one program for all these inputs, each given twice."""
    written_tests: int = MISSING
    """Completions per problem in which the model writes tests; their tokens count."""
    head: str | None = MISSING
    """Folder value/ of a run of trainer=value; needed by value and vote_value."""
    cross_fit: bool = MISSING
    """Judge each problem by the part of the head that was fitted without its type."""
    stop_below: float | str | None = MISSING
    """Probability to pass below which a sample is stopped early: while it is drawn in stage=solve;
    stage=evaluate and stage=search keep it whole and show what that would save. head means the
    threshold that the head is stored with, null none (and in a replay the head's and others)."""
    allocation: str = MISSING
    """even (sampler.n samples for each problem) or need (as many on average, more where none
    passes the public tests or the samples disagree); stage=solve, and compared in stage=search."""


@dataclass
class RepairConfig(SearchConfig):
    """A program that fails a public test is shown the failure and written again."""

    turns: int = MISSING
    """Further programs per sample at most."""
