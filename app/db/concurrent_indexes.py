"""Indexes that migrations build and drop without blocking writes: CREATE INDEX CONCURRENTLY, outside a transaction.

Call these before the other statements of a migration, so that a migration that was interrupted can run again; where an index is on a
column that the migration adds, add the column first and only if it does not exist.
"""

from __future__ import annotations

from alembic import op


def create_index(name: str, table: str, *columns: str, where: str | None = None, method: str = "btree", options: str | None = None) -> None:
    """Build an index; one of that name that an interrupted migration left unfinished is replaced.

    Parameters
    ----------
    columns : names of columns, or expressions in parentheses
    where : condition of a partial index
    method : access method, such as gin
    options : storage parameters
    """
    storage = f" WITH ({options})" if options is not None else ""
    condition = f" WHERE {where}" if where is not None else ""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for running transactions, and blocks none
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} USING {method} ({', '.join(columns)}){storage}{condition}")
        op.execute("RESET lock_timeout")


def drop_index(name: str) -> None:
    """Drop an index, if it exists."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute("RESET lock_timeout")
