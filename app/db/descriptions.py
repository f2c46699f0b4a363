"""Columns of notes, tags and metadata, and the conditions of lists that filter by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Index, Text, cast, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Json

# In the words of the partial indexes ix_jobs_tags and ix_jobs_user_metadata, without which PostgreSQL does not use them.
HAS_TAGS = "tags <> '{}'::text[]"
HAS_METADATA = "user_metadata <> '{}'::jsonb"


class Described:
    """Columns of a table whose rows their owner describes; each table has its own `name`."""

    notes: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default=text("'{}'"))
    user_metadata: Mapped[Json] = mapped_column(default=dict, server_default=text("'{}'"))  # `metadata` of the API; text by key


def name_order(table: str) -> str:
    """SQL that lists are sorted by: the name without regard to case; empty without a name."""
    return f"lower(COALESCE({table}.name, ''::text))"


def name_index(table: str) -> Index:
    """Index of the lists that are sorted by `name_order`."""
    return Index(f"ix_{table}_owner_id_name", "owner_id", text("lower(COALESCE(name, ''::text))"), "id")


def has_part(name: Any, part: str) -> ColumnElement[bool]:
    """SQL condition: a name contains `part`, in any case."""
    return name.icontains(part, autoescape=True)


@dataclass(frozen=True)
class DescriptionFilters:
    """Filters of a list; a row must match all of them."""

    tags: Sequence[str] = ()
    metadata: Sequence[tuple[str, str]] = ()
    name_contains: str | None = None

    def conditions(self, table: type[Any]) -> list[ColumnElement[bool]]:
        """SQL conditions on a described table."""
        found: list[ColumnElement[bool]] = []
        if self.tags:
            found += [table.tags.contains(cast(list(self.tags), ARRAY(Text))), literal_column(HAS_TAGS)]
        if self.metadata:
            pairs = (cast({key: value}, JSONB) for key, value in self.metadata)
            found += [*(table.user_metadata.contains(pair) for pair in pairs), literal_column(HAS_METADATA)]
        if self.name_contains is not None:
            found.append(has_part(table.name, self.name_contains))
        return found
