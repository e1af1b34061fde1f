"""The schema of conf/stage and conf/tracking."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from axiom_rl.config.schema.search import SearchRoundConfig


@dataclass
class StageConfig:
    """What to do."""

    kind: str = MISSING
    """train, evaluate, search, solve, collect, teach, compare, list, watch or export."""


@dataclass
class CollectConfig(StageConfig):
    """Best-of-N collection of gold solutions."""

    split: str = MISSING
    """train, val or test."""
    max_attempts: int = MISSING
    """Samples per problem at most; drawn in rounds, the first of sampler.n, until one passes."""
    rounds: dict[str, SearchRoundConfig] = MISSING
    """Rounds of search for problems that are unsolved after these samples, in order."""
    skip_existing: bool = MISSING
    """Leave out problems that the output file already solves."""
    output: str | None = MISSING
    """Solutions file; null means solutions/collected.jsonl in the run folder."""
    expert: str = MISSING
    """Who decides which samples are gold, as trainer.expert."""


@dataclass
class EvaluateConfig(StageConfig):
    """Evaluation of a model or adapter on fresh tests."""

    split: str | None = MISSING
    """train, val or test; null means the one that a report is about: test, else val, else train."""


@dataclass
class SearchStageConfig(StageConfig):
    """Every selector at every budget on the samples of a finished evaluation."""

    pool: str | None = MISSING
    """Run folder of stage=evaluate, whose samples, problems and settings are used. Needed."""
    choose_on: str | None = MISSING
    """Run folder of stage=evaluate on other problems, such as val: the selector that is best there
    is named before the scores, and marked; null chooses none."""
    extend: bool = MISSING
    """Draw what the pool lacks: tests written by the model; their tokens count."""


@dataclass
class SolveConfig(StageConfig):
    """Programs for problems of your own that have examples and no other tests."""

    output: str | None = MISSING
    """Where the chosen programs go; null means solved.jsonl in the run folder."""


@dataclass
class TeachConfig(StageConfig):
    """Traces of a teacher for the problems that the student fails."""

    split: str = MISSING
    """train, val or test."""
    student: str | None = MISSING
    """Run folder of the student's stage=evaluate on these problems; null means that all problems of
    the split are asked."""
    output: str | None = MISSING
    """Traces file; null means traces.jsonl in the run folder. What is wrong goes beside it, to
    <name>_wrong.jsonl."""


@dataclass
class CompareConfig(StageConfig):
    """Runs side by side, the first against each of the others."""

    runs: list[str] = MISSING
    """Run folders, adapters in run folders or evaluation files, two or more."""
    across: list[str] = MISSING
    """What the runs are meant to differ in beside the adapter: weights, prompt, backend."""
    sweep: str | None = MISSING
    """Folder of a sweep, in the place of runs: its page is written anew."""


@dataclass
class ListConfig(StageConfig):
    """Printing problems."""

    show: str | None = MISSING
    """Id of one problem to print with its tests."""


@dataclass
class WatchConfig(StageConfig):
    """The runs below outputs/ in a browser, while they go on."""

    port: int = MISSING
    """Port on 127.0.0.1; 0 means any that is free."""


@dataclass
class ExportConfig(StageConfig):
    """Writing the merged model."""

    output: str | None = MISSING
    """Folder for the merged model; null means merged/ in the run folder."""


@dataclass
class TrackingConfig:
    """Where metrics go besides metrics.jsonl."""

    kind: str = MISSING
    """none or wandb."""


@dataclass
class WandbConfig(TrackingConfig):
    """A copy of the metrics, completions, report and adapter on W&B."""

    project: str = MISSING
    """Name of the W&B project."""
    entity: str | None = MISSING
    """User or team; null means the default of the login."""
    group: str | None = MISSING
    """Runs shown together; null means the sweep that the run belongs to, if any."""
    mode: str = MISSING
    """auto (online where there is a login and a network), online or offline."""
