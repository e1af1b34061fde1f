"""The search of an expert: which settings it has, and who decides over the samples of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from axiom_rl.config import (
    SELECTORS,
    CollectConfig,
    Config,
    ExpertIterConfig,
    SearchConfig,
    SelectConfig,
    composed_option,
)
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.search.replayed import check_search
from axiom_rl.gold.experts import Expert, Searching
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search import registry
from axiom_rl.search.public import PublicProblem, public_side
from axiom_rl.search.written import WrittenTests, draw_written

if TYPE_CHECKING:
    from axiom_rl.evaluation.search.valued import HeadInUse
    from axiom_rl.value.values import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchInUse:
    """The search of a run: its settings, and the head that they name."""

    config: SearchConfig
    head: HeadInUse | None
    """Checked on the problems that it judges."""

    def values(
        self, context: RunContext, policy: Policy, items: Sequence[tuple[Problem, Rollout]]
    ) -> Values | None:
        """Return the head's values of samples; None without a head.

        Args:
            context: of the run; features are kept in its search/.
            policy: that drew the samples; it gives its memory to the policy that reads them.
            items: the samples with their problems.
        """
        if self.head is None:
            return None
        return self.head.values(context.run.folder, items, policy.close)


def asks_head(name: str) -> bool:
    """Whether an expert decides by a value head."""
    return name in SELECTORS and "head" in registry.get(name).needs


def head_asked(config: Config) -> bool:
    """Whether gold of this run, or of an arm beside it, is decided by a value head."""
    return any(map(asks_head, [expert_of(config), *_arms(config)]))


def expert_of(config: Config) -> str:
    """Return who decides what is gold: trainer.expert or stage.expert."""
    if isinstance(config.stage, CollectConfig):
        return config.stage.expert
    trains = config.stage.kind == "train" and isinstance(config.trainer, ExpertIterConfig)
    return config.trainer.expert if trains else "hidden"  # type: ignore[attr-defined]


def with_expert(config: Config) -> Config:
    """Return the config with the search that its expert and arms read.

    Where search= is none, it is the option of conf/search/ that is named like the expert, or, for
    arms, like the one of them that asks for most.

    Raises:
        AxiomError: if an expert's search lacks what it needs, or the arms leave the expert out.
    """
    expert, arms = expert_of(config), _arms(config)
    if arms and expert not in arms:
        raise AxiomError(
            f"trainer.arms={arms}: it must hold trainer.expert={expert}, which is compared"
        )
    searchers = [name for name in dict.fromkeys([expert, *arms]) if name in SELECTORS]
    if config.search.kind == "none" and searchers:
        options: list[SelectConfig] = [composed_option("search", name) for name in searchers]
        most = max(options, key=lambda option: (option.written_tests, option.inputs))
        own = expert if expert in SELECTORS else most.selector
        config = replace(config, search=replace(most, selector=own))
    for name in searchers:
        _check(config.search, name)
    check_search(config.search)
    return config


def check_arms(config: Config) -> None:
    """Refuse what would let an arm draw samples that the others do not have.

    Raises:
        AxiomError: naming the key and the value to type.
    """
    trainer = config.trainer
    if not isinstance(trainer, ExpertIterConfig) or not trainer.arms:
        return
    n = config.sampler.n
    if trainer.problems_per_iteration is not None:
        raise AxiomError(
            "trainer.arms compares what one pool gives: leave trainer.problems_per_iteration null"
        )
    if trainer.max_attempts > n and trainer.max_retries:
        raise AxiomError(
            f"trainer.arms compares what one pool gives: set trainer.max_attempts={n} (sampler.n), "
            "so that no arm draws more"
        )
    for name, each in trainer.rounds.items():
        if each.samples:
            raise AxiomError(
                f"trainer.arms compares what one pool gives, and trainer.rounds.{name} draws more: "
                f"set trainer.rounds.{name}.samples=0"
            )


def check_shown(config: Config, problems: Sequence[Problem]) -> None:
    """Refuse an expert that searches where it could take nothing, before anything is drawn.

    Raises:
        AxiomError: if none of the problems that gold is wanted of has a public test.
    """
    searchers = [name for name in [expert_of(config), *_arms(config)] if name in SELECTORS]
    if searchers and problems and not any(public_side(each).public_tests for each in problems):
        raise AxiomError(
            f"expert {searchers[0]} takes what passes the public tests, and none of the "
            f"{len(problems)} problems has one: give them examples, or take the expert hidden"
        )


def _arms(config: Config) -> list[str]:
    trains = config.stage.kind == "train" and isinstance(config.trainer, ExpertIterConfig)
    return list(config.trainer.arms) if trains else []  # type: ignore[attr-defined]


def _check(search: SearchConfig, name: str) -> None:
    """Refuse an expert that its search could not serve, in the words of the search."""
    if not isinstance(search, SelectConfig):
        raise AxiomError(f"expert {name} chooses by a search: give search={name}, or leave it out")
    if asks_head(name) and search.head is None:
        raise AxiomError(
            f"expert {name}: it needs search.head=, which trainer=value makes: type search={name} "
            "search.head=outputs/.../value"
        )
    try:
        check_search(replace(search, selector=name))
    except AxiomError as error:
        raise AxiomError(f"expert {name}: {error}") from None


def open_expert(
    context: RunContext,
    name: str,
    problems: Mapping[str, Problem],
    search: SearchInUse | None,
    policy: Policy,
    phase: str,
) -> Expert:
    """Return who decides over the samples of one phase.

    Args:
        context: of the run.
        name: of the expert.
        problems: by id.
        search: its settings and its head; None for an expert that does not search.
        policy: that draws the samples; it writes tests, where the search has some.
        phase: of the samples; tests that the model writes are kept under its name.
    """
    searching = None
    if name in SELECTORS and search is not None and isinstance(search.config, SelectConfig):
        settings = search.config

        def valued(items: Sequence[tuple[Problem, Rollout]]) -> Sequence[float]:
            values = search.values(context, policy, items)
            assert values is not None  # no search of such an expert begins without a head
            return values.each

        searching = Searching(
            config=settings,
            folder=context.run.folder,
            verifier=context.verifier,
            seed=context.seed,
            written=lambda public: written_by(context, public, settings, policy, phase),
            valued=valued if asks_head(name) else None,
        )
    return Expert(
        name=name,
        problems=problems,
        model_name=str(context.model["name"]),
        stream=f"{context.seed}/{phase}",
        searching=searching,
    )


def written_by(
    context: RunContext,
    problems: Sequence[PublicProblem],
    search: SelectConfig,
    policy: Policy,
    phase: str,
) -> WrittenTests:
    """Let the model of a phase write tests, each once in a run; search/written_<phase>.jsonl."""
    return draw_written(
        context.run.folder / "search" / f"written_{phase}.jsonl",
        problems,
        search.written_tests,
        policy,
        f"{context.seed}/written_{phase}",
    )
