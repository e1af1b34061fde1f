"""The last lines of a run on the terminal: what came out, the page, what to type next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from axiom_rl.config import (
    BenchmarkConfig,
    CollectConfig,
    Config,
    EvaluateConfig,
    ExpertIterConfig,
    ExportConfig,
    GrpoConfig,
    ProceduralConfig,
    SearchStageConfig,
    SftTrainerConfig,
    SolveConfig,
    TeachConfig,
    ValueConfig,
    composed_option,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.core.program import command, override
from axiom_rl.run.folder import options_of


def closing_lines(config: Config, folder: Path, headline: str) -> list[str]:
    """Return the headline, the path of the page and the two likeliest next commands."""
    first, second = next_commands(config, folder)
    return [
        headline,
        f"report: {folder / 'report.html'}",
        f"what to type next:\n  {first}\n  {second}",
    ]


def next_commands(config: Config, folder: Path) -> tuple[str, str]:
    """Return the two likeliest commands after a stage, as they are typed."""
    options = options_of(folder)
    model = _model(config, options)
    problems = _problems(config, options)
    other = "problems=hard" if problems == ["problems=easy"] else "problems=easy"
    trained = override("model.adapter", folder / "adapter")
    if isinstance(config.stage, CollectConfig):
        solutions = config.stage.output or folder / "solutions" / "collected.jsonl"
        problems += _chosen(config, options)
        return (
            command("trainer=sft", override("trainer.solutions", solutions), *model, *problems),
            command("stage=evaluate", *model, *problems),
        )
    if isinstance(config.stage, ExportConfig):
        merged = override("model.path", config.stage.output or folder / "merged")
        return (
            command("stage=evaluate", merged, *problems),
            command("stage=collect", merged, *problems),
        )
    if isinstance(config.stage, SearchStageConfig | SolveConfig):
        if isinstance(config.stage, SolveConfig):  # they have no tests to be measured by
            problems = ["problems=easy"]
        return (
            command("stage=evaluate", *model, *problems, "search=vote"),
            command("trainer=expert_iter", *model, *problems),
        )
    if config.stage.kind == "train" and isinstance(config.trainer, ValueConfig):
        return _with_head(folder, model)
    if isinstance(config.stage, TeachConfig):
        traces = override("trainer.traces", config.stage.output or folder / "traces.jsonl")
        think = ("problems.prompt=think", "sampler.max_new_tokens=640")
        problems += _chosen(config, options)
        return (
            command("trainer=sft", traces, *model, *problems, *think),
            command("stage=evaluate", *model, *problems, *think),
        )
    asked = _asked(config)
    if isinstance(config.stage, EvaluateConfig):
        adapter = config.model.adapter
        given = [override("model.adapter", adapter)] if adapter else []
        first = command("trainer=expert_iter", *model, *problems, *asked)
        if config.stage.split == "train":  # whoever measures these asks what is to be taught
            student = override("stage.student", folder)
            chosen = _chosen(config, options)
            first = command("stage=teach", student, *model, *given, *problems, *chosen)
        return first, command("stage=evaluate", *model, *given, other, *asked)
    if isinstance(config.trainer, SftTrainerConfig) and config.trainer.traces is not None:
        room = f"trainer.args.max_completion_length={config.sampler.max_new_tokens}"
        problems += _chosen(config, options)
        return (
            command("trainer=grpo", *model, trained, *problems, *asked, room),
            command("stage=evaluate", *model, trained, other, *asked),
        )
    return _more(config, folder), command("stage=evaluate", *model, trained, other, *asked)


def _problems(config: Config, options: dict[str, str]) -> list[str]:
    """Return what chooses the problems: the option, and what it finds them by."""
    imports = ",".join(getattr(config.problems, "imports", []))
    path = getattr(config.problems, "path", None)
    return [
        f"problems={options.get('problems', 'basic')}",
        *([f"problems.imports=[{imports}]"] if imports else []),
        *([override("problems.path", path)] if path else []),
    ]


def _asked(config: Config) -> list[str]:
    """Return how problems were asked, where it was not as usual: a model is measured alike."""
    style = getattr(config.problems, "prompt", None)
    if style in (None, "direct"):
        return []
    room = [f"sampler.max_new_tokens={config.sampler.max_new_tokens}"] if style == "think" else []
    return [f"problems.prompt={style}", *room]


def _chosen(config: Config, options: dict[str, str]) -> list[str]:
    """Return what else was chosen of the problems: gold can be trained on with these very ones."""
    if not isinstance(config.problems, ProceduralConfig | BenchmarkConfig):
        return []
    try:
        plain = composed_option("problems", options.get("problems", "basic"))
    except AxiomError:  # an option of the user's own, whose --config-dir is not here now
        return []
    own: dict[str, Any] = asdict(config.problems)
    other: dict[str, Any] = asdict(plain)
    typed = []
    for key in ("types", "holdout_types", "levels", "sizes", "weights", "seed", "limit"):
        value, usual = own.get(key), other.get(key)
        if value == usual:
            continue
        if isinstance(value, dict):  # weights has no keys of its own: each is added
            more = "+" if key == "weights" else ""
            changed = {k: v for k, v in value.items() if v != (usual or {}).get(k)}
            typed += [f"{more}problems.{key}.{k}={v}" for k, v in changed.items()]
        elif isinstance(value, list):
            typed.append(f"problems.{key}=[{','.join(map(str, value))}]")
        else:
            typed.append(override(f"problems.{key}", "null" if value is None else value))
    return typed


def _with_head(folder: Path, model: list[str]) -> tuple[str, str]:
    """Return a replay of a pool that the head may judge, if it has one, and an evaluation by it."""
    head = override("search.head", folder / "value")
    report = folder / "value" / "report.json"
    found = read_json(report)["measured"] if report.exists() else []
    new = [entry["pool"] for entry in found if entry["how"] == "new questions"]
    crossed = [e["pool"] for e in found if e["how"] == "new types" and e["split"] != "train"]
    evaluated = command("stage=evaluate", *model, "problems=easy", "search=vote_value", head)
    if not new and not crossed:
        return evaluated, command("stage=evaluate", *model, "problems=easy", "stage.split=val")
    pool = override("stage.pool", (new or crossed)[-1])
    more = [] if new else ["search.cross_fit=true"]
    return command("stage=search", pool, "search=vote_value", head, *more), evaluated


def _more(config: Config, folder: Path) -> str:
    """Return the command that trains further, or, where a run cannot, writes the merged model."""
    trainer = config.trainer
    if isinstance(trainer, ExpertIterConfig):
        return command(f"resume={folder}", f"trainer.iterations={trainer.iterations + 1}")
    if isinstance(trainer, GrpoConfig):
        steps = 2 * int(trainer.args["max_steps"])
        return command(f"resume={folder}", f"trainer.args.max_steps={steps}")
    options = _model(config, options_of(folder))
    return command("stage=export", *options, override("model.adapter", folder / "adapter"))


def _model(config: Config, options: dict[str, str]) -> list[str]:
    chosen = [f"model={options['model']}"] if "model" in options else []
    return [*chosen, *([override("model.path", config.model.path)] if config.model.path else [])]
