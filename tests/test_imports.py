"""The rooms of the house and the direction between them, read from the imports of every module."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "axiom_rl"
MODULES = sorted(PACKAGE.rglob("*.py"))

DIRECTION = (
    ("__main__",),
    ("cli",),
    ("stages",),
    ("sweeps",),
    ("trainers", "report"),
    ("evaluation",),
    ("gold",),
    ("search",),
    ("value",),
    ("rollouts",),
    ("context",),
    ("sampling", "verify"),
    ("models",),
    ("problems", "sandbox"),
    ("run",),
    ("config",),
    ("core",),
)
"""A room imports from its own folder and from the rooms below it; neighbours do not meet."""
PUBLIC = {"types": {"core"}, "rewards": {"rollouts"}}
"""Files that scripts outside import from, and the room that they re-export; used by no room."""
HEAVY = {"torch", "trl", "peft", "transformers", "accelerate", "datasets", "safetensors"}
WHO_MAY = {
    **dict.fromkeys(HEAVY, ("models/", "trainers/", "value/", "sampling/hf/", "sampling/engine/")),
    "vllm": ("sampling/engine/",),
    "wandb": ("run/tracking/",),
    "openai": ("gold/teacher/", "sampling/server.py"),
    "optuna": ("sweeps/",),
}
FILES_IN_A_FOLDER = 11
LINES_IN_A_FILE = 400


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(module: str) -> str:
    """Return the room of `axiom_rl.verify.compare` (verify) or of `axiom_rl.stages` (stages)."""
    return module.split(".")[1] if "." in module else "axiom_rl"


def place(of: str) -> int:
    return next(number for number, rooms in enumerate(DIRECTION) if of in rooms)


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """The full names of the modules that a file imports, at the top or inside functions."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
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


def goes_up(here: str, there: str) -> bool:
    """Whether an import from one room into another is against the direction."""
    if there in (here, "axiom_rl"):
        return False
    if here in PUBLIC:
        return there not in PUBLIC[here]
    return there in PUBLIC or place(here) >= place(there)


def test_every_room_has_its_place() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"__init__", *PUBLIC} <= {room for rooms in DIRECTION for room in rooms}


def test_rooms_use_only_what_is_below() -> None:
    offenders = [
        f"{name_of(path)} uses {name}"
        for path in MODULES
        for name in imports(path)
        if name.startswith("axiom_rl.")
        and goes_up(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), room(name))
    ]
    assert not offenders, "\n".join(offenders)


def test_heavy_packages_stay_in_their_rooms() -> None:
    offenders = [
        f"{name_of(path)} imports {package}"
        for path in MODULES
        for package in sorted(top_names(path) & WHO_MAY.keys())
        if not name_of(path).startswith(WHO_MAY[package])
    ]
    assert not offenders, "\n".join(offenders)


def test_the_modules_that_must_stay_light() -> None:
    standard = set(sys.stdlib_module_names) | {"axiom_rl"}
    allowed = {"core": standard | {"tqdm"}, "config": standard | {"hydra", "omegaconf", "yaml"}}
    offenders = [
        f"{name_of(path)} imports {extra}"
        for folder, may in {**allowed, "sandbox/child": standard}.items()
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for extra in sorted(top_names(path) - may)
    ]
    assert not offenders, "\n".join(offenders)


def test_hydras_config_type_is_seen_at_the_door_alone() -> None:
    door = (PACKAGE / "cli.py", PACKAGE / "config" / "load.py")
    seen = [name_of(path) for path in MODULES if "DictConfig" in path.read_text(encoding="utf-8")]
    assert set(seen) <= {name_of(path) for path in door}


def test_no_trainer_composes_a_config() -> None:
    """What it needs of conf/ is read before it begins, where a wrong name is refused at once."""
    offenders = [
        f"{name_of(path)} calls {name}"
        for path in (PACKAGE / "trainers").rglob("*.py")
        for name in ("load_config", "composed_option", "resumed_config")
        if name in path.read_text(encoding="utf-8")
    ]
    assert not offenders, "\n".join(offenders)


def test_no_room_for_odds_and_ends() -> None:
    odd = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in odd]


def test_folders_and_files_can_be_read_in_one_go() -> None:
    long = [
        name_of(path) for path in MODULES if len(path.read_text().splitlines()) > LINES_IN_A_FILE
    ]
    folders = {path.parent for path in MODULES}
    wide = [
        str(folder.relative_to(PACKAGE))
        for folder in folders
        if sum(path.parent == folder and path.stem != "__init__" for path in MODULES)
        > FILES_IN_A_FOLDER
    ]
    assert not long and not wide, f"files: {long}, folders: {wide}"


def test_a_class_name_stands_once() -> None:
    seen: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                seen.setdefault(node.name, []).append(name_of(path))
    twice = {name: places for name, places in seen.items() if len(places) > 1}
    assert not twice, twice


def test_light_imports_load_nothing_heavy() -> None:
    heavy = sorted({*WHO_MAY, "bitsandbytes"})
    code = (
        "import sys, axiom_rl, axiom_rl.cli, axiom_rl.stages\n"
        "from axiom_rl.verify import Verifier, extract_code\n"
        "from axiom_rl.problems import make_problem\n"
        f"print(*(sys.modules.keys() & {heavy}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""
