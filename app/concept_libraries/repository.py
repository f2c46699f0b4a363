"""All SQL of concept libraries and their concepts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import defer

from app.db.lists.listing import ListQuery, by_name
from app.db.models import Blob, Concept, ConceptLibrary, DroppedPhrase, Result, StageArtifact
from app.db.repository import OwnedRepository


class ConceptLibraryRepository(OwnedRepository[ConceptLibrary]):
    """An owner's concept libraries."""

    table = ConceptLibrary
    noun = "concept library"
    sort_keys: ClassVar = {"name": by_name(ConceptLibrary)}

    def page(self, query: ListQuery, *, model: str | None, job: str | None) -> tuple[Sequence[ConceptLibrary], list[str]]:
        """Rows and cursors as `listed` has them, filtered by model or job where given."""
        wanted = ((ConceptLibrary.model_id, model), (ConceptLibrary.job_id, job))
        return self.listed(query, *(column == value for column, value in wanted if value is not None))

    def of_jobs(self, job_ids: Collection[str]) -> dict[str, ConceptLibrary]:
        """The libraries that scores were read through, by the id of the job."""
        statement = self.owned().add_columns(Result.job_id).join(Result, Result.library_id == ConceptLibrary.id)
        return {row[1]: row[0] for row in self.session.execute(statement.where(Result.job_id.in_(job_ids)))}

    def concepts(self, library_id: str, *, after: int | None, limit: int) -> Sequence[Concept]:
        """Concepts after index `after`, one more than `limit`."""
        behind = self._concepts(library_id).where(Concept.index > (-1 if after is None else after))
        return self.session.scalars(behind.order_by(Concept.index).limit(limit + 1)).all()

    def named(self, library_id: str, indexes: Collection[int]) -> dict[int, Concept]:
        """The concepts of these indexes, by index."""
        rows = self.session.scalars(self._concepts(library_id).where(Concept.index.in_(indexes)).options(defer(Concept.vector)))
        return {row.index: row for row in rows}

    def dropped(self, library_id: str, *, after: int | None, limit: int) -> Sequence[DroppedPhrase]:
        """Dropped phrases after index `after`, one more than `limit`."""
        statement = (
            select(DroppedPhrase)
            .join(ConceptLibrary, ConceptLibrary.id == DroppedPhrase.library_id)
            .where(ConceptLibrary.owner_id == self.owner_id, DroppedPhrase.library_id == library_id)
            .where(DroppedPhrase.index > (-1 if after is None else after))
        )
        return self.session.scalars(statement.order_by(DroppedPhrase.index).limit(limit + 1)).all()

    def nearest(self, library_id: str, vector: list[float], limit: int) -> Sequence[Row[Concept, float]]:
        """Concepts by ascending cosine distance from `vector`, with that distance.

        The library's own rows are measured one by one: a few hundred to 20,000, and an index needs one dimension for all models.
        """
        distance = Concept.vector.cosine_distance(vector).label("distance")  # pgvector's <=>
        statement = self._concepts(library_id).add_columns(distance).order_by(distance, Concept.index).limit(limit)
        return self.session.execute(statement).all()

    def artifact(self, library: ConceptLibrary) -> Blob | None:
        """The file of the library."""
        statement = (
            select(Blob)
            .join(StageArtifact, StageArtifact.blob_sha256 == Blob.sha256)
            .where(StageArtifact.owner_id == self.owner_id, StageArtifact.key == library.artifact_key)
        )
        return self.session.scalar(statement)

    def _concepts(self, library_id: str) -> Select[Concept]:
        return (
            select(Concept)
            .join(ConceptLibrary, ConceptLibrary.id == Concept.library_id)
            .where(ConceptLibrary.owner_id == self.owner_id, Concept.library_id == library_id)
        )
