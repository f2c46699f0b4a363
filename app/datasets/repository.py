"""All SQL of data sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from sqlalchemy import ARRAY, Select, Text, and_, cast, or_, select
from sqlalchemy.orm import defer

from app.db.lists.listing import ListQuery, by_name, cursors, cut
from app.db.lists.registration import has_content_of, same_settings
from app.db.lists.uses import count_uses
from app.db.models import FINISHED_STATES, ConceptLibrary, Dataset, Job, Json
from app.db.repository import OwnedRepository

DETAILS = ["class_names", "counts", "corrupt", "warnings"]


class DatasetRepository(OwnedRepository[Dataset]):
    """Data sets of one owner, without deleted ones."""

    table = Dataset
    noun = "data set"
    sort_keys: ClassVar = {"name": by_name(Dataset)}

    def owned(self) -> Select[Dataset]:
        return super().owned().where(Dataset.deleted_at.is_(None))

    def page(self, query: ListQuery) -> tuple[list[tuple[Dataset, Json | None]], list[str]]:
        """Rows and cursors as `listed` has them, each row with its `info` without the entries that grow with classes and files."""
        found = self._with_short_info(cut(self._short(), Dataset, query, self.sort_keys))
        return found, cursors([row for row, _ in found], query, self.sort_keys)

    def of_ids(self, ids: Collection[str]) -> list[tuple[Dataset, Json | None]]:
        """Those of the data sets that exist, with their `info` as in `page`."""
        return self._with_short_info(self._short().where(Dataset.id.in_(ids)))

    def _short(self) -> Select[Any]:
        return self.owned().add_columns(Dataset.info.op("-")(cast(DETAILS, ARRAY(Text)))).options(defer(Dataset.info))

    def _with_short_info(self, statement: Select[Any]) -> list[tuple[Dataset, Json | None]]:
        return [tuple(row) for row in self.session.execute(statement)]

    def same(self, wanted: Dataset) -> Dataset | None:
        """The oldest data set with the content and the settings of a new row, locked against deletion; failed ones do not count.

        A server folder has no known content, so that it is always another data set.
        """
        if wanted.server_path is not None:
            return None
        files = (
            has_content_of(Dataset.upload_id, wanted.upload_id, self.owner_id),
            has_content_of(Dataset.manifest_upload_id, wanted.manifest_upload_id, self.owner_id),
        )
        alike = self.owned().where(Dataset.kind == wanted.kind, Dataset.server_path.is_(None), Dataset.state != "failed", *files)
        for dataset in self.session.scalars(alike.order_by(Dataset.id).with_for_update(read=True)):
            if same_settings(_settings(dataset), _settings(wanted)):
                return dataset
        return None

    def validations(self, dataset: Dataset) -> Sequence[Job]:
        """Unfinished validations of the data set."""
        validating = (
            Job.owner_id == self.owner_id,
            Job.kind == "check_dataset",
            Job.dataset_id == dataset.id,
            Job.state.not_in(FINISHED_STATES),
        )
        return self.session.scalars(select(Job).where(*validating).order_by(Job.id)).all()

    def uses(self, dataset: Dataset) -> dict[str, int]:
        """What uses the data set, as `count_uses` counts."""
        job = or_(Job.dataset_id == dataset.id, Job.library_dataset_id == dataset.id)
        return count_uses(self.session, self.owner_id, job, ConceptLibrary.dataset_id == dataset.id)

    def unfinished_job(self, dataset: Dataset) -> Job | None:
        """An unfinished job that needs the data set, checks included, except a check that is being canceled."""
        needs_it = or_(Job.dataset_id == dataset.id, Job.library_dataset_id == dataset.id)
        ends = and_(Job.kind == "check_dataset", Job.state == "canceling")
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES), ~ends)
        return self.session.scalar(select(Job).where(*using).order_by(Job.kind == "check_dataset", Job.id).limit(1))


def _settings(dataset: Dataset) -> list[Json | int | float | None]:
    """What determines a data set beside its kind and its files."""
    manifest = {name: value for name, value in (dataset.manifest or {}).items() if name != "upload"}
    return [dataset.hub, manifest, dataset.split_seed, dataset.test_share]
