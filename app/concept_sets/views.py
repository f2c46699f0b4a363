"""Concept sets and their versions as answers show them."""

from __future__ import annotations

from app.concept_sets.repository import VersionSummary
from app.db.models import ConceptSet
from iis_schemas.concept_sets import ConceptSetVersionView, ConceptSetView

PATH = "/v1/concept-sets"


def set_view(concept_set: ConceptSet, latest_version: int) -> ConceptSetView:
    """The view of a row whose versions are numbered up to `latest_version`."""
    return ConceptSetView(
        id=concept_set.id,
        name=concept_set.name,
        description=concept_set.description,
        origin="uploaded",
        latest_version=latest_version,
        versions=latest_version,
        created_at=concept_set.created_at,
        links=links_of_set(concept_set.id, latest_version),
    )


def version_view(version: VersionSummary) -> ConceptSetVersionView:
    """The view of a version."""
    at = f"{PATH}/{version.concept_set}/versions/{version.number}"
    links = {"self": at, **{name: f"{at}/{name}" for name in ("phrases", "dropped", "download")}}
    return ConceptSetVersionView.model_validate({**vars(version), "links": links})


def links_of_set(concept_set_id: str, latest_version: int) -> dict[str, str]:
    """The addresses of a set, of its versions and of the latest one."""
    at = f"{PATH}/{concept_set_id}"
    return {"self": at, "versions": f"{at}/versions", "latest": f"{at}/versions/{latest_version}"}
