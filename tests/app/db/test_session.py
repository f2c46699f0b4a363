"""Classification of database errors: outages and errors of the statement."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.session import is_outage, psycopg_url
from app.local.servers import free_port


@pytest.mark.parametrize(
    ("sqlstate", "outage"),
    [
        ("08006", True),  # connection_failure
        ("25P03", True),  # idle_in_transaction_session_timeout
        ("40P01", True),  # deadlock_detected
        ("53300", True),  # too_many_connections
        ("57P01", True),  # admin_shutdown
        ("58030", True),  # io_error
        ("22021", False),  # character_not_in_repertoire
        ("23505", False),  # unique_violation
        ("42P01", False),  # undefined_table
        ("54000", False),  # program_limit_exceeded
        ("55P03", True),  # lock_not_available: after lock_timeout
    ],
)
def test_the_sqlstate_decides_whether_an_error_is_an_outage(sqlstate: str, outage: bool) -> None:
    refused = errors.lookup(sqlstate)("refused")
    assert is_outage(refused) is outage
    assert is_outage(OperationalError("select 1", {}, refused)) is outage


def test_an_unreachable_server_is_an_outage() -> None:
    engine = create_engine(psycopg_url(f"postgresql://iis@127.0.0.1:{free_port()}/iis"))
    with pytest.raises(OperationalError) as lost:
        engine.connect()
    assert is_outage(lost.value)


def test_a_lost_connection_is_an_outage() -> None:
    assert is_outage(DBAPIError("select 1", {}, errors.UniqueViolation("refused"), connection_invalidated=True))
    assert is_outage(psycopg.OperationalError("the connection is closed"))
    assert is_outage(InterfaceError("select 1", {}, psycopg.InterfaceError("the cursor is closed")))
    assert is_outage(PoolTimeout("no connection became free"))
    assert is_outage(ConnectionResetError())


def test_a_programming_error_is_not_an_outage() -> None:
    assert not is_outage(ProgrammingError("select %s", {}, psycopg.ProgrammingError("cannot adapt type")))
    assert not is_outage(TimeoutError())
    assert not is_outage(ValueError())
