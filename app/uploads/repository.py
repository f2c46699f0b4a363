"""All SQL of uploads and their parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db.models import Upload, UploadPart
from app.db.repository import OwnedRepository
from app.storage.upload_expiry import is_used


class UploadRepository(OwnedRepository[Upload]):
    """Uploads of one owner."""

    table = Upload
    noun = "upload"

    def lock(self, upload_id: str) -> Upload | None:
        """The upload, locked against all other requests for this transaction; None while another transaction has locked it."""
        statement = self.owned().where(Upload.id == upload_id).with_for_update(skip_locked=True)
        return self.session.scalar(statement.execution_options(populate_existing=True))

    def lock_for_part(self, upload_id: str) -> Upload | None:
        """The upload, locked against completion and deletion, not against other parts; None while it is completed or deleted."""
        statement = self.owned().where(Upload.id == upload_id).with_for_update(read=True, key_share=True, skip_locked=True)
        return self.session.scalar(statement.execution_options(populate_existing=True))

    def lock_count(self, upload: Upload) -> None:
        """Lock the sum of an upload's parts until the commit. Take `lock_for_part` first."""
        self.session.execute(select(Upload.id).where(Upload.id == upload.id).with_for_update(key_share=True))

    def find_complete(self, sha256: str, size_bytes: int) -> Upload | None:
        """A complete upload of this content by this owner, locked until the commit."""
        same = (Upload.sha256 == sha256, Upload.size_bytes == size_bytes, Upload.state == "complete")
        return self.session.scalar(self.owned().where(*same).limit(1).with_for_update(read=True, skip_locked=True))

    def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """The parts that have arrived, by number."""
        return self.session.scalars(select(UploadPart).where(UploadPart.upload_id == upload.id).order_by(UploadPart.number)).all()

    def parts_of_each(self, uploads: Sequence[Upload]) -> dict[str, list[UploadPart]]:
        """The parts of several uploads in one query."""
        found: dict[str, list[UploadPart]] = defaultdict(list)
        ids = [upload.id for upload in uploads]
        for part in self.session.scalars(select(UploadPart).where(UploadPart.upload_id.in_(ids)).order_by(UploadPart.number)):
            found[part.upload_id].append(part)
        return found

    def other_parts(self, upload: Upload, number: int, least_bytes: int) -> tuple[int, int]:
        """Bytes of all parts but `number`, and how many of these parts have fewer than `least_bytes`."""
        small = func.count().filter(UploadPart.size_bytes < least_bytes)
        total = func.coalesce(func.sum(UploadPart.size_bytes), 0)
        others = select(total, small).where(UploadPart.upload_id == upload.id, UploadPart.number != number)
        size_bytes, count = self.session.execute(others).one()
        return int(size_bytes), count

    def put_part(self, upload: Upload, number: int, size_bytes: int, sha256: str) -> tuple[UploadPart, str | None]:
        """Write a part's row; returns it and the sha256 of different content that it replaces."""
        before = self.session.scalar(
            select(UploadPart.sha256).where(UploadPart.upload_id == upload.id, UploadPart.number == number).with_for_update()
        )
        values = {"size_bytes": size_bytes, "sha256": sha256}
        statement = (
            insert(UploadPart)
            .values(upload_id=upload.id, number=number, **values)
            .on_conflict_do_update(index_elements=["upload_id", "number"], set_=values)
            .returning(UploadPart)
        )
        part = self.session.scalars(statement, execution_options={"populate_existing": True}).one()
        return part, before if before != sha256 else None

    def is_used(self, upload: Upload) -> bool:
        """Whether an upload is in use. Lock its row first, as each user of it does."""
        return self.session.scalar(self.owned().where(Upload.id == upload.id, is_used())) is not None

    def delete_parts(self, upload: Upload) -> None:
        self.session.execute(delete(UploadPart).where(UploadPart.upload_id == upload.id))

    def delete(self, upload: Upload) -> None:
        """Delete an upload and the rows of its parts."""
        self.session.delete(upload)
        self.session.flush()
