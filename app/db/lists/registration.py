"""Registration of content: one row for the same content with the same settings."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from app.db.models import Upload


def lock_registration(session: Session, owner_id: str) -> None:
    """Lock an owner's registrations of models and data sets until the commit, so that equal requests do not both add a row."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"registrations {owner_id}", 0))))


def has_content_of(column: Any, upload_id: str | None, owner_id: str) -> ColumnElement[bool]:
    """SQL condition: whether a column names an upload with the content of `upload_id`, or none as well."""
    if upload_id is None:
        return column.is_(None)
    named = aliased(Upload)
    content = select(named.sha256).where(named.id == upload_id, named.owner_id == owner_id).scalar_subquery()
    return column.in_(select(Upload.id).where(Upload.owner_id == owner_id, Upload.sha256 == content))


def same_settings(one: object, other: object) -> bool:
    """Whether two JSON values are equal; 1, 1.0 and true differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
