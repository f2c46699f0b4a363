"""The notebooks of the documentation run and show what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(notebook: Any) -> list[dict[str, str]]:
    """What the cells show, by media type."""
    shown = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return [dict(output["data"]) for output in shown if "data" in output]


def test_three_notebooks_are_documented() -> None:
    assert len(NOTEBOOKS) == 3
    page = (FOLDER.parent / "python.md").read_text(encoding="utf-8")
    assert all(f"notebooks/{path.name}" in page for path in NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_media_that_are_stored_with_it(path: Path, tmp_path: Path) -> None:
    stored: Any = nbformat.read(path, as_version=4)  # pyright: ignore[reportUnknownMemberType]
    fresh: Any = nbformat.from_dict(stored)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(fresh, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [sorted(output) for output in outputs(fresh)] == [sorted(output) for output in outputs(stored)]
    assert any("<svg" in output.get("text/html", "") or "<img" in output.get("text/html", "") for output in outputs(fresh))
