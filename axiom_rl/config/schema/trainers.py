"""The schema of conf/trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass
class TrainerConfig:
    """How the model is trained."""

    kind: str = MISSING
    """sft, expert_iter, grpo, distill or pipeline."""
    args: dict[str, Any] = MISSING
    """Goes verbatim to the trainer's TRL config (trl.SFTConfig)."""


@dataclass
class SftTrainerConfig(TrainerConfig):
    """Supervised fine-tuning on a solutions file."""

    solutions: str | None = MISSING
    """JSONL file of gold solutions, programs alone; exactly one of this and `traces` is given."""
    traces: str | None = MISSING
    """JSONL file of stage=teach, reasoning and program; needs problems.prompt=think."""


@dataclass
class CurriculumConfig:
    """Which training problems come next, see axiom_rl/problems/curriculum.py."""

    kind: str = MISSING
    """uniform, ladder, adaptive or pools."""
    low: float = MISSING
    """Pass rate at which a level is too hard, and below which a problem is hopeless for now."""
    high: float = MISSING
    """Pass rate at which a level is done, and above which a problem is solved."""
    window: int = MISSING
    """Recent groups that a pass rate is taken over."""
    focus: float = MISSING
    """Weight of weak types: (1 - pass rate) to this power; 0 treats all types alike."""


@dataclass
class ExpertIterConfig(TrainerConfig):
    """Expert iteration: evaluate, collect gold solutions, train on them, repeat."""

    iterations: int = MISSING
    """Rounds of collecting and training."""
    start_from: str = MISSING
    """base: each iteration trains the base model afresh on all gold so far;
    adapter: it continues the last iteration's adapter."""
    max_attempts: int = MISSING
    """Samples per problem at most, first round included, while a problem has no solution."""
    max_retries: int = MISSING
    """Samples beyond the first round that one iteration may draw, all problems together."""
    retry_temperature: float = MISSING
    """Temperature of these further samples; a higher one finds what is rare."""
    max_solutions: int = MISSING
    """Gold solutions per problem used in training at most."""
    problems_per_iteration: int | None = MISSING
    """Draws of the curriculum in each iteration, each for sampler.n more samples of one problem, in
    the place of more tries of the unsolved ones; null means no curriculum."""
    curriculum: CurriculumConfig = MISSING
    """Which problems these draws choose; a weak one may be drawn several times."""


@dataclass
class GrpoConfig(TrainerConfig):
    """GRPO with the verifier's verdict as reward, with options of trl.GRPOConfig."""

    reward: str = MISSING
    """fraction (of the hidden tests), binary, or a function of your own, entered by
    axiom_rl.rewards.register."""
    imports: list[str] = MISSING
    """Modules to import first, which register reward functions of your own."""
    failure_reward: float = MISSING
    """Added to the reward of a program that fails a test, 0 or less."""
    format_weight: float = MISSING
    """Bonus for an answer that ends by itself and holds a program; in units of one test."""
    length_weight: float = MISSING
    """Penalty for an answer of full length, less for shorter ones; in units of one test."""
    dynamic_sampling: bool = MISSING
    """Replace groups whose samples all got the same reward by groups of other problems."""
    max_extra_groups: int = MISSING
    """Groups drawn at most in one step to replace others."""
    curriculum: CurriculumConfig = MISSING
    signal_low: float = MISSING
    """Types passing less than this share before training are not trained on, see signal_high."""
    signal_high: float = MISSING
    """Types passing more than this share before training are not trained on; 0 and 1 train on
    all types. Where no type lies between, all types are trained on."""
    eval_every: int = MISSING
    """Steps between evaluations on the val split; 0 means none during training."""
    forgetting: list[str] = MISSING
    """Families evaluated before and after training to see what was forgotten, e.g. [basic]."""
    max_logprob_gap: float = MISSING
    """Largest mean difference between the sampler's and the trainer's log-probabilities of the
    same tokens; above it the run stops."""
    importance_cap: float | None = MISSING
    """Tokens are weighted by the trainer's probability over the sampler's, at most this, where the
    two compute differently (vLLM, or a dtype other than float32); null weights nothing."""
