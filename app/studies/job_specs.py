"""Requests of the score jobs of a grid's cells, and their digests."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from iis_schemas.studies.grids import Cell
from iis_schemas.studies.requests import StudyGrid

OF_CELL = frozenset({"model", "dataset", "library_dataset", "seed"})
"""Fields of a request that differ between cells of one library and one number of concepts."""


def job_spec(grid: StudyGrid, cell: Cell) -> dict[str, Any]:
    """The request of a cell's job, as stored in the job's row."""
    choice = grid.libraries[cell.library]
    has_text = "text" in choice.kinds
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "library": choice.model_copy(update={"concept_count": cell.concept_count}).to_spec(),
        "library_dataset": cell.library_dataset,
        "elements": grid.elements.to_spec(),
        "protocol": grid.protocol,
        "activations": grid.activations,
        "seed": cell.seed,
        "vlm": grid.vlm if has_text else None,
        "vocabulary": grid.vocabulary.model_dump() if has_text and grid.vocabulary is not None else None,
    }


def request_digest(spec: dict[str, Any]) -> str:
    """The sha256 of a request, equal for equal requests; a field that is None counts as absent.

    So do activations of the first edition, because jobs from before the second have no such field.
    """
    return sha256(_compact(_said(spec)).encode()).hexdigest()


class CellRequests:
    """Requests of a grid's cells and their digests: `job_spec` and `request_digest`, which make once what thousands of cells share."""

    def __init__(self, grid: StudyGrid) -> None:
        self._grid = grid
        self._shared: dict[tuple[int, int], tuple[dict[str, Any], dict[str, str]]] = {}
        self._texts: dict[str, str] = {}

    def of(self, cell: Cell) -> tuple[dict[str, Any], str]:
        """The request of a cell's job and its digest."""
        shared = cell.library, cell.concept_count
        if shared not in self._shared:
            spec = job_spec(self._grid, cell)
            self._shared[shared] = spec, {name: _compact(value) for name, value in _said(spec).items() if name not in OF_CELL}
        common, texts = self._shared[shared]
        own = {"model": cell.model, "dataset": cell.dataset, "library_dataset": cell.library_dataset}
        said = texts | {name: self._text(value) for name, value in own.items() if value is not None} | {"seed": str(cell.seed)}
        content = ",".join(f'"{name}":{said[name]}' for name in sorted(said))
        return common | own | {"seed": cell.seed}, sha256(f"{{{content}}}".encode()).hexdigest()

    def _text(self, value: str) -> str:
        if value not in self._texts:
            self._texts[value] = _compact(value)
        return self._texts[value]


def _said(spec: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request that count for its digest."""
    said = {name: value for name, value in spec.items() if value is not None}
    if said.get("protocol") == "reference" or said.get("activations") == "layernorm":
        said.pop("activations", None)
    return said


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
