"""The example notebook of docs/ runs in a kernel from its first cell to its last, and shows what it promises."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[3] / "docs" / "explore.ipynb"


@pytest.mark.slow
def test_the_example_notebook_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # it is kept without, for it would be megabytes
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    shown = [cell.outputs[-1]["data"] for cell in notebook.cells if cell.cell_type == "code"]
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert "<iframe" in shown[0]["text/html"]
    assert shown[1]["text/plain"] == "1"
    assert "81 points" in shown[2]["text/plain"]
