"""All SQL of predictors."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from app.db.models import Concept, ConceptLibrary, Predictor, Result
from app.db.repository import OwnedRepository
from app.db.study_rows import ACCURACY
from iis_schemas.names import QuantityName


class PredictorRepository(OwnedRepository[Predictor]):
    """An owner's predictors."""

    table = Predictor
    noun = "predictor"

    def page(self, *, job: str | None, after: str | None, limit: int) -> Sequence[Predictor]:
        """Newest first, filtered by job where given."""
        return self.list(*([Predictor.job_id == job] if job is not None else []), after=after, limit=limit)

    def scores_of(self, job_ids: Sequence[str]) -> dict[str, tuple[ConceptLibrary, QuantityName]]:
        """The concept library of each job, and the quantity that its score retains."""
        quantity = func.coalesce(Result.report["quantity"].as_string(), ACCURACY)
        statement = (
            select(Result.job_id, ConceptLibrary, quantity)
            .join(ConceptLibrary, ConceptLibrary.id == Result.library_id)
            .where(Result.job_id.in_(job_ids), ConceptLibrary.owner_id == self.owner_id)
        )
        return {row[0]: (row[1], row[2]) for row in self.session.execute(statement)}

    def concept_names(self, library_id: str) -> list[str | None]:
        """The phrases or names of a library's concepts, by index."""
        statement = (
            select(Concept.label)
            .join(ConceptLibrary, ConceptLibrary.id == Concept.library_id)
            .where(ConceptLibrary.owner_id == self.owner_id, Concept.library_id == library_id)
        )
        return list(self.session.scalars(statement.order_by(Concept.index)))
