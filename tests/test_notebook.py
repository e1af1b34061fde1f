"""The walk-through notebook: it has its outputs, and runs from top to bottom at reduced size."""

from __future__ import annotations

from pathlib import Path

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
