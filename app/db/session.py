"""Engine and sessions of API and worker, and classification of database errors. app.http.dependencies has the session of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings

SessionFactory = sessionmaker[Session]

# SQLSTATE classes: connection, insufficient resources, operator intervention, system error, transaction rollback;
# timeouts of an idle transaction and of a lock.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
OUTAGE_CLASSES = ("08", "53", "57", "58", "40", "25P03", "55P03")
LOCK_TIMEOUT_MILLISECONDS = 10_000
IDLE_TIMEOUT_MILLISECONDS = 60_000
# A server that vanished is noticed within 30 s. https://www.postgresql.org/docs/current/libpq-connect.html
TCP_TIMEOUTS = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}


def psycopg_url(database_url: str) -> URL:
    """Parse a `postgresql://…` or `postgres://…` URL and select the psycopg driver."""
    url = make_url(database_url.replace("postgres://", "postgresql://", 1))
    return url.set(drivername="postgresql+psycopg")


def make_engine(settings: Settings, *, connections: int = 0, bounded: bool = False) -> Engine:
    """Engine that connects on first use, tests pooled connections before use and has short timeouts.

    Parameters
    ----------
    connections : connections at once at least, where the settings allow fewer
    bounded : whether statements, locks and idle transactions have the timeouts of the API; a worker's may last
    """
    timeouts = {
        "statement_timeout": round(1000 * settings.database_statement_timeout_seconds),
        "lock_timeout": LOCK_TIMEOUT_MILLISECONDS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MILLISECONDS,
    }
    arguments: dict[str, Any] = {"connect_timeout": settings.database_connect_timeout_seconds, **TCP_TIMEOUTS}
    if bounded:
        arguments["options"] = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in timeouts.items())
    engine = create_engine(
        psycopg_url(settings.database_url),
        pool_pre_ping=True,
        hide_parameters=True,  # keep request data out of logged error messages
        pool_size=settings.database_pool_size,
        max_overflow=max(settings.database_pool_overflow, connections - settings.database_pool_size),
        pool_timeout=settings.database_connect_timeout_seconds,
        connect_args=arguments,
    )
    event.listen(engine, "handle_error", _without_detail)
    return engine


def let_idle(session: Session) -> None:
    """Lift the timeout of idle transactions for this one, which holds a lock while it waits for storage."""
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _without_detail(context: ExceptionContext) -> None:
    """Reduce an error to PostgreSQL's primary message: the detail can quote rows with request data."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and (primary := error.diag.message_primary) is not None:
        if wrapped is not None:
            wrapped.args = tuple(str(argument).replace(str(error), primary) for argument in wrapped.args)
        error.args = (primary,)


def make_session_factory(engine: Engine) -> SessionFactory:
    """Sessions whose rows stay readable after commit, so that responses need no further query."""
    return sessionmaker(engine, expire_on_commit=False)


def is_outage(error: BaseException) -> bool:
    """Whether the database is unavailable or overloaded, so that the same statement may succeed later.

    Parameters
    ----------
    error : exception of SQLAlchemy or psycopg, or a ConnectionError; others are not outages
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_outage(error.orig))
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate.startswith(OUTAGE_CLASSES)
    # Without an SQLSTATE the error is the client's: psycopg raises the first two when there is no connection.
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, ConnectionError))


def after_commit(session: Session, action: Callable[[], Any]) -> None:
    """Run `action` after the session's current transaction commits; discard it on rollback."""

    def committed(_: Session) -> None:
        event.remove(session, "after_rollback", rolled_back)
        action()

    def rolled_back(_: Session) -> None:
        event.remove(session, "after_commit", committed)

    event.listen(session, "after_commit", committed, once=True)
    event.listen(session, "after_rollback", rolled_back, once=True)
