"""All SQL of explanations: posted images, and the predictors of a job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import defer

from app.db.models import PostedImage, Predictor
from app.db.repository import OwnedRepository


class PostedImageRepository(OwnedRepository[PostedImage]):
    """An owner's posted images, without their bytes."""

    table = PostedImage
    noun = "image"

    def of_job(self, image_id: str, job_id: str) -> PostedImage | None:
        """An image posted for this job."""
        statement = self.owned().where(PostedImage.id == image_id, PostedImage.job_id == job_id)
        return self.session.scalar(statement.options(defer(PostedImage.content))) if "\0" not in image_id else None

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop images."""
        self.session.execute(delete(PostedImage).where(PostedImage.id.in_(image_ids), PostedImage.owner_id == self.owner_id))

    def keep_newest(self, limit_bytes: int) -> None:
        """Drop the oldest images until the rest has `limit_bytes` at most; the newest stays whatever its size."""
        newest_first = (PostedImage.created_at.desc(), PostedImage.id.desc())
        held = func.sum(func.octet_length(PostedImage.content)).over(order_by=newest_first)
        place = func.row_number().over(order_by=newest_first)
        ranked = select(PostedImage.id, held.label("held"), place.label("place")).where(PostedImage.owner_id == self.owner_id).subquery()
        self.remove(self.session.scalars(select(ranked.c.id).where(ranked.c.held > limit_bytes, ranked.c.place > 1)).all())

    def explainable(self, job_id: str) -> bool:
        """Whether the job has predictors."""
        found = select(Predictor.id).where(Predictor.job_id == job_id, Predictor.owner_id == self.owner_id).limit(1)
        return self.session.scalar(found) is not None
