"""Refuse a connection pooler that shares server connections between transactions, such as PgBouncer with pool_mode = transaction.

The API waits by LISTEN, timeouts are settings of the session, and migrations hold an advisory lock of the session. In that mode each of
these would silently act on a connection that serves others next.
"""

from __future__ import annotations

from typing import Any

import psycopg

from app.db.session import TCP_TIMEOUTS, psycopg_url
from app.settings import Settings

LOOKS = 5  # at the processes that serve two connections; other clients of the pooler can take turns with them


class TransactionPoolingError(Exception):
    """The database URL leads to a pooler that shares server connections between transactions."""


def refuse_transaction_pooling(settings: Settings) -> None:
    """Raise a TransactionPoolingError if two open connections are served by the same process of PostgreSQL.

    A database that cannot be reached is not refused, since programs start without it and report that themselves.
    """
    url = psycopg_url(settings.database_url)
    arguments: dict[str, Any] = {**url.translate_connect_args(username="user", database="dbname"), **url.query, **TCP_TIMEOUTS}
    arguments["connect_timeout"] = settings.database_connect_timeout_seconds
    try:
        with psycopg.connect(**arguments, autocommit=True) as one:
            if _server_process(one) == one.info.backend_pid:  # a pooler hands out process numbers of its own
                return
            with psycopg.connect(**arguments, autocommit=True) as other:
                shared = any(_server_process(one) == _server_process(other) for _ in range(LOOKS))
    except psycopg.OperationalError:
        return
    if shared:
        raise TransactionPoolingError(
            "IIS_DATABASE_URL leads to a connection pooler that shares server connections between transactions, such as PgBouncer with "
            "pool_mode = transaction. LISTEN, the timeouts of sessions and advisory locks do not work through it; connect to PostgreSQL "
            "itself, since each process has its own pool, or set pool_mode = session."
        )


def _server_process(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    return 0 if row is None else int(row[0])
