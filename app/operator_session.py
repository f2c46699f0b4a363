"""What the commands of whoever operates the service share (`python -m app.api_keys`, `python -m app.quotas`)."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from app.db.session import is_outage, make_engine, make_session_factory
from app.settings import Settings


@contextmanager
def operators_session(settings: Settings) -> Generator[Session]:
    """One transaction, committed at the end; a database that is away or empty ends the program with a sentence and status 1."""
    engine = make_engine(settings)
    try:
        with make_session_factory(engine).begin() as session:
            yield session
    except ProgrammingError as error:
        sys.exit(f"This database is not set up for this version ({error.orig}); python -m alembic upgrade head does that.")
    except DBAPIError as error:
        if not is_outage(error):
            raise
        url = engine.url.render_as_string(hide_password=True)
        sys.exit(f"The database {url} does not answer; set IIS_DATABASE_URL to that of the service.")
    finally:
        engine.dispose()
