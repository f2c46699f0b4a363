"""All SQL of share links. Requests find them by their tokens; `app.db.deletion.retention` deletes expired ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select

from app.db.models import Job, Share, Study
from app.db.repository import OwnedRepository
from app.jobs.repository import JobRepository


class ShareRepository(OwnedRepository[Share]):
    """Share links of one owner."""

    table = Share
    noun = "share link"

    def lock_count(self) -> int:
        """Number of this owner's links; no other is added until this transaction ends."""
        self.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"shares {self.owner_id}", 0))))
        return self.session.scalar(select(func.count(Share.id)).where(Share.owner_id == self.owner_id)) or 0

    def page(self, after: str | None, limit: int, *, job: str | None, study: str | None) -> Sequence[Share]:
        """Rows as `list` has them, of one job or study where given."""
        wanted = ((Share.job_id, job), (Share.study_id, study))
        return self.list(*(column == value for column, value in wanted if value is not None), after=after, limit=limit)

    def delete(self, share_id: str) -> None:
        """Delete a link: its token is unknown from then on."""
        self.session.delete(self.get(share_id, for_update=True))
        self.session.flush()

    def jobs(self, ids: Collection[str]) -> Mapping[str, Job]:
        """Jobs by id, with the names of their models and data sets."""
        rows = self.session.scalars(JobRepository(self.session, self.owner_id).owned().where(Job.id.in_(ids)))
        return {job.id: job for job in rows}

    def studies(self, ids: Collection[str]) -> Mapping[str, Study]:
        """Studies by id."""
        rows = self.session.scalars(select(Study).where(Study.owner_id == self.owner_id, Study.id.in_(ids)))
        return {study.id: study for study in rows}
