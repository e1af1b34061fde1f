"""The rooms of the house and the direction between them, read from the imports of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "axiom_rl"
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = (
    ("launch",),
    ("stages",),
    ("planning",),
    ("trainers",),
    ("collect",),
    ("evaluation",),
    ("gold", "run", "tracking", "sweeps"),
    ("rollouts",),
    ("rewards",),
    ("verify", "sampler", "models"),
    ("problems", "sandbox"),
    ("defaults",),
    ("config",),
    ("values", "files", "progress"),
    ("types", "errors"),
)
"""A room imports from its own folder and from lower floors alone."""
BESIDE = {("sampler", "models"), ("run", "tracking")}
"""Rooms of one floor of which the first may use the second."""
HEAVY = {"torch", "trl", "peft", "transformers", "accelerate", "datasets", "safetensors"}
HEAVY_ROOMS = ("models/", "trainers/")
HEAVY_FILES = tuple(
    f"sampler/{name}.py"
    for name in (
        "transformers",
        "slots",
        "draw",
        "vllm",
        "engine",
        "engine_settings",
        "merge",
        "server",
    )
)
CONFIG_MAY = {"hydra", "omegaconf"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(module: str) -> str:
    """Return the room of `axiom_rl.verify.compare` (verify) or of `axiom_rl.gold` (gold)."""
    return module.split(".")[1] if "." in module else module


def floor(of: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if of in rooms]
    assert found, f"{of} is a room that the map does not have: give it a floor"
    return found[0]


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*parent, node.module or ""]).strip(".")
            yield module
            if module == "axiom_rl":
                yield from (f"axiom_rl.{alias.name}" for alias in node.names)


def top_names(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_use_only_what_is_below(path: Path) -> None:
    here = room(f"axiom_rl.{name_of(path).removesuffix('.py').replace('/', '.')}")
    if here == "__init__":
        assert not any(name.startswith("axiom_rl") for name in imports(path))
        return
    for name in imports(path):
        there = room(name)
        if name.startswith("axiom_rl.") and there != here:  # its own folder is a room's own matter
            assert floor(here) < floor(there) or (here, there) in BESIDE, f"{here} uses {name}"


def test_launch_uses_stages_and_the_ground_alone() -> None:
    own = {room(name) for name in imports(ROOT / "launch.py") if name.startswith("axiom_rl")}
    assert own == {"stages", "config", "errors", "sweeps"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    name, used = name_of(path), top_names(path)
    if not (name.startswith(HEAVY_ROOMS) or name in HEAVY_FILES):
        assert not used & HEAVY
    assert "vllm" not in used or name == "sampler/vllm.py"
    assert "wandb" not in used or name == "tracking/wandb_copy.py"


def test_the_modules_that_must_stay_light() -> None:
    standard = set(sys.stdlib_module_names)
    assert top_names(PACKAGE / "types.py") <= standard
    for path in (PACKAGE / "config").glob("*.py"):
        assert top_names(path) <= standard | CONFIG_MAY | {"axiom_rl"}, name_of(path)
    for path in (PACKAGE / "sandbox" / "child").glob("*.py"):
        assert top_names(path) <= standard | {"axiom_rl"}, name_of(path)


@pytest.mark.parametrize("path", [*MODULES, ROOT / "launch.py"], ids=lambda path: path.name)
def test_hydras_config_type_is_seen_at_the_door_alone(path: Path) -> None:
    if path not in (ROOT / "launch.py", PACKAGE / "config" / "load.py"):
        assert "DictConfig" not in path.read_text(encoding="utf-8")


def test_no_room_for_odds_and_ends() -> None:
    odd = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in odd]


@pytest.mark.parametrize(
    "statement",
    [
        "import axiom_rl",
        "from axiom_rl.verify import Verifier, extract_code",
        "import launch, axiom_rl.stages; from axiom_rl.problems import make_problem",
    ],
)
def test_light_imports_load_nothing_heavy(statement: str) -> None:
    heavy = sorted(HEAVY | {"vllm", "wandb", "bitsandbytes"})
    code = f"{statement}\nimport sys\nprint(*(sys.modules.keys() & {heavy}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""
