"""Concept libraries: the concepts that a job fitted to a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from iis_client.resources.descriptions import DescriptionChanges, ListFilters, NameOrder, change_body, list_query
from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of
from iis_schemas.concept_libraries import ConceptLibraryView, ConceptView, DroppedConceptView, NearConcept, NearestRequest, NearestView
from iis_schemas.descriptions import OptionalNameUpdate

PATH = "/v1/concept-libraries"


class ConceptLibraries(Connection):
    """Calls on concept libraries."""

    def concept_libraries(self, *, sort: NameOrder | None = None, **filters: Unpack[ListFilters]) -> Iterator[ConceptLibraryView]:
        """Concept libraries fitted by your jobs, newest first unless sorted; filtered as `models` are."""
        return self._pages(ConceptLibraryView, PATH, list_query(filters, sort))

    def update_concept_library(self, library: str | ConceptLibraryView, **changes: Unpack[DescriptionChanges]) -> ConceptLibraryView:
        """Change `name`, `notes`, `tags` or `metadata` of a concept library; None removes, as for `update_model`."""
        return self._patch(ConceptLibraryView, f"{PATH}/{id_of(library)}", change_body(OptionalNameUpdate, changes))

    def concept_library(self, library: str | ConceptLibraryView) -> ConceptLibraryView:
        """One concept library."""
        return self._get(ConceptLibraryView, f"{PATH}/{id_of(library)}")

    def delete_concept_library(self, library: str | ConceptLibraryView) -> None:
        """Delete a concept library with its concepts, crops and predictors; the job that fitted it keeps its report.

        Raises
        ------
        ConflictError
            While another job uses it, or explains the job that fitted it.
        """
        self._delete(f"{PATH}/{id_of(library)}")

    def concepts(self, library: str | ConceptLibraryView) -> Iterator[ConceptView]:
        """Concepts of a library by index, with their exemplars."""
        return self._pages(ConceptView, f"{PATH}/{id_of(library)}/concepts")

    def dropped_concepts(self, library: str | ConceptLibraryView) -> Iterator[DroppedConceptView]:
        """Phrases that a text library excluded, with the reason and its measurements."""
        return self._pages(DroppedConceptView, f"{PATH}/{id_of(library)}/dropped")

    def nearest_concepts(self, library: str | ConceptLibraryView, vector: Sequence[float], limit: int = 10) -> list[NearConcept]:
        """Concepts with the highest cosine to `vector` (d,), nearest first."""
        request = build_request(NearestRequest, {"vector": list(vector), "limit": limit})
        return self._post(NearestView, f"{PATH}/{id_of(library)}/nearest", request).data
