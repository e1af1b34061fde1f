"""The schema of conf/trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from axiom_rl.config.schema.search import SearchRoundConfig


@dataclass
class TrainerConfig:
    """How the model is trained."""

    kind: str = MISSING
    """sft, expert_iter, grpo, distill, value or pipeline."""
    args: dict[str, Any] = MISSING
    """Goes verbatim to trl.SFTConfig or, for grpo, trl.GRPOConfig; TRL's manual explains them."""


@dataclass
class SftTrainerConfig(TrainerConfig):
    """Supervised fine-tuning on a solutions file."""

    solutions: str | None = MISSING
    """JSONL file of gold solutions, programs alone; exactly one of this and `traces` is given."""
    traces: str | None = MISSING
    """JSONL file of stage=teach, reasoning and program; needs problems.prompt=think."""
    target: str = MISSING
    """completion (the model's own answer, its reasoning included) or code (the program in it, in a
    fence); solutions without a completion are trained on as code."""


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
    rounds: dict[str, SearchRoundConfig] = MISSING
    """Rounds of search for problems that are unsolved after these samples, in order."""
    max_solutions: int = MISSING
    """Gold solutions per problem used in training at most: a seeded choice of different programs,
    in which what later iterations found has its place."""
    expert: str = MISSING
    """Who decides which samples are gold: hidden (tests); public, vote, codet, value or vote_value,
    which see no hidden test and read search.*; or a control: all, shuffled, wrong."""
    target: str = MISSING
    """completion (the model's own answer, its reasoning included) or code (the program in it, in a
    fence)."""
    pool: str | None = MISSING
    """Where the first round's samples of the training problems come from instead of being drawn:
    the folder of a finished stage=evaluate stage.split=train run, or sweep (the first job of the
    same sweep that has drawn them); null draws them."""
    arms: list[str] = MISSING
    """Experts that are compared from one pool: each run of them then trains on as many rows as the
    smallest arm has; [] for no comparison."""
    problems_per_iteration: int | None = MISSING
    """Draws of the curriculum in each iteration, each for sampler.n more samples of one problem, in
    the place of more tries of the unsolved ones; null means no curriculum."""
    curriculum: CurriculumConfig = MISSING
    """Which problems these draws choose; a weak one may be drawn several times."""


@dataclass
class GrpoConfig(TrainerConfig):
    """GRPO with the verifier's verdict as reward, with options of trl.GRPOConfig."""

    rewards: Any = MISSING
    """Weights of reward functions, given all at once, as in '{binary: 1.0, mine: 0.2}': binary,
    fraction (of the hidden tests), or functions of your own, entered by axiom_rl.rewards.register.
    """
    imports: list[str] = MISSING
    """Modules to import first, which register reward functions of your own."""
    failure_reward: float = MISSING
    """Added to the reward of a program that fails a test, 0 or less."""
    format_weight: float = MISSING
    """Bonus for an answer that ends by itself and holds a program; in units of one test."""
    length_weight: float = MISSING
    """Penalty for an answer of full length, less for shorter ones; in units of one test."""
    objective: str = MISSING
    """mean (the mean reward: pass@1) or max_at_k (the largest reward of k samples: pass@k)."""
    k: int = MISSING
    """Samples of which the best counts, at most trainer.args.num_generations; read with
    objective=max_at_k alone."""
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
    rehearsal: float = MISSING
    """Types left out by signal_high are kept alive: own answers from before training that pass are
    trained on as samples with this advantage, at most 1 for rewards of 0 and 1; 0 rehearses
    nothing."""
    rehearsal_rows: int = MISSING
    """Such answers in each optimizer step."""
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


@dataclass
class ValueConfig(TrainerConfig):
    """A value head: the chance of a sample to pass, learned from the verdicts of pools."""

    pools: list[str] = MISSING
    """Finished runs of stage=evaluate; the head is fitted on those of the train split and measured
    on those of val and test. Needed."""
    holdout_types: list[str] = MISSING
    """Types of problem that the head is not fitted on, and is measured on."""
    inputs: list[str] = MISSING
    """What the head looks at: hidden (states), logprob (mean over the tokens), length (its log)."""
    layer: float = MISSING
    """Layer whose hidden states are read, as a share of the model's layers: 0.75 of 24 is 18."""
    every: int = MISSING
    """Tokens between two prefixes of a completion that are judged too."""
    hidden: int = MISSING
    """Units between two layers of the head; 0 means one linear layer."""
    l2: float = MISSING
    """Weight of half the sum of squared weights of the head, on standardised inputs."""
    pairs: float = MISSING
    """Weight of the loss on pairs of a passing and a failing sample of one problem; 0 for none."""
    epochs: int = MISSING
    """Steps of L-BFGS at most, each over all samples."""
    folds: int = MISSING
    """Parts into which the problems are cut for cross-validation and calibration."""
