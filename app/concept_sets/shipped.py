"""The concept sets that ship with the service: one version each, read-only, never in the database.

They are the same for every owner, and as the installed package has them: an upgrade may change them, so no cache may keep them unasked.
"""

from __future__ import annotations

from app.concept_sets.repository import VersionSummary, no_such_version
from app.concept_sets.views import links_of_set
from app.errors import Conflict
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped, shipped_names
from iis_schemas.concept_sets import ConceptSetView

VERSION = 1


def is_shipped(concept_set_id: str) -> bool:
    """Whether this names a shipped set."""
    return concept_set_id in shipped_names()


def views() -> list[ConceptSetView]:
    """All shipped sets."""
    return [view(name) for name in shipped_names()]


def view(name: str) -> ConceptSetView:
    """A shipped set."""
    return ConceptSetView(
        id=name,
        name=name,
        description=shipped(name).description,
        origin="shipped",
        latest_version=VERSION,
        versions=1,
        created_at=None,
        links=links_of_set(name, VERSION),
    )


def phrases(name: str, number: int) -> tuple[Phrase, ...]:
    """The phrases of a shipped set; raises `NotFound` for any version but its only one."""
    if number != VERSION:
        raise no_such_version(name, number)
    return shipped(name).phrases


def version(name: str, number: int) -> VersionSummary:
    """The only version of a shipped set."""
    kept = phrases(name, number)
    return VersionSummary(
        concept_set=name,
        number=number,
        state="ready",
        error=None,
        phrase_count=len(kept),
        dropped_count=0,
        dropped=[],
        digest=phrases_digest(kept),
        vlm=None,
        dataset=None,
        created_at=None,
        checked_at=None,
    )


def require_own(concept_set_id: str) -> None:
    """Refuse a change to a shipped set."""
    if is_shipped(concept_set_id):
        raise Conflict(
            f"Concept set {concept_set_id} comes with the service and is read-only; create a set of your own from its phrases.",
            code="concept_set_shipped",
        )
