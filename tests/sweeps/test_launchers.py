"""Clusters: the options for SLURM and Ray compose with their plugins, and say what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from test_sweep_jobs import launch

from axiom_rl.config import CONF_DIR, register_schemas
from axiom_rl.run.sweep_jobs import read_jobs

PLUGINS = {"slurm": "hydra_submitit_launcher", "ray_tasks": "hydra_ray_launcher"}


def installed(option: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.{PLUGINS[option]}") is not None
    except ModuleNotFoundError:
        return False


def needs(option: str) -> None:
    if not installed(option):
        pytest.skip(f"{PLUGINS[option]} is not installed")


@pytest.mark.parametrize(
    ("option", "target", "key", "value"),
    [
        ("slurm", "SlurmLauncher", "gpus_per_node", 1),
        ("ray_tasks", "RayLauncher", "ray.remote.num_gpus", 1),
    ],
)
def test_a_cluster_option_composes(option: str, target: str, key: str, value: object) -> None:
    needs(option)
    register_schemas()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF_DIR), version_base="1.3"):
        composed = compose(
            "config", overrides=[f"hydra/launcher={option}"], return_hydra_config=True
        )
    launcher = composed.hydra.launcher
    assert launcher._target_.endswith(target) and OmegaConf.select(launcher, key) == value


@pytest.mark.parametrize(
    ("option", "extra"),
    [("slurm", "slurm"), pytest.param("ray_tasks", "ray", marks=pytest.mark.slow)],
)
def test_a_missing_plugin_names_the_extra(option: str, extra: str, tmp_path: Path) -> None:
    if installed(option):
        pytest.skip(f"{PLUGINS[option]} is installed")
    status, output = launch("-m", f"hydra/launcher={option}", "seed=0,1", folder=tmp_path)
    assert status == 2 and f"pip install 'axiom-rl[{extra}]'" in output


@pytest.mark.slow
def test_jobs_of_another_launcher_are_recorded_and_paged(tmp_path: Path) -> None:
    """With submitit's local executor: the launcher of SLURM, in processes of this machine."""
    needs("slurm")
    sweep = tmp_path / "sweep"
    status, output = launch(
        *("-m", "hydra/launcher=submitit_local", "stage=list", "seed=0,1"),
        f"hydra.sweep.dir={sweep}",
        folder=tmp_path,
        program="launch.py",
    )
    assert status == 0, output
    assert [job.status for job in read_jobs(sweep)] == ["done", "done"]
    assert "2 of 2 jobs are done" in (sweep / "sweep.md").read_text()
