"""What must be there before a run begins."""

from __future__ import annotations

from axiom_rl.config import Config, WandbConfig
from axiom_rl.run.tracking import check_wandb
from axiom_rl.sampling.choose import check_server
from axiom_rl.sandbox.kinds import check_kind


def check_present(config: Config) -> None:
    """Refuse what is missing here, before anything is written, fetched or loaded."""
    if isinstance(config.tracking, WandbConfig):
        check_wandb(config.tracking)
    check_kind(config.sandbox)
    check_server(config.sampler)
