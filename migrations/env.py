"""Alembic environment: run all migrations in one transaction, under an advisory lock."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from app.db.models import Base
from app.db.session import psycopg_url
from app.settings import get_settings

LOCK_KEY = 7_346_118_001  # arbitrary; makes processes that migrate at the same time wait for each other


def _migrate_online() -> None:
    url = context.config.attributes.get("database_url") or get_settings().database_url
    engine = create_engine(psycopg_url(url))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
            context.run_migrations()
    finally:
        engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: set IIS_DATABASE_URL and leave --sql out.")
_migrate_online()
