"""Migrations: they create the tables of app.db.models, can be reverted, and run once when processes start together."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import inspect

from app.db.migrate import alembic_config, downgrade, upgrade
from app.db.models import Base
from app.db.session import make_engine
from app.settings import Settings

REPOSITORY = Path(__file__).parents[3]
LAST_LOCKING = "0010"
"""The last migration that may lock `jobs` for long."""


@pytest.fixture
def empty_database(settings: Settings) -> Iterator[str]:
    """URL of a database without tables."""
    with psycopg.connect(settings.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrations_alone")
        yield settings.database_url.replace("/iis?", "/migrations_alone?")
        connection.execute("DROP DATABASE migrations_alone WITH (FORCE)")


def tables(settings: Settings, database_url: str) -> set[str]:
    engine = make_engine(settings.model_copy(update={"database_url": database_url}))
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_migrations_apply_revert_and_apply_again(settings: Settings, empty_database: str) -> None:
    upgrade(empty_database)
    assert tables(settings, empty_database) == set(Base.metadata.tables)
    downgrade(empty_database, "base")
    assert tables(settings, empty_database) == set()
    upgrade(empty_database)
    assert tables(settings, empty_database) == set(Base.metadata.tables)


def test_models_and_migrations_agree(empty_database: str) -> None:
    upgrade(empty_database)
    command.check(alembic_config(empty_database))


def test_concurrent_processes_migrate_once(settings: Settings, empty_database: str) -> None:
    def start(_: int) -> int:
        code = f"from app.db.migrate import upgrade; upgrade({empty_database!r})"
        return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(start, range(2))) == [0, 0]
    assert tables(settings, empty_database) == set(Base.metadata.tables)


def test_the_alembic_command_reads_the_database_url_from_the_environment(settings: Settings, empty_database: str) -> None:
    environment = {**os.environ, "IIS_DATABASE_URL": empty_database}
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    assert tables(settings, empty_database) == set(Base.metadata.tables)


def test_no_migration_locks_jobs_for_200_ms(empty_database: str) -> None:
    upgrade_while_jobs_change(empty_database, jobs=20_000)


@pytest.mark.slow
def test_no_migration_locks_a_million_jobs_for_200_ms(empty_database: str) -> None:
    upgrade_while_jobs_change(empty_database, jobs=1_000_000)


def test_a_migration_that_waits_for_a_lock_gives_way_and_is_tried_again(empty_database: str) -> None:
    upgrade(empty_database, "0015")
    with psycopg.connect(plain(empty_database)) as reading, ThreadPoolExecutor(1) as pool:
        reading.execute("SELECT * FROM owners")  # a transaction that the column added to `owners` waits for
        migrating = pool.submit(upgrade, empty_database)
        with psycopg.connect(plain(empty_database), autocommit=True) as other:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                began = time.monotonic()
                other.execute("SELECT * FROM owners")
                assert time.monotonic() - began < 1, "a statement waits behind the migration"
                time.sleep(0.02)
        assert not migrating.done()
        reading.rollback()
        migrating.result(60)


def plain(database_url: str) -> str:
    return database_url.replace("+psycopg", "")


def upgrade_while_jobs_change(database_url: str, jobs: int) -> None:
    """Run the migrations on so many jobs while one is changed again and again; PostgreSQL raises where it waits for a lock for 200 ms."""
    upgrade(database_url, LAST_LOCKING)
    with psycopg.connect(plain(database_url), autocommit=True) as connection:
        connection.execute("INSERT INTO owners (id, name) VALUES ('own_1', 'an owner')")
        connection.execute(
            "INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, deadline_seconds, finished_at)"
            " SELECT 'job_' || n, 'own_1', 'score', '{}', CASE WHEN n %% 2 = 0 THEN 'queued' ELSE 'succeeded' END, 0, 60, now()"
            " FROM generate_series(1, %s) n",
            (jobs,),
        )
        connection.execute("SET lock_timeout = 200")
        changes = 0
        with ThreadPoolExecutor(1) as pool:
            migrating = pool.submit(upgrade, database_url)
            while not migrating.done():
                connection.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = 'job_1'")
                changes += 1
        migrating.result()
    assert changes > 10


def test_models_of_earlier_releases_become_backbones(empty_database: str) -> None:
    upgrade(empty_database, "0002")
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("INSERT INTO owners (id, name) VALUES ('own_1', 'an owner')")
        connection.execute(
            "INSERT INTO models (id, owner_id, name, architecture, arguments, state)"
            " VALUES ('mdl_1', 'own_1', 'net', 'timm:resnet18', '{}', 'ready')"
        )
        upgrade(empty_database)
        assert connection.execute("SELECT role, text_upload_id, tokenizer FROM models").fetchall() == [("backbone", None, None)]


def test_a_downgrade_fails_models_and_jobs_that_the_earlier_release_does_not_support(empty_database: str) -> None:
    upgrade(empty_database)
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("INSERT INTO owners (id, name) VALUES ('own_1', 'an owner')")
        for model, seed in (("trained", None), ("untrained", 0)):
            connection.execute(
                "INSERT INTO models (id, owner_id, name, architecture, arguments, state, initial_seed)"
                " VALUES (%s, 'own_1', 'net', 'timm:resnet18', '{}', 'ready', %s)",
                (model, seed),
            )
        for job, kind, state, model in (
            ("tuning", "finetune", "succeeded", "trained"),
            ("waiting", "score", "queued", "untrained"),
            ("done", "score", "succeeded", "untrained"),
            ("ordinary", "score", "queued", "trained"),
        ):
            connection.execute(
                "INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, model_id, deadline_seconds)"
                " VALUES (%s, 'own_1', %s, '{}', %s, 0, %s, 60)",
                (job, kind, state, model),
            )
        downgrade(empty_database, "0005")
        upgrade(empty_database)
        states = connection.execute("SELECT id, state, error->>'code' FROM jobs ORDER BY id").fetchall()
        assert states == [("done", "succeeded", None), ("ordinary", "queued", None), ("waiting", "failed", "not_supported")]
        assert connection.execute("SELECT id, state FROM models ORDER BY id").fetchall() == [("trained", "ready"), ("untrained", "failed")]


def test_an_upgrade_gives_keys_all_scopes_and_a_downgrade_revokes_limited_keys(empty_database: str) -> None:
    upgrade(empty_database, "0008")
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("INSERT INTO owners (id, name) VALUES ('own_1', 'an owner')")
        connection.execute("INSERT INTO api_keys (id, owner_id, name, digest, hint) VALUES ('old', 'own_1', 'old', 'old', 'abcd')")
        upgrade(empty_database)
        assert connection.execute("SELECT scopes, expires_at FROM api_keys").fetchall() == [(["read", "write", "admin"], None)]
        for key, scopes, expires_at in (
            ("full", ["admin", "write", "read"], None),
            ("reader", ["read"], None),
            ("guest", ["read", "write", "admin"], "2999-01-01"),
        ):
            connection.execute(
                "INSERT INTO api_keys (id, owner_id, name, digest, hint, scopes, expires_at)"
                " VALUES (%s, 'own_1', 'key', %s, 'abcd', %s, %s)",
                (key, key, scopes, expires_at),
            )
        downgrade(empty_database, "0008")
        usable = connection.execute("SELECT id FROM api_keys WHERE revoked_at IS NULL ORDER BY id").fetchall()
        assert usable == [("full",), ("old",)]
