"""All SQL of concept sets and their versions. Only the phrases that are shown are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from app.db.models import FINISHED_STATES, ConceptSet, ConceptSetVersion, Job, Json
from app.db.repository import OwnedRepository
from app.errors import NotFound

SHOWN_DROPPED = 100
ALL = 2**31 - 1


@dataclass(frozen=True)
class VersionSummary:
    """A version without its phrases, with the first of its dropped phrases."""

    concept_set: str
    number: int
    state: str
    error: Json | None
    phrase_count: int
    dropped_count: int
    dropped: list[Json]
    digest: str | None
    vlm: str | None
    dataset: str | None
    created_at: datetime | None
    checked_at: datetime | None


class ConceptSetRepository(OwnedRepository[ConceptSet]):
    """Concept sets of one owner, without deleted ones."""

    table = ConceptSet
    noun = "concept set"

    def owned(self) -> Select[ConceptSet]:
        return super().owned().where(ConceptSet.deleted_at.is_(None))

    def validations(self, concept_set: ConceptSet) -> Sequence[Job]:
        """Unfinished validations of versions of the set."""
        validating = (
            Job.owner_id == self.owner_id,
            Job.kind == "check_concept_set",
            Job.concept_set_id == concept_set.id,
            Job.state.not_in(FINISHED_STATES),
        )
        return self.session.scalars(select(Job).where(*validating).order_by(Job.id)).all()

    def unfinished_job(self, concept_set: ConceptSet) -> Job | None:
        """An unfinished job that needs a version of the set, checks included, except a check that is being canceled."""
        needs_it = Job.concept_set_id == concept_set.id
        ends = and_(Job.kind == "check_concept_set", Job.state == "canceling")
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES), ~ends)
        return self.session.scalar(select(Job).where(*using).limit(1))

    def latest_versions(self, concept_sets: Sequence[ConceptSet]) -> dict[str, int]:
        """The number of the latest version of each set; numbers begin at 1 without gaps."""
        columns = (ConceptSetVersion.concept_set_id, func.max(ConceptSetVersion.number))
        ids = [concept_set.id for concept_set in concept_sets]
        rows = self.session.execute(self._versions(*columns).where(ConceptSet.id.in_(ids)).group_by(columns[0]))
        return {row[0]: row[1] for row in rows}

    def latest_version(self, concept_set: ConceptSet) -> int:
        """The number of the latest version of a set."""
        return self.latest_versions([concept_set])[concept_set.id]

    def versions(self, concept_set_id: str, *, after: int | None, limit: int) -> Sequence[VersionSummary]:
        """Newest first, below number `after`, one more than `limit`."""
        statement = self._versions(*_summary(SHOWN_DROPPED)).where(ConceptSet.id == concept_set_id)
        if after is not None:
            statement = statement.where(ConceptSetVersion.number < after)
        rows = self.session.execute(statement.order_by(ConceptSetVersion.number.desc()).limit(limit + 1))
        return [VersionSummary(*row) for row in rows]

    def version(self, concept_set_id: str, number: int, dropped_shown: int = SHOWN_DROPPED) -> VersionSummary:
        """One version; raises `NotFound` when the set has none of this number."""
        return VersionSummary(*self._one(concept_set_id, number, *_summary(dropped_shown)))

    def phrases(self, concept_set_id: str, number: int, *, first: int = 0, count: int = ALL) -> list[Any]:
        """`count` phrases of a version as [text, group], from index `first` on."""
        return self._one(concept_set_id, number, _part(ConceptSetVersion.phrases, first, count))[0]

    def dropped(self, concept_set_id: str, number: int, *, first: int, count: int) -> list[Json]:
        """`count` dropped phrases of a version, from index `first` on."""
        return self._one(concept_set_id, number, _part(ConceptSetVersion.dropped, first, count))[0]

    def add_version(self, version: ConceptSetVersion) -> None:
        """Add a version of one of this owner's sets, and flush."""
        self.session.add(version)
        self.session.flush()

    def _one(self, concept_set_id: str, number: int, *columns: Any) -> Row[*tuple[Any, ...]]:
        concept_set = self.get(concept_set_id)
        wanted = (ConceptSet.id == concept_set.id, ConceptSetVersion.number == number)
        row = self.session.execute(self._versions(*columns).where(*wanted)).one_or_none()
        if row is None:
            raise no_such_version(concept_set_id, number)
        return row

    def _versions(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """Columns of the versions of this owner's sets, without deleted ones."""
        owned = (ConceptSet.owner_id == self.owner_id, ConceptSet.deleted_at.is_(None))
        return select(*columns).join(ConceptSet, ConceptSet.id == ConceptSetVersion.concept_set_id).where(*owned)


def no_such_version(concept_set_id: str, number: int) -> NotFound:
    """The error for a version number that does not exist."""
    return NotFound(f"Concept set {concept_set_id} has no version {number}.")


def _summary(dropped_shown: int) -> tuple[Any, ...]:
    """The columns of a `VersionSummary`, in its order."""
    version = ConceptSetVersion
    return (
        *(version.concept_set_id, version.number, version.state, version.error),
        *(func.jsonb_array_length(version.phrases), func.jsonb_array_length(version.dropped), _part(version.dropped, 0, dropped_shown)),
        *(version.digest, version.vlm_id, version.dataset_id, version.created_at, version.checked_at),
    )


def _part(column: Any, first: int, count: int) -> ColumnElement[Any]:
    """`count` entries of an array from index `first` on; fewer where it ends before."""
    last = min(first + count, ALL) - 1
    return func.jsonb_path_query_array(column, cast(f"$[{min(first, ALL)} to {last}]", JSONPATH), type_=JSONB)
