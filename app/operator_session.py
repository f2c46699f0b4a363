"""Database session of the administration commands (`python -m app.api_keys`, `python -m app.quotas`)."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from app.db.session import is_outage, make_engine, make_session_factory
from app.settings import Settings


@contextmanager
def operator_session(settings: Settings) -> Generator[Session]:
    """One transaction, committed at the end; without a reachable, migrated database the program exits with a message and status 1."""
    engine = make_engine(settings)
    try:
        with make_session_factory(engine).begin() as session:
            yield session
    except ProgrammingError as error:
        sys.exit(f"The database schema does not match this version ({error.orig}); run python -m alembic upgrade head.")
    except DBAPIError as error:
        if not is_outage(error):
            raise
        url = engine.url.render_as_string(hide_password=True)
        sys.exit(f"The database {url} does not answer; set IIS_DATABASE_URL to the database of the service.")
    finally:
        engine.dispose()
