"""Descriptions of resources: the columns that a creation sets, the changes of a PATCH, and the fields of a view."""

from __future__ import annotations

from typing import Any

from app.db.models import ConceptLibrary, Dataset, Job, Json, Model, Study
from app.errors import InvalidInput
from iis_schemas.descriptions import MAX_PAIRS, DescriptionCreate, DescriptionUpdate, OptionalNameUpdate

DescribedRow = Model | Dataset | Job | Study | ConceptLibrary


def description_columns(request: DescriptionCreate) -> dict[str, Any]:
    """Columns of a new row, without its name."""
    return {"notes": request.notes, "tags": request.tags, "user_metadata": request.metadata}


def describe(row: DescribedRow, changes: DescriptionUpdate | OptionalNameUpdate) -> None:
    """Change the description of a locked row; fields that were not sent stay.

    Raises
    ------
    InvalidInput
        When the row would have too many pairs of metadata.
    """
    given = changes.model_fields_set
    if "name" in given:
        row.name = changes.name  # pyright: ignore[reportAttributeAccessIssue] (only rows of OptionalNameUpdate may lose their name)
    if "notes" in given:
        row.notes = changes.notes
    if "tags" in given:
        row.tags = changes.tags or []
    if "metadata" in given:
        row.user_metadata = _changed_metadata(row.user_metadata, changes.metadata)


def described_fields(row: DescribedRow) -> dict[str, Any]:
    """Fields of a view: name, notes, tags and metadata."""
    return {"name": row.name, "notes": row.notes, "tags": row.tags, "metadata": row.user_metadata}


def _changed_metadata(pairs: Json, changes: dict[str, str | None] | None) -> Json:
    if changes is None:
        return {}
    changed = {key: value for key, value in {**pairs, **changes}.items() if value is not None}
    if len(changed) > MAX_PAIRS:
        raise InvalidInput(f"A resource has at most {MAX_PAIRS} pairs of metadata; this would be {len(changed)}.", param="metadata")
    return changed
