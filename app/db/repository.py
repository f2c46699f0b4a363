"""Base of all repositories of rows with an owner: filters every query by owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from app.db.lists.listing import ListQuery, SortKey, cursors, cut
from app.db.models import Base
from app.errors import NotFound

Row = TypeVar("Row", bound=Base)


class OwnedRepository(Generic[Row]):
    """Rows of one table and one owner; subclasses set the table and its noun in messages.

    Rows of other owners raise `NotFound`, as missing rows do.
    """

    table: ClassVar[type[Any]]
    noun: ClassVar[str]
    sort_keys: ClassVar[Mapping[str, SortKey]] = {}
    """Values by which `listed` sorts, beside the time of creation."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def owned(self) -> Select[Row]:
        """SELECT of this owner's rows; all queries start from it."""
        return select(self.table).where(self.table.owner_id == self.owner_id)

    def get(self, row_id: str, *, for_update: bool = False) -> Row:
        """Row by its id; with `for_update`, locked until the end of the transaction."""
        return self._found(row_id, _locked(self.owned()) if for_update else self.owned())

    def hold(self, row_id: str) -> Row:
        """Row by its id with a shared lock, which prevents its deletion until the end of the transaction.

        For rows that a new row refers to.
        Shared locks do not conflict, so rows can be locked in any order.
        """
        return self._found(row_id, _locked(self.owned(), shared=True))

    def _found(self, row_id: str, rows: Select[Row]) -> Row:
        statement = rows.where(self.table.id == row_id)
        row = self.session.scalar(statement) if "\0" not in row_id else None  # PostgreSQL text cannot contain NUL
        if row is None:
            raise NotFound(f"There is no {self.noun} {row_id}.")
        return row

    def list(self, *conditions: ColumnElement[bool], after: str | None = None, limit: int = 20) -> Sequence[Row]:
        """Rows after the cursor `after`, newest first; up to `limit` + 1, so that `pagination.page` knows whether there are more."""
        statement = self.owned().where(*conditions)
        if after is not None:
            statement = statement.where(self.table.id < after)
        return self.session.scalars(statement.order_by(self.table.id.desc()).limit(limit + 1)).all()

    def listed(self, query: ListQuery, *conditions: ColumnElement[bool]) -> tuple[Sequence[Row], list[str]]:
        """Rows of one page of a list that is filtered and sorted, and one more if there is; with the cursor of each."""
        rows = self.session.scalars(cut(self.owned().where(*conditions), self.table, query, self.sort_keys)).all()
        return rows, cursors(rows, query, self.sort_keys)

    def add(self, row: Row) -> Row:
        """Insert a row of this owner."""
        self.session.add(row)
        self.session.flush()
        return row


def _locked(rows: Select[Row], *, shared: bool = False) -> Select[Row]:
    """SELECT that locks the rows and reads their state after concurrent transactions have committed."""
    return rows.with_for_update(read=shared).execution_options(populate_existing=True)
