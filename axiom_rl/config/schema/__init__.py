"""The schema of every option: names, types and meanings.

No defaults: every value stands once, in `conf/`. A missing key, an unknown key or a value of the
wrong type is an error that names the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from axiom_rl.config.schema.model import GgufConfig, ModelConfig, WheelFile
from axiom_rl.config.schema.pipeline import DistillConfig, PipelineConfig
from axiom_rl.config.schema.problems import (
    BenchmarkConfig,
    JsonlConfig,
    ProblemsConfig,
    ProceduralConfig,
    SplitSizes,
)
from axiom_rl.config.schema.sampling import (
    SamplerConfig,
    SandboxConfig,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    VllmServerConfig,
)
from axiom_rl.config.schema.search import (
    RepairConfig,
    SearchConfig,
    SearchRoundConfig,
    SelectConfig,
)
from axiom_rl.config.schema.stages import (
    CollectConfig,
    CompareConfig,
    EvaluateConfig,
    ExportConfig,
    ListConfig,
    SearchStageConfig,
    SolveConfig,
    StageConfig,
    TeachConfig,
    TrackingConfig,
    WandbConfig,
    WatchConfig,
)
from axiom_rl.config.schema.teacher import (
    ApiTeacherConfig,
    FileTeacherConfig,
    LocalTeacherConfig,
    TeacherConfig,
)
from axiom_rl.config.schema.trainers import (
    CurriculumConfig,
    ExpertIterConfig,
    GrpoConfig,
    SftTrainerConfig,
    TrainerConfig,
    ValueConfig,
)

_PACKAGE = Path(__file__).resolve().parent.parent.parent
CONF_DIR = next(
    (folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if folder.is_dir()),
    _PACKAGE / "conf",
)
"""In an installed package it lies inside; in a checkout beside it."""

__all__ = [
    "CONF_DIR",
    "KINDS",
    "SCHEMAS",
    "ApiTeacherConfig",
    "BenchmarkConfig",
    "CollectConfig",
    "CompareConfig",
    "Config",
    "CurriculumConfig",
    "DistillConfig",
    "EvaluateConfig",
    "ExpertIterConfig",
    "ExportConfig",
    "FileTeacherConfig",
    "GgufConfig",
    "GrpoConfig",
    "JsonlConfig",
    "ListConfig",
    "LocalTeacherConfig",
    "ModelConfig",
    "PipelineConfig",
    "ProblemsConfig",
    "ProceduralConfig",
    "RepairConfig",
    "SamplerConfig",
    "SandboxConfig",
    "SearchConfig",
    "SearchRoundConfig",
    "SearchStageConfig",
    "SelectConfig",
    "SftTrainerConfig",
    "SolveConfig",
    "SplitSizes",
    "StageConfig",
    "TeachConfig",
    "TeacherConfig",
    "TrackingConfig",
    "TrainerConfig",
    "TransformersSamplerConfig",
    "ValueConfig",
    "VllmSamplerConfig",
    "VllmServerConfig",
    "WandbConfig",
    "WatchConfig",
    "WheelFile",
]


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
    teacher: TeacherConfig = MISSING
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
    ("teacher", "base_local_teacher"): LocalTeacherConfig,
    ("teacher", "base_api_teacher"): ApiTeacherConfig,
    ("teacher", "base_file_teacher"): FileTeacherConfig,
    ("sandbox", "base_sandbox"): SandboxConfig,
    ("trainer", "base_sft"): SftTrainerConfig,
    ("trainer", "base_expert_iter"): ExpertIterConfig,
    ("trainer", "base_grpo"): GrpoConfig,
    ("trainer", "base_value"): ValueConfig,
    ("trainer", "base_pipeline"): PipelineConfig,
    ("trainer", "base_distill"): DistillConfig,
    ("stage", "base_stage"): StageConfig,
    ("stage", "base_collect"): CollectConfig,
    ("stage", "base_evaluate"): EvaluateConfig,
    ("stage", "base_search_stage"): SearchStageConfig,
    ("stage", "base_solve"): SolveConfig,
    ("stage", "base_teach"): TeachConfig,
    ("stage", "base_compare"): CompareConfig,
    ("stage", "base_list"): ListConfig,
    ("stage", "base_export"): ExportConfig,
    ("stage", "base_watch"): WatchConfig,
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
    "search": ("kind", {"none": SearchConfig, "select": SelectConfig, "repair": RepairConfig}),
    "teacher": (
        "kind",
        {"local": LocalTeacherConfig, "api": ApiTeacherConfig, "file": FileTeacherConfig},
    ),
    "sandbox": ("", {"": SandboxConfig}),
    "trainer": (
        "kind",
        {
            "sft": SftTrainerConfig,
            "expert_iter": ExpertIterConfig,
            "grpo": GrpoConfig,
            "value": ValueConfig,
            "pipeline": PipelineConfig,
            "distill": DistillConfig,
        },
    ),
    "stage": (
        "kind",
        {
            "train": StageConfig,
            "collect": CollectConfig,
            "evaluate": EvaluateConfig,
            "search": SearchStageConfig,
            "solve": SolveConfig,
            "teach": TeachConfig,
            "compare": CompareConfig,
            "list": ListConfig,
            "export": ExportConfig,
            "watch": WatchConfig,
        },
    ),
    "tracking": ("kind", {"none": TrackingConfig, "wandb": WandbConfig}),
}
"""Of each group the key that tells its schemas apart ('' where there is one), and the schemas."""
