"""The request of the score job of a cell, and its digest."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from iis_schemas.studies.grids import Cell
from iis_schemas.studies.requests import StudyGrid


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
    said = {name: value for name, value in spec.items() if value is not None}
    if said.get("protocol") == "reference" or said.get("activations") == "layernorm":
        said.pop("activations", None)
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
