from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from axiom_rl.config import CONF_DIR, Config, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.run.defaults import Change, chosen_options, read_changes, write_defaults

GROUPS = ("model", "problems", "sampler", "sandbox", "trainer", "stage", "tracking")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF_DIR / group).glob("*"))]


def saved(config: Config, folder: Path) -> list[Change] | None:
    text = OmegaConf.to_yaml(OmegaConf.create(asdict(config)))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    write_defaults(folder, config, config)
    return read_changes(folder)


@pytest.mark.parametrize(
    ("group", "name"), [o for o in OPTIONS if "." not in o[1] and o[1] not in ("lora", "args")]
)
def test_every_option_is_known_by_its_values(group: str, name: str) -> None:
    assert chosen_options(load_config(f"{group}={name}"))[group] == name


def test_nothing_typed_is_nothing_changed(tmp_path: Path) -> None:
    assert saved(load_config(), tmp_path) == []


def test_what_auto_stands_for_was_not_typed(tmp_path: Path) -> None:
    used = load_config("sampler=transformers")
    saved(used, tmp_path)
    write_defaults(tmp_path, load_config("sampler=auto"), used)
    assert read_changes(tmp_path) == []
    asked = load_config("sampler=auto", "sampler.n=3")
    used = replace(asked, sampler=replace(asked.sampler, backend="transformers"))
    assert saved(used, tmp_path) is not None
    write_defaults(tmp_path, asked, used)
    assert read_changes(tmp_path) == [Change("sampler.n", "8", "3")]
    used = load_config("sampler=transformers")
    saved(used, tmp_path)
    assert read_changes(tmp_path) == [Change("sampler", "auto", "transformers")]


def test_options_come_first_then_the_values_beyond_them(tmp_path: Path) -> None:
    config = load_config(
        "problems=hard",
        "seed=3",
        "problems.types=[lcs]",
        "trainer.args.learning_rate=1e-5",
        "+trainer.args.max_steps=5",
        "sandbox.preload=[json]",
        "name=mine",
    )
    assert saved(config, tmp_path) == [
        Change("problems", "basic", "hard"),
        Change("seed", "0", "3"),
        Change("problems.types", "null", "['lcs']"),
        Change("sandbox.preload", "[]", "['json']"),
        Change("trainer.args.learning_rate", "0.0002", "1e-05"),
        Change("trainer.args.max_steps", "not set", "5"),
    ]


def test_a_model_without_a_file_is_shown_by_its_values(tmp_path: Path) -> None:
    changes = saved(load_config("model.name=Mine", "model.path=weights"), tmp_path)
    assert changes == [
        Change("model.name", "Qwen2.5-Coder-0.5B-Instruct", "Mine"),
        Change("model.path", "null", "weights"),
    ]


def test_older_runs_have_no_defaults_and_damaged_ones_are_named(tmp_path: Path) -> None:
    assert read_changes(tmp_path) is None
    saved(load_config(), tmp_path)
    (tmp_path / "defaults.yaml").write_text("[]\n")
    with pytest.raises(AxiomError, match=r"defaults\.yaml is not as this program writes it"):
        read_changes(tmp_path)
