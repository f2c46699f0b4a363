"""Add phrases, crops and links to the concept indexes of a worker's answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from app.concept_libraries.repository import ConceptLibraryRepository
from app.db.models import Concept

_UNKNOWN = {"label": None, "origin": "unknown", "exemplars": list[Any]()}


class ConceptNames:
    """The concepts of a library that an answer names.

    Parameters
    ----------
    indexes : of all concepts in the answer
    """

    def __init__(self, session: Session, owner_id: str, library_id: str, indexes: Iterable[int]) -> None:
        self._library_id = library_id
        self._rows = ConceptLibraryRepository(session, owner_id).named(library_id, set(indexes))

    def label(self, index: int) -> str | None:
        """The phrase or name of a concept."""
        return self._rows[index].label if index in self._rows else None

    def of(self, index: int) -> dict[str, Any]:
        """The fields of `ConceptRef`."""
        row = self._rows.get(index)
        return {"concept": index, **(_UNKNOWN if row is None else self._fields(row))}

    def _fields(self, row: Concept) -> dict[str, Any]:
        at = f"/v1/concept-libraries/{self._library_id}/exemplars"
        shown = [one | ({"url": f"{at}/{one['crop']}"} if "crop" in one else {}) for one in row.exemplars]
        return {"label": row.label, "origin": row.origin, "exemplars": shown}


def concepts_in(answer: dict[str, Any], *lists: str) -> list[int]:
    """The concepts in the named lists of an answer."""
    return [one["concept"] for name in lists for one in answer[name]]
