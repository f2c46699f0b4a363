"""Concept libraries: what a job has fitted to a model, concept by concept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from iis_client.transport.connection import Connection
from iis_client.types.concepts import Concept, ConceptLibrary, DroppedConcept


class ConceptLibraries(Connection):
    """Calls on concept libraries."""

    def concept_libraries(self) -> Iterator[ConceptLibrary]:
        """Concept libraries fitted by your jobs, newest first."""
        return cast("Iterator[ConceptLibrary]", self._pages("/v1/concept-libraries"))

    def concept_library(self, library: str) -> ConceptLibrary:
        """One concept library."""
        return cast("ConceptLibrary", self._get(f"/v1/concept-libraries/{library}"))

    def concepts(self, library: str) -> Iterator[Concept]:
        """The concepts of a library by index, each with the elements that show it."""
        return cast("Iterator[Concept]", self._pages(f"/v1/concept-libraries/{library}/concepts"))

    def dropped_concepts(self, library: str) -> Iterator[DroppedConcept]:
        """The phrases that a text library left out, each with the reason and the figures behind it."""
        return cast("Iterator[DroppedConcept]", self._pages(f"/v1/concept-libraries/{library}/dropped"))

    def nearest_concepts(self, library: str, vector: Sequence[float], limit: int = 10) -> list[Concept]:
        """The concepts that point most nearly the way of `vector`, nearest first."""
        found = self._post(f"/v1/concept-libraries/{library}/nearest", {"vector": list(vector), "limit": limit})
        return cast("list[Concept]", found["data"])
