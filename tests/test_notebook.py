"""The walk-through notebook: it has its outputs, and runs from top to bottom at reduced size."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).resolve().parent.parent / "notebooks" / "axiom_step_by_step.ipynb"
nbformat = pytest.importorskip("nbformat")


def outputs(notebook) -> str:  # type: ignore[no-untyped-def]
    return "\n".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )


def test_it_is_kept_with_the_outputs_of_one_run_in_order() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "display_data" in kinds and "error" not in kinds
    text = outputs(notebook)
    assert "in full" in text and "pass rate on fresh tests" in text
    minutes = float(text.split("This notebook took ")[1].split()[0])
    assert minutes < 15
    assert "/root" not in text and "/tmp" not in text and "/home" not in text


def first_cell() -> str:
    notebook = nbformat.read(PATH, as_version=4)
    return str(next(cell.source for cell in notebook.cells if cell.cell_type == "code"))


def test_its_badge_and_its_clone_are_of_one_repository() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    (address,) = re.findall(r'^REPOSITORY = "https://github.com/(.+)"$', first_cell(), re.M)
    badge = f"https://colab.research.google.com/github/{address}/blob/main/notebooks/{PATH.name}"
    assert f"({badge})" in notebook.cells[0].source


def test_on_colab_everything_is_installed_but_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        assert check
        said.append(command)
        if command[0] == "git":
            Path("axiom-rl").mkdir()
            for name in ("pyproject.toml", "launch.py"):
                shutil.copy(PATH.parent.parent / name, "axiom-rl")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    exec(compile(first_cell(), "cell", "exec"), {})
    clone, others, own = said
    assert clone[:2] == ["git", "clone"]
    wanted = others[others.index("--constraint") + 2 :]
    assert any(each.startswith("trl==") for each in wanted)
    assert not any(re.match(r"torch\b", each) for each in wanted)
    kept = Path(others[others.index("--constraint") + 1]).read_text()
    assert kept == f"torch=={importlib.metadata.version('torch')}\n", "none of trl's either"
    assert "--no-deps" in own and own[-1] == "axiom-rl"


def test_run_elsewhere_it_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SystemExit, match=r"folder notebooks/ of a clone .*or on Colab"):
        exec(compile(first_cell(), "cell", "exec"), {})


def test_it_uses_names_of_the_manual_alone() -> None:
    page = (PATH.parent.parent / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    notebook = nbformat.read(PATH, as_version=4)
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imports = re.findall(r"^from (axiom_rl[\w.]*) import (.+)$", source, re.M)
    names = [f"{module}.{name.strip()}" for module, each in imports for name in each.split(",")]
    assert len(names) > 15
    assert [name for name in names if f"::: {name}\n" not in page] == []


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_at_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("AXIOM_NOTEBOOK_SMALL", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(PATH, as_version=4)
    resources = {"metadata": {"path": str(PATH.parent)}}
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources=resources
    )
    client.execute()
    text = outputs(notebook)
    assert "reduced" in text and "step 1: loss" in text and "before:" in text
