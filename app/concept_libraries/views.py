"""Concept libraries and their concepts as answers show them."""

from __future__ import annotations

from app.db.models import Concept, ConceptLibrary, DroppedPhrase
from app.descriptions import described_fields
from iis_schemas.concept_libraries import ConceptLibraryView, ConceptView, DroppedConceptView


def library_view(library: ConceptLibrary) -> ConceptLibraryView:
    """The view of a library's row."""
    at = f"/v1/concept-libraries/{library.id}"
    return ConceptLibraryView.model_validate(
        {
            "id": library.id,
            **described_fields(library),
            "job": library.job_id,
            "model": library.model_id,
            "dataset": library.dataset_id,
            "kind": library.kind,
            "settings": {name: value for name, value in library.settings.items() if name != "exemplars"},
            "concept_count": library.concept_count,
            "dimension": library.dimension,
            "created_at": library.created_at,
            "links": {
                "self": at,
                **{name: f"{at}/{name}" for name in ("concepts", "dropped", "exemplars", "download", "nearest")},
                "job": f"/v1/jobs/{library.job_id}",
            },
        }
    )


def concept_view(concept: Concept) -> ConceptView:
    """The view of a concept's row."""
    return ConceptView.model_validate({name: getattr(concept, name) for name in ConceptView.model_fields})


def dropped_view(dropped: DroppedPhrase) -> DroppedConceptView:
    """The view of a dropped phrase's row."""
    return DroppedConceptView.model_validate({name: getattr(dropped, name) for name in DroppedConceptView.model_fields})
