"""The request of the score job that stands for a cell of a study, and its digest."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from iis_schemas.studies import StudyGrid
from iis_schemas.study_grids import Cell


def job_spec(grid: StudyGrid, cell: Cell) -> dict[str, Any]:
    """The request of a cell's job, as the row of a score job keeps it."""
    choice = grid.libraries[cell.library]
    has_text = "text" in choice.kinds
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "library": choice.model_copy(update={"concept_count": cell.concept_count}).to_spec(),
        "library_dataset": cell.library_dataset,
        "elements": grid.elements.model_dump(),
        "protocol": grid.protocol,
        "seed": cell.seed,
        "vlm": grid.vlm if has_text else None,
        "vocabulary": grid.vocabulary.model_dump() if has_text and grid.vocabulary is not None else None,
    }


def request_digest(spec: dict[str, Any]) -> str:
    """The same for two jobs that ask for the same; a field that says nothing counts as one that is not there."""
    said = {name: value for name, value in spec.items() if value is not None}
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
