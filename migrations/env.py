"""Alembic environment: run each migration in a transaction of its own, one process at a time, without waiting long for a lock."""

from __future__ import annotations

import time

import psycopg
from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from app.db.models import Base
from app.db.pooler_check import refuse_transaction_pooling
from app.db.session import psycopg_url
from app.settings import get_settings

LOCK_KEY = 7_346_118_001  # arbitrary; one process migrates at a time
# Statements that come after a waiting ALTER TABLE wait behind it, so it gives up soon and is tried again.
LOCK_TIMEOUT_MILLISECONDS = 150
ATTEMPTS = 100
PAUSE_SECONDS = 0.2


def _migrate_online() -> None:
    settings = get_settings()
    url = context.config.attributes.get("database_url") or settings.database_url
    refuse_transaction_pooling(settings.model_copy(update={"database_url": url}))
    engine = create_engine(psycopg_url(url), connect_args={"options": f"-c lock_timeout={LOCK_TIMEOUT_MILLISECONDS}"})
    try:
        with engine.connect() as connection:
            _wait_for_turn(connection)
            for attempt in range(ATTEMPTS):
                try:
                    _run_missing(connection)
                    return
                except OperationalError as error:
                    connection.rollback()
                    if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or attempt == ATTEMPTS - 1:
                        raise
                    time.sleep(PAUSE_SECONDS)
    finally:
        engine.dispose()


def _wait_for_turn(connection: Connection) -> None:
    """Take the lock of migrating processes. A wait inside PostgreSQL would be a transaction that CREATE INDEX CONCURRENTLY waits for."""
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}):
        connection.rollback()
        time.sleep(PAUSE_SECONDS)
    connection.commit()


def _run_missing(connection: Connection) -> None:
    """Run the migrations that are missing; those before a failed one stay."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: set IIS_DATABASE_URL and leave --sql out.")
_migrate_online()
