"""Every experiment composes, has its page, and every command that a page prints is a valid one."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator

import pytest

from axiom_rl.config import CONF_DIR, CollectConfig, ExpertIterConfig, GrpoConfig, load_config
from axiom_rl.evaluation.experts.opened import check_arms, with_expert

DOCS = CONF_DIR.parent / "docs" / "results" / "experiments"
NAMES = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
HEADINGS = ["Question", "Command", "Set-up", "Expected time", "Results"]


def commands(text: str) -> list[list[str]]:
    """The arguments of every `python launch.py ...` line, comments left out."""
    found = re.findall(r"^[# ]+python launch\.py (.*)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"<(\w+)>", r"\1", line) for line in found]  # <run> stands for a folder
    return [shlex.split(line, comments=True) for line in plain]


def jobs(arguments: list[str]) -> Iterator[tuple[str, ...]]:
    """The overrides of each job of a sweep: `seed=0,1` is two; lists in brackets are one value."""
    choices = [
        [argument]
        if "[" in argument
        else [f"{key}={value}" for value in argument[len(key) + 1 :].split(",")]
        for argument in arguments
        if argument != "-m"
        for key in [argument.partition("=")[0]]
    ]
    return itertools.product(*choices)


def test_the_experiments_of_the_manual_are_there() -> None:
    assert [name[:2] for name in NAMES] == [
        *("00", "01", "02", "03", "06", "07", "09", "10", "11", "12", "13", "co"),
    ]
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert all(f"[{name}]({name}.md)" in index for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_composes_and_the_command_line_wins_over_it(name: str) -> None:
    config = load_config(f"experiment={name}")
    assert config.name == name
    other = load_config(f"experiment={name}", "seed=7", "sampler.n=3", "name=mine")
    assert (other.seed, other.sampler.n, other.name) == (7, 3, "mine")


@pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
)
def test_an_experiment_has_its_page_with_valid_commands(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, flags=re.MULTILINE) == HEADINGS
    own = (CONF_DIR / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    assert re.search(r"estimates", own, re.IGNORECASE) and "CPU" in own and "GPU" in own
    assert f"docs/results/experiments/{name}.md" in own
    for text in (page, own):
        assert any(f"experiment={name}" in command for command in commands(text))
        for command in commands(text):
            for overrides in jobs(command):
                load_config(*overrides)


def test_what_the_experiments_are_about() -> None:
    baseline = load_config("experiment=01_baseline").trainer
    assert isinstance(baseline, ExpertIterConfig) and baseline.max_attempts == 8
    focused = load_config("experiment=02_focused_improvement").trainer
    assert isinstance(focused, ExpertIterConfig) and focused.curriculum.focus == 1.0
    assert focused.iterations == 3 and focused.problems_per_iteration is not None
    both = [
        load_config("experiment=07_memorisation", f"problems={p}") for p in ("memorisable", "easy")
    ]
    assert [config.problems.family for config in both] == ["memorisable", "easy"]  # type: ignore[attr-defined]
    assert both[0].trainer == both[1].trainer
    untrained, trained = (
        load_config("experiment=09_hard_baseline"),
        load_config("experiment=10_grpo_hard"),
    )
    assert untrained.problems.sizes.test == trained.problems.sizes.test  # type: ignore[attr-defined]
    assert untrained.stage.kind == "evaluate" and not isinstance(untrained.stage, CollectConfig)
    for name, arms in (
        ("12_verification_control", ["all", "shuffled", "wrong", "public", "vote", "hidden"]),
        ("13_search_to_weights", ["vote", "hidden"]),
    ):
        config = load_config(f"experiment={name}")
        assert isinstance(config.trainer, ExpertIterConfig) and config.trainer.arms == arms
        assert config.trainer.pool == "sweep" and config.trainer.max_attempts == config.sampler.n
        typed = f"python launch.py -m experiment={name} trainer.expert={','.join(arms)}"
        for place in (
            CONF_DIR / "experiment" / f"{name}.yaml",
            DOCS / f"{name}.md",
            DOCS.parent.parent / "guides" / "experts.md",
        ):
            assert typed in place.read_text(encoding="utf-8")
        for arm in arms:
            config = load_config(f"experiment={name}", f"trainer.expert={arm}")
            assert with_expert(config).search.kind == "select"
            check_arms(config)
    long = load_config("experiment=11_extended").trainer
    assert isinstance(long, GrpoConfig) and long.forgetting == ["easy", "basic"]
    assert long.args["max_steps"] >= 50 * 10
