"""Filter, sort and cut lists: one page after a cursor that holds the sorted value, so that pages stay in order while rows change."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, func, literal, literal_column, or_

from app.db.descriptions import DescriptionFilters, name_order
from app.errors import InvalidInput

NEWEST_FIRST = "-created_at"


@dataclass(frozen=True)
class SortKey:
    """A value by which rows are sorted, ids second.

    Parameters
    ----------
    column : its SQL; never null
    bound : from a cursor's value to SQL that `column` is compared with
    of_row : the value of a row, which JSON can hold
    type_ : of the value in a cursor
    """

    column: ColumnElement[Any]
    bound: Callable[[Any], ColumnElement[Any]]
    of_row: Callable[[Any], str | float]
    type_: type[str] | type[float]


@dataclass(frozen=True)
class ListQuery:
    """One page of a list.

    Parameters
    ----------
    sort : `created_at` or the name of a sort key; with `-` in front, descending
    after : cursor of the last item of the previous page
    """

    limit: int
    after: str | None = None
    sort: str = NEWEST_FIRST
    filters: DescriptionFilters = field(default_factory=DescriptionFilters)

    @property
    def descends(self) -> bool:
        return self.sort.startswith("-")


def by_name(table: type[Any]) -> SortKey:
    """Sort by name without regard to case; rows without a name come first."""
    return SortKey(
        literal_column(name_order(table.__tablename__), Text), lambda name: func.lower(literal(name)), lambda row: row.name or "", str
    )


def cut(statement: Select[Any], table: type[Any], query: ListQuery, keys: Mapping[str, SortKey]) -> Select[Any]:
    """The rows of one page, and one more, which shows whether there is a next page.

    Raises
    ------
    InvalidInput
        When the cursor is not one of a list with this order.
    """
    statement = statement.where(*query.filters.conditions(table))
    key = keys.get(query.sort.removeprefix("-"))
    if key is None:
        columns: list[Any] = [table.id]
        if query.after is not None:
            statement = statement.where(table.id < query.after if query.descends else table.id > query.after)
    else:
        columns = [key.column, table.id]
        if query.after is not None:
            value, row_id = _read_cursor(query.after, key)
            bound = key.bound(value)
            if query.descends:
                beyond = or_(key.column < bound, and_(key.column == bound, table.id < row_id))
                statement = statement.where(key.column <= bound, beyond)
            else:
                beyond = or_(key.column > bound, and_(key.column == bound, table.id > row_id))
                statement = statement.where(key.column >= bound, beyond)
    order = [column.desc() if query.descends else column.asc() for column in columns]
    return statement.order_by(*order).limit(query.limit + 1)


def cursors(rows: Sequence[Any], query: ListQuery, keys: Mapping[str, SortKey]) -> list[str]:
    """Cursor of each row."""
    key = keys.get(query.sort.removeprefix("-"))
    return [row.id if key is None else _write_cursor(key.of_row(row), row.id) for row in rows]


def _write_cursor(value: str | float, row_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, row_id], ensure_ascii=False).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, key: SortKey) -> tuple[str | float, str]:
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        value, row_id = None, None
    if not isinstance(value, key.type_) or not isinstance(row_id, str) or "\0" in f"{value}{row_id}":
        raise InvalidInput("after is the cursor of a page of a list in the same order; leave it out for the first page.", param="after")
    return value, row_id
