"""Refusal of poolers that share server connections between transactions."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from app.db.pooler_check import TransactionPoolingError, refuse_transaction_pooling
from app.db.session import psycopg_url
from app.local.servers import EmbeddedPostgres, free_port
from app.settings import Settings
from support.servers import WaitUntil

if TYPE_CHECKING:
    from support.servers import ServerProcess

PGBOUNCER = shutil.which("pgbouncer")


def test_postgresql_itself_is_accepted(settings: Settings) -> None:
    refuse_transaction_pooling(settings)


def test_a_database_that_cannot_be_reached_is_not_refused(settings: Settings) -> None:
    nowhere = f"postgresql+psycopg://iis@127.0.0.1:{free_port()}/iis"
    refuse_transaction_pooling(settings.model_copy(update={"database_url": nowhere}))


@pytest.mark.skipif(PGBOUNCER is None, reason="OPTIONAL: pgbouncer is not installed")
def test_pgbouncer_is_refused_in_transaction_mode_and_accepted_in_session_mode(
    postgres_server: ServerProcess, settings: Settings, tmp_path: Path, wait_until: WaitUntil
) -> None:
    server = postgres_server.server
    assert isinstance(server, EmbeddedPostgres)
    url = psycopg_url(settings.database_url)
    socket_folder = url.query["host"]
    for mode in ("transaction", "session"):
        with _pgbouncer(f"host={socket_folder} user={url.username} dbname={url.database}", mode, tmp_path, server) as address:
            through = settings.model_copy(update={"database_url": f"postgresql+psycopg://postgres@{address}/pooled"})
            wait_until(lambda through=through: _answers(through), 20, "PgBouncer")
            if mode == "session":
                refuse_transaction_pooling(through)
            else:
                with pytest.raises(TransactionPoolingError, match="pool_mode = session"):
                    refuse_transaction_pooling(through)


def _answers(settings: Settings) -> bool:
    try:
        psycopg.connect(settings.database_url.replace("+psycopg", "")).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def _pgbouncer(target: str, mode: str, folder: Path, server: EmbeddedPostgres) -> Generator[str]:
    assert PGBOUNCER is not None
    port = free_port()
    options = {"listen_addr": "127.0.0.1", "listen_port": port, "auth_type": "any", "pool_mode": mode, "unix_socket_dir": ""}
    lines = ["[databases]", f"pooled = {target}", "[pgbouncer]", *(f"{name} = {value}" for name, value in options.items())]
    configuration = folder / f"{mode}.ini"
    configuration.write_text("\n".join(lines))
    user, group, groups = (server.identity.get(name) for name in ("user", "group", "extra_groups"))  # that may use the socket; not root
    with (folder / f"{mode}.log").open("wb") as log, configuration.open("rb") as given:
        command = [PGBOUNCER, f"/proc/self/fd/{given.fileno()}"]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, pass_fds=[given.fileno()], cwd="/", user=user, group=group, extra_groups=groups
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)
