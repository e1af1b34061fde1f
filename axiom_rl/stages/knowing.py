"""What a search may know of the model that draws the samples: a value head on it, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axiom_rl.config import CollectConfig, Config, SelectConfig
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.experts.opened import SearchInUse, head_asked
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.searched import PolicyKnown
from axiom_rl.problems.splits import Splits

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel


def live_policy_known(
    config: Config, resolved: ResolvedModel, problems: Sequence[Problem]
) -> PolicyKnown:
    """Return what is known of the model that is about to sample, before anything is drawn.

    Raises:
        AxiomError: for a head that is damaged, of another model, or trained on the problems.
    """
    if config.search.kind == "none":
        return PolicyKnown(head=None, parameters=None)
    from axiom_rl.models.weights.source import count_parameters

    head = None
    if isinstance(config.search, SelectConfig) and config.search.head is not None:
        from axiom_rl.evaluation.search.valued import head_in_use, live_policy

        head = head_in_use(config.search, live_policy(config, resolved))
    if head is not None:
        head.check(problems)
    return PolicyKnown(head=head, parameters=count_parameters(resolved.folder))


def search_in_use(config: Config, resolved: ResolvedModel, splits: Splits) -> SearchInUse:
    """Return the search of a run that trains or collects, before anything is drawn.

    Its head is of the policy that the run begins with, and that policy reads all samples, those of
    later iterations' adapters too.

    Raises:
        AxiomError: for a head that is damaged, of another model, or trained on the problems that it
            would judge.
    """
    search = config.search
    if not isinstance(search, SelectConfig) or search.head is None:
        return SearchInUse(config=search, head=None)
    from axiom_rl.evaluation.search.valued import head_in_use, live_policy

    head = head_in_use(search, live_policy(config, resolved))
    assert head is not None
    collected = config.stage.split if isinstance(config.stage, CollectConfig) else None
    # A run that trains scores each evaluation with search beside it.
    judged = set() if collected else {headline_split(splits)}
    if head_asked(config):
        judged.add(collected or "train")
    head.check_blind([problem for split in sorted(judged) for problem in getattr(splits, split)])
    return SearchInUse(config=search, head=head.of_any_policy(config.sampler.temperature))


def pool_policy_known(pool: Config, search: SelectConfig, place: Path) -> PolicyKnown:
    """Return what is known of the model that drew a pool; the replay checks it on its problems.

    Args:
        pool: the pool's config.
        search: the search asked for.
        place: the pool's folder.

    Raises:
        AxiomError: for a head that is damaged.
    """
    from axiom_rl.evaluation.search.parameters import parameters_of

    head = None
    if search.head is not None:
        from axiom_rl.evaluation.search.valued import head_in_use
        from axiom_rl.value.recipe import frozen_policy

        head = head_in_use(search, frozen_policy(pool, place))
    return PolicyKnown(head=head, parameters=parameters_of(place, pool.model))
