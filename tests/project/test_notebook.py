"""The notebook runs from top to bottom and shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the notebook's own libraries
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = [
        "".join(output.get("text", "") or str(output.get("data", {})) for output in cell.get("outputs", ()))
        for cell in notebook.cells
    ]
    shown = "\n".join(texts)
    assert "'one epoch': 'FAIL'" in shown
    assert "'honest retrain': 'FAIL'" not in shown
    assert "membership.auc" in shown
    assert '<iframe sandbox="" srcdoc=' in shown
    assert "plan: 7 models" in shown
    assert len(list((tmp_path / "runs").iterdir())) == 2
