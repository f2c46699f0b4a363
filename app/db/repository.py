"""The base of every repository over rows with an owner: no query leaves it without the owner's filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from app.db.models import Base
from app.errors import NotFound

Row = TypeVar("Row", bound=Base)


class OwnedRepository(Generic[Row]):
    """Rows of one table that belong to one owner; subclasses name the table and the word people know it by.

    A row of another owner is as absent as one that never was: both raise `NotFound`.
    """

    table: ClassVar[type[Any]]
    noun: ClassVar[str]

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def owned(self) -> Select[Row]:
        """The rows of this owner; every statement starts here."""
        return select(self.table).where(self.table.owner_id == self.owner_id)

    def get(self, row_id: str, *, for_update: bool = False) -> Row:
        """One row by its identifier, locked until the end of the transaction when it is about to change."""
        return self._found(row_id, _locked(self.owned()) if for_update else self.owned())

    def hold(self, row_id: str) -> Row:
        """One row that something new is to refer to: until the end of the transaction it is not deleted, and others may hold it too.

        Holds never wait for each other, so it does not matter in which order rows are held.
        """
        return self._found(row_id, _locked(self.owned(), shared=True))

    def _found(self, row_id: str, rows: Select[Row]) -> Row:
        statement = rows.where(self.table.id == row_id)
        row = self.session.scalar(statement) if "\0" not in row_id else None  # PostgreSQL has no text with a NUL in it
        if row is None:
            raise NotFound(f"There is no {self.noun} {row_id}.")
        return row

    def list(self, *conditions: ColumnElement[bool], after: str | None = None, limit: int = 20) -> Sequence[Row]:
        """Newest first, from behind `after`; one row more than `limit`, by which `pagination.page` knows that there are more."""
        statement = self.owned().where(*conditions)
        if after is not None:
            statement = statement.where(self.table.id < after)
        return self.session.scalars(statement.order_by(self.table.id.desc()).limit(limit + 1)).all()

    def add(self, row: Row) -> Row:
        """Add a row of this owner and send it to the database."""
        self.session.add(row)
        self.session.flush()
        return row


def _locked(rows: Select[Row], *, shared: bool = False) -> Select[Row]:
    """The rows as they are once whoever changes them now has committed."""
    return rows.with_for_update(read=shared).execution_options(populate_existing=True)
