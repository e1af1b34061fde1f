"""Every option composes and converts; what is mistyped is named with what was meant."""

from __future__ import annotations

import json
import typing
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from axiom_rl.config import (
    CONF_DIR,
    RESUME_MAY_CHANGE,
    RULES,
    SCHEMAS,
    Config,
    WandbConfig,
    load_config,
    resumed_config,
    saved_yaml,
    to_config,
)
from axiom_rl.core.errors import AxiomError

OVERLAYS = ("experiment", "hparams_search", "debug")
OPTIONS = sorted(
    (path.parent.name, path.stem) for path in CONF_DIR.glob("*/*.yaml") if path.parent != CONF_DIR
)
ALIKE = ("experiment", "hparams_search", "model")
"""Groups whose options differ in values alone."""


def kind_of(group: str, name: str) -> str:
    """What options that differ in values alone share: their group, or what they begin with."""
    begins = OmegaConf.load(CONF_DIR / group / f"{name}.yaml").get("defaults", [name])[0]
    return group if group in ALIKE else f"{group}/{begins}"


FIRST = {kind_of(*option): option for option in reversed(OPTIONS)}
"""By kind, the option that is composed by default."""


def given_values(value: Any) -> bool:
    """Whether nothing in a config is missing."""
    if is_dataclass(value):
        return all(given_values(getattr(value, field.name)) for field in fields(value))
    return value != "???"


def save(config: Config, folder: Path) -> None:
    (folder / "config.yaml").write_text(saved_yaml(asdict(config)), encoding="utf-8")


@pytest.mark.parametrize(
    ("group", "name"),
    [
        pytest.param(*option, marks=() if option in FIRST.values() else pytest.mark.slow)
        for option in OPTIONS
    ],
    ids=lambda text: text,
)
def test_every_option_composes_and_converts_and_comes_back_when_saved(
    group: str, name: str, tmp_path: Path
) -> None:
    required = ["problems.path=mine.jsonl"] if (group, name) == ("problems", "jsonl") else []
    # the steps of a pipeline have options of their own
    steps = "" if name in ("pipeline", "cold_start") else "++trainer.args.max_steps=3"
    given = [f"{group}={name}", "seed=7", *filter(None, [steps]), *required]
    config = load_config(*given)
    assert isinstance(config, Config) and given_values(config)
    if group not in OVERLAYS:
        part = getattr(config, group)
        chosen = {"model": "name", "problems": "source", "sampler": "backend"}.get(group, "kind")
        assert type(part) in SCHEMAS.values() and getattr(part, chosen)
    save(config, tmp_path)
    back = resumed_config(tmp_path, [])
    assert back == replace(config, resume=str(tmp_path))


@pytest.mark.parametrize("text", ["${a}", "$${oc.env:HOME}", "\\\\${x}\n\\d '${", "{{ x }}\\"])
def test_a_template_comes_back_to_the_letter_when_saved(text: str, tmp_path: Path) -> None:
    config = load_config()
    config.model.chat_template, config.model.chat_template_kwargs = text, {"date": [text]}
    save(config, tmp_path)
    assert resumed_config(tmp_path, []) == replace(config, resume=str(tmp_path))


def test_there_are_options_in_every_group() -> None:
    groups = {group for group, _ in OPTIONS}
    assert groups >= {field.name for field in fields(Config)} - {"name", "seed", "resume"}


def test_every_file_opens_with_what_it_is_for() -> None:
    paths = sorted(CONF_DIR.rglob("*.yaml"))
    assert not [p for p in paths if not p.read_text(encoding="utf-8").startswith("# ")]


def test_nested_and_list_values() -> None:
    config = load_config(
        "problems=hard",
        "problems.types=[edit_distance,lcs]",
        "+problems.weights.lcs=2",
        "trainer.args.learning_rate=1e-5",
        "+trainer.args.max_steps=5",
        "+model.lora.use_dora=true",
        "sandbox.servers=1",
        "name=mine",
    )
    assert config.problems.types == ["edit_distance", "lcs"]  # type: ignore[attr-defined]
    assert config.problems.weights == {"lcs": 2.0}  # type: ignore[attr-defined]
    assert config.trainer.args["learning_rate"] == 1e-5 and config.trainer.args["max_steps"] == 5
    assert config.model.lora["use_dora"] is True
    assert (config.sandbox.servers, config.name) == (1, "mine")
    assert type(config.trainer.args) is dict and type(config.problems.levels) is list  # type: ignore[attr-defined]


def test_the_name_follows_the_stage() -> None:
    assert load_config("stage=collect").name == "collect"


@pytest.mark.parametrize(
    ("override", "key", "near"),
    [
        ("problms=hard", "problms", "problems"),
        ("trainer=expert_itr", "trainer=expert_itr", "expert_iter"),
        ("model=qwen2.5-coder-0.5", "model=qwen2.5-coder-0.5", "qwen2.5-coder-0.5b"),
        ("sampler.temprature=1", "sampler.temprature", "temperature"),
        ("sampler.max_tokens=1", "sampler.max_tokens", "max_new_tokens"),
        ("sandbox.timelimit_s=1", "sandbox.timelimit_s", "time_limit_s"),
        ("trainer.iteration=2", "trainer.iteration", "iterations"),
        ("trainer.args.learning_rat=1", "trainer.args.learning_rat", "learning_rate"),
        ("model.lora.lora_alfa=1", "model.lora.lora_alfa", "lora_alpha"),
        ("seeds=1", "seeds", "seed"),
        ("+problems.sizes.trian=1", "problems.sizes.trian", "train"),
        ("+sampler.temprature=1", "sampler.temprature", "temperature"),
        ("+sandbox.server=1", "sandbox.server", "servers"),
    ],
)
def test_a_typo_is_named_with_what_was_meant(override: str, key: str, near: str) -> None:
    with pytest.raises(AxiomError) as caught:
        load_config(override)
    message = str(caught.value)
    assert f"unknown option {key}:" in message or f"unknown key {key}:" in message
    assert near in message.split("did you mean")[1]
    assert "base_" not in message


def test_an_option_far_from_every_other_lists_what_there_is() -> None:
    with pytest.raises(
        AxiomError, match="unknown option trainer=xyz: there are distill, expert_iter"
    ):
        load_config("trainer=xyz")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("sampler.n=many", "sampler.n"),
        ("sampler.n=1.5", "sampler.n"),
        ("sampler.temperature=hot", "sampler.temperature"),
        ("seed=null", "seed"),
        ("problems.levels=[a]", "problems.levels"),
        ("stage.skip_existing=perhaps", "stage.skip_existing"),
    ],
)
def test_a_value_of_another_type_is_named(override: str, key: str) -> None:
    with pytest.raises(AxiomError) as caught:
        load_config("stage=collect", override)
    assert key in str(caught.value)


IMPOSSIBLE = [
    *("seed=-1", "seed=4294967296", "sampler.n=0", "sampler.temperature=-0.1"),
    *("sampler.temperature=nan", "sampler.temperature=inf", "sampler.top_p=0", "sampler.top_p=1.1"),
    *("sampler.max_new_tokens=0", "sampler.memory_gb=0", "sampler.memory_gb=inf"),
    *("sampler.max_batch=0", "sandbox.time_limit_s=0", "sandbox.time_limit_s=inf"),
    *("sandbox.memory_mb=0", "sandbox.servers=0", "sandbox.isolation=total", "model.dtype=int8"),
    *("model.quantization=8bit", "model.device=tpu", "problems.prompt=polite"),
    *("trainer.iterations=0", "trainer.start_from=scratch", "trainer.max_solutions=0"),
    *("trainer.max_attempts=0", "stage.split=dev", "stage.max_attempts=0"),
]


@pytest.fixture(scope="module")
def collecting() -> Config:
    return load_config("stage=collect")


@pytest.mark.parametrize("override", IMPOSSIBLE)
def test_an_impossible_value_is_refused_with_what_is_possible(
    override: str, collecting: Config
) -> None:
    composed = OmegaConf.structured(collecting)
    composed.merge_with_dotlist([override])
    with pytest.raises(AxiomError, match="must be") as caught:
        to_config(composed)
    assert str(caught.value).startswith(override.partition("=")[0])


def test_every_rule_is_about_a_key_that_there_is() -> None:
    for key in RULES:
        group, _, path = key.partition(".") if "." in key else ("", "", key)
        schemas = [schema for (of, _), schema in SCHEMAS.items() if of == (group or None)]
        assert any(has_path(schema, path) for schema in schemas), key


def has_path(schema: type, path: str) -> bool:
    """Tell whether a schema has the field, or its field's schema has the rest of the path."""
    name, _, rest = path.partition(".")
    kinds = typing.get_type_hints(schema)
    return name in kinds and (not rest or has_path(kinds[name], rest))


# --- resuming ---


OWN_VALUES = {
    "trainer.iterations": ("trainer=expert_iter", "4", 4),
    "trainer.max_attempts": ("trainer=expert_iter", "99", 99),
    "trainer.max_retries": ("trainer=expert_iter", "7", 7),
    "trainer.args.max_steps": ("trainer=grpo", "40", 40),
    "sampler.memory_gb": ("sampler=transformers", "0.5", 0.5),
    "sampler.max_batch": ("sampler=vllm", "2", 2),
    "sampler.gpu_memory_utilization": ("sampler=vllm", "0.3", 0.3),
    "sampler.start_timeout_s": ("sampler=vllm", "9", 9.0),
    "sampler.answer_timeout_s": ("sampler=auto", "9", 9.0),
    "sampler.url": ("sampler=vllm_server", "http://h:1/v1", "http://h:1/v1"),
    "sampler.in_flight": ("sampler=vllm_server", "3", 3),
    "sampler.timeout_s": ("sampler=vllm_server", "9", 9.0),
    "sampler.retries": ("sampler=vllm_server", "0", 0),
    "teacher.samples": ("teacher=file", "3", 3),
    "teacher.max_traces": ("teacher=local", "9", 9),
    "teacher.min_yield": ("teacher=api", "0", 0.0),
    "teacher.url": ("teacher=api", "http://h:1/v1", "http://h:1/v1"),
    "teacher.in_flight": ("teacher=api", "3", 3),
    "teacher.timeout_s": ("teacher=api", "9", 9.0),
    "teacher.retries": ("teacher=api", "0", 0),
    "teacher.max_cost": ("teacher=api", "2", 2.0),
    "sandbox.servers": ("seed=0", "1", 1),
    "tracking.mode": ("tracking=wandb", "offline", "offline"),
}


def value_at(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


@pytest.mark.slow
def test_each_key_that_may_change_does(tmp_path: Path) -> None:
    assert {key.partition(".mode")[0] for key in OWN_VALUES} == set(RESUME_MAY_CHANGE)
    for key, (option, text, value) in OWN_VALUES.items():
        save(load_config(option, "sampler.n=3", "seed=5"), tmp_path)
        back = resumed_config(tmp_path, [f"{key}={text}"])
        assert value_at(back, key) == value, key
        assert (back.sampler.n, back.seed, back.resume) == (3, 5, str(tmp_path)), key


def test_another_tracker_may_be_chosen_in_any_order(tmp_path: Path) -> None:
    save(load_config(), tmp_path)
    back = resumed_config(tmp_path, ["tracking.mode=offline", "tracking=wandb"])
    assert isinstance(back.tracking, WandbConfig) and back.tracking.mode == "offline"


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "model=smollm2-135m",
        "sampler.n=2",
        "+trainer.args.learning_rate=1",
        "stage=evaluate",
        "trainer=grpo",
        "name=other",
    ],
)
def test_the_saved_config_wins(override: str, tmp_path: Path) -> None:
    save(load_config(), tmp_path)
    key = override.partition("=")[0]
    with pytest.raises(AxiomError) as caught:
        resumed_config(tmp_path, [override])
    assert str(caught.value).startswith(f"{key} cannot change on resume; only these can: ")
    assert "trainer.iterations" in str(caught.value)


@pytest.mark.parametrize("override", ["trainer.args.max_steps=3", "sampler.url=http://h:1/v1"])
def test_a_key_that_the_run_has_not_is_named(override: str, tmp_path: Path) -> None:
    save(load_config("sampler=transformers"), tmp_path)
    with pytest.raises(AxiomError, match=f"{override.partition('=')[0]}: this run has no such key"):
        resumed_config(tmp_path, [override])


def leave(folder: Path, finished: list[str], steps: tuple[int, ...] = ()) -> None:
    """Write what a run leaves: its finished phases, and checkpoints after `steps`."""
    state = folder / "checkpoints" / "state.json"
    state.parent.mkdir(exist_ok=True)
    state.write_text(json.dumps({"finished": finished}), encoding="utf-8")
    for step in steps:
        checkpoint = state.parent / "iter_1" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "axiom_state.json").write_text(f'{{"step": {step}}}', encoding="utf-8")


@pytest.mark.parametrize(
    ("finished", "steps", "given", "said"),
    [
        (["train/1"], (20,), 19, "this run has done 20 steps; give 20 or more"),
        ([], (10, 15), 12, "this run has done 15 steps; give 15 or more"),
        (
            ["train/1"],
            (),
            40,
            "finished by an older version, .*start a new run with model.adapter=",
        ),
        (["train/1"], (5,), 40, "ended after step 5, amid 2 steps .*start a new run"),
        (["train/1"], (20,), 40, None),
        (["train/1"], (20,), 20, None),
        (["train/1"], (), 20, None),
        ([], (10, 15), 15, None),
    ],
)
def test_a_run_goes_on_further_and_not_back(
    tmp_path: Path, finished: list[str], steps: tuple[int, ...], given: int, said: str | None
) -> None:
    batches = "+trainer.args.steps_per_generation=16" if steps == (5,) else "seed=0"
    save(load_config("trainer=grpo", batches), tmp_path)
    leave(tmp_path, finished, steps)
    override = f"trainer.args.max_steps={given}"
    if said is None:
        assert resumed_config(tmp_path, [override]).trainer.args["max_steps"] == given
        return
    with pytest.raises(AxiomError, match=rf"^trainer\.args\.max_steps={given}: .*{said}"):
        resumed_config(tmp_path, [override])


def test_fewer_iterations_than_begun_are_refused(tmp_path: Path) -> None:
    save(load_config("trainer.iterations=3"), tmp_path)
    leave(tmp_path, ["collect/1", "train/1", "evaluate/iter_1", "collect/2"])
    with pytest.raises(AxiomError, match=r"^trainer\.iterations=1: .*iteration 2; give 2 or more"):
        resumed_config(tmp_path, ["trainer.iterations=1"])
    assert value_at(resumed_config(tmp_path, ["trainer.iterations=2"]), "trainer.iterations") == 2


def test_steps_of_other_trainers_stay(tmp_path: Path) -> None:
    """They would be written into config.yaml and not be done."""
    save(load_config("+trainer.args.max_steps=5"), tmp_path)
    with pytest.raises(AxiomError, match=r"^trainer\.args\.max_steps: this run has no such key"):
        resumed_config(tmp_path, ["trainer.args.max_steps=9"])


def test_an_impossible_value_is_refused_on_resume_too(tmp_path: Path) -> None:
    save(load_config(), tmp_path)
    with pytest.raises(AxiomError, match=r"trainer\.iterations=0"):
        resumed_config(tmp_path, ["trainer.iterations=0"])


def test_a_run_from_before_a_key_goes_on_as_it_began(tmp_path: Path) -> None:
    config = load_config("stage=teach")
    save(config, tmp_path)
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "  reasoning: after\n" in text
    (tmp_path / "config.yaml").write_text(text.replace("  reasoning: after\n", ""))
    assert value_at(resumed_config(tmp_path, []), "teacher.reasoning") == "before"


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match=r"resume=.*no config\.yaml there; give a run folder"):
        resumed_config(tmp_path, [])


def test_a_config_of_another_version_is_refused(tmp_path: Path) -> None:
    save(load_config(), tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("  temperature:", "  warmth:"), encoding="utf-8")
    with pytest.raises(AxiomError, match=r"made by another version of axiom-rl .*warmth"):
        resumed_config(tmp_path, [])
    path.write_text("- 1\n- 2\n", encoding="utf-8")
    with pytest.raises(AxiomError, match="not a saved config"):
        resumed_config(tmp_path, [])
