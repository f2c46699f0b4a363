"""The one kind of database session, for API and worker alike. The API's per-request session is `SessionDep` in app.http.dependencies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings

SessionFactory = sessionmaker[Session]

# Connection, resources, operator, system, a transaction that had to give way to another, and one that the server took for forgotten.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
OUTAGE_CLASSES = ("08", "53", "57", "58", "40", "25P03")


def psycopg_url(database_url: str) -> URL:
    """`postgresql://…` and `postgres://…` as people write them, with the driver that is installed."""
    url = make_url(database_url.replace("postgres://", "postgresql://", 1))
    return url.set(drivername="postgresql+psycopg")


def make_engine(settings: Settings) -> Engine:
    """An engine that connects on first use, checks each pooled connection before lending it and gives up quickly."""
    engine = create_engine(
        psycopg_url(settings.database_url),
        pool_pre_ping=True,
        hide_parameters=True,  # error messages go to the log; what a person sent does not
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=settings.database_connect_timeout_seconds,
        connect_args={"connect_timeout": settings.database_connect_timeout_seconds},
    )
    event.listen(engine, "handle_error", _without_detail)
    return engine


def _without_detail(context: ExceptionContext) -> None:
    """Leave of an error what the server calls its primary message: the detail may quote a row, with what a person sent in it."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and (primary := error.diag.message_primary) is not None:
        if wrapped is not None:
            wrapped.args = tuple(str(argument).replace(str(error), primary) for argument in wrapped.args)
        error.args = (primary,)


def make_session_factory(engine: Engine) -> SessionFactory:
    """Sessions whose rows stay readable after the commit, so that a response is built without another query."""
    return sessionmaker(engine, expire_on_commit=False)


def is_outage(error: BaseException) -> bool:
    """Whether the database is away or too busy, so that the same statement may succeed later.

    Parameters
    ----------
    error : what SQLAlchemy or psycopg raised, or a bare connection error; everything else is no outage
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_outage(error.orig))
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate.startswith(OUTAGE_CLASSES)
    # Without an SQLSTATE it was not the server that refused: these two are what psycopg raises when there is no connection.
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, ConnectionError))


def after_commit(session: Session, action: Callable[[], Any]) -> None:
    """Run `action` once the session's present transaction is committed; a rollback drops it."""

    def committed(_: Session) -> None:
        event.remove(session, "after_rollback", rolled_back)
        action()

    def rolled_back(_: Session) -> None:
        event.remove(session, "after_commit", committed)

    event.listen(session, "after_commit", committed, once=True)
    event.listen(session, "after_rollback", rolled_back, once=True)
