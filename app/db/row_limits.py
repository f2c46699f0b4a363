"""Bounds of the rows that an owner keeps where no quota counts them. Each is far above use, so that no owner fills the database."""

from __future__ import annotations

from sqlalchemy import Select, func, literal, select
from sqlalchemy.orm import Session

from app.db.models import ConceptSet, ConceptSetVersion, IdempotencyRecord, Study, StudyCell, Upload
from app.errors import QuotaExceeded

UPLOADS_MAX = 100_000
CONCEPT_SET_VERSIONS_MAX = 2_000  # each has up to 20,000 phrases
STUDIES_MAX = 10_000
STUDY_CELLS_MAX = 1_000_000
IDEMPOTENCY_KEYS_MAX = 250_000  # within the time for which they are kept
RETRY_AFTER_SECONDS = 3600


def require_room_for_uploads(session: Session, owner_id: str) -> None:
    """Refuse another upload beyond the bound.

    Raises
    ------
    QuotaExceeded
    """
    uploads = select(literal(1)).where(Upload.owner_id == owner_id)
    _require(session, uploads, UPLOADS_MAX, "uploads; those that nothing uses expire, or delete some")


def require_room_for_concept_sets(session: Session, owner_id: str) -> None:
    """Refuse another version of a concept set beyond the bound.

    Raises
    ------
    QuotaExceeded
    """
    versions = (
        select(literal(1))
        .select_from(ConceptSetVersion)
        .join(ConceptSet, ConceptSet.id == ConceptSetVersion.concept_set_id)
        .where(ConceptSet.owner_id == owner_id)
    )
    _require(
        session, versions, CONCEPT_SET_VERSIONS_MAX, "versions of concept sets, and those of deleted sets count until they are removed"
    )


def require_room_for_studies(session: Session, owner_id: str) -> None:
    """Refuse another study beyond the bound.

    Raises
    ------
    QuotaExceeded
    """
    _require(session, select(literal(1)).where(Study.owner_id == owner_id), STUDIES_MAX, "studies; delete some")


def require_room_for_cells(session: Session, owner_id: str, cells: int) -> None:
    """Refuse so many more cells of studies beyond the bound.

    Raises
    ------
    QuotaExceeded
    """
    kept = select(literal(1)).select_from(StudyCell).join(Study, Study.id == StudyCell.study_id).where(Study.owner_id == owner_id)
    _require(session, kept, STUDY_CELLS_MAX, "cells of studies; delete studies that you do not need", more=cells)


def require_room_for_idempotency_keys(session: Session, owner_id: str) -> None:
    """Refuse another kept answer beyond the bound.

    Raises
    ------
    QuotaExceeded
    """
    kept = select(literal(1)).where(IdempotencyRecord.owner_id == owner_id)
    _require(session, kept, IDEMPOTENCY_KEYS_MAX, "answers kept for Idempotency-Keys; send fewer POSTs with one")


def _require(session: Session, rows: Select[int], rows_max: int, what: str, *, more: int = 1) -> None:
    count = session.scalar(select(func.count()).select_from(rows.limit(rows_max + 1).subquery())) or 0
    if count + more > rows_max:
        raise QuotaExceeded(
            f"You have {count:,} {what}. At most {rows_max:,} are kept for an owner.", retry_after_seconds=RETRY_AFTER_SECONDS
        )
