"""Command line of the embedded stack: `python -m app.local up` starts servers, API and worker as processes."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from app.api_keys.repository import any_owner
from app.api_keys.service import create_key, ensure_first_key
from app.db.migrate import upgrade
from app.db.session import make_engine, make_session_factory
from app.local.servers import LOOPBACK, EmbeddedPostgres, EmbeddedRedis, EmbeddedServerError, free_port
from app.local.supervisor import Program, SupervisionError, Supervisor
from app.logging import configure_logging
from app.settings import Settings, get_settings

CODE_FOLDER = Path(__file__).parents[2]
DATABASE = "iis"
METRICS_PORT = "IIS_WORKER_METRICS_PORT"  # of the first worker; the others take the next ones
HEALTH_TIMEOUT_SECONDS = 5
GRACEFUL_SHUTDOWN_SECONDS = 5
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach loopback


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.local", description="Run the whole service on this machine for one user.")
    up = parser.add_subparsers(dest="action", required=True).add_parser("up", help="start all processes and run until Ctrl-C")
    up.add_argument("--data-folder", type=Path, default=Path(".iis"), help="folder for databases, artifacts, logs and keys")
    up.add_argument("--port", type=int, default=8000, help="port of the API on 127.0.0.1; 0 for a free port")
    up.add_argument("--workers", type=int, default=1, help="worker processes; idle ones compute tasks of the others' jobs")
    up.add_argument("--worker-concurrency", type=int, default=1, help="jobs that a worker runs at the same time")
    up.add_argument("--ready-file", type=Path, default=None, help="JSON file (url, api_key_file, pid) written when the service is ready")
    options = parser.parse_args(arguments)
    configure_logging("warning")
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    folder = options.data_folder.absolute()
    try:
        with _exclusive(folder):
            workers = Workers(options.workers, options.worker_concurrency)
            return _up(folder, options.port or free_port(), workers, options.ready_file, stop)
    except (SupervisionError, EmbeddedServerError) as error:
        print(f"The embedded stack stopped: {error}", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class Workers:
    """Worker processes to start.

    Attributes
    ----------
    concurrency : jobs that each runs at the same time, every one in a compute process of its own
    """

    count: int
    concurrency: int

    def threads(self, cores: int) -> int:
        """Threads of each compute process, so that all together have one per core."""
        return max(1, cores // (self.count * self.concurrency))


def _up(folder: Path, port: int, workers: Workers, ready_file: Path | None, stop: threading.Event) -> int:
    supervisor = Supervisor(folder, stop.is_set)
    supervisor.end_leftovers()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    try:
        environment = _start_servers(supervisor, folder, os.environ)
        settings = _settings(environment)
        upgrade(settings.database_url)
        key_file = _first_key(settings, folder)
        url = f"http://{LOOPBACK}:{port}"
        supervisor.start(_api(port, environment))
        for number in range(workers.count):
            supervisor.start(worker_program(number, workers, environment))
        if not stop.is_set():
            if ready_file is not None:
                _write_private(ready_file, json.dumps({"url": url, "api_key_file": str(key_file), "pid": os.getpid()}))
            page = f"Web page: {url}/ (sign in with this key)"
            print(f"The service answers on {url}\nAPI key: {key_file}\n{page}\nLogs: {folder / 'logs'}\nPress Ctrl-C to stop.", flush=True)
        supervisor.keep_alive()
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        supervisor.stop()
    return 0


def _start_servers(supervisor: Supervisor, folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Start PostgreSQL and Redis unless the environment has their URLs; returns the environment of API and worker."""
    environment = dict(given) | {"PYTHONPATH": os.pathsep.join(filter(None, (str(CODE_FOLDER), given.get("PYTHONPATH"))))}
    environment["IIS_DATA_FOLDER"] = str(folder)
    environment.setdefault("IIS_API_KEY_SECRET", _secret(folder / "api-key-secret"))
    if not environment.get("IIS_DATABASE_URL"):
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.prepare()
        _delete_stale_lock(postgres)
        supervisor.start(
            Program("postgres", postgres.command, given, postgres.answers, signal.SIGINT, identity=postgres.identity, folder=Path("/"))
        )
        postgres.ensure_database(DATABASE)
        environment["IIS_DATABASE_URL"] = postgres.url(DATABASE)
    if not environment.get("IIS_REDIS_URL"):
        redis = EmbeddedRedis(folder / "redis")
        redis.prepare()
        supervisor.start(Program("redis", redis.command, given, redis.answers))
        environment["IIS_REDIS_URL"] = redis.url
    return environment


def _api(port: int, environment: Mapping[str, str]) -> Program:
    arguments = ["--host", LOOPBACK, "--port", str(port), "--graceful-shutdown-seconds", str(GRACEFUL_SHUTDOWN_SECONDS)]
    command_line = [sys.executable, "-m", "app", *arguments]
    return Program("api", command_line, environment, lambda: _is_ready(port), folder=CODE_FOLDER)


def worker_program(number: int, workers: Workers, given: Mapping[str, str]) -> Program:
    """The worker of this number, from 0."""
    arguments = ["--pool", "threads", "--concurrency", str(workers.concurrency)]
    arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    environment, name = dict(given), "worker" if number == 0 else f"worker-{number + 1}"
    if workers.count * workers.concurrency > 1:
        environment.setdefault("OMP_NUM_THREADS", str(workers.threads(os.cpu_count() or 1)))
    if port := environment.get(METRICS_PORT):
        environment[METRICS_PORT] = str(int(port) + number)
    return Program(name, [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", *arguments], environment, folder=CODE_FOLDER)


def _is_ready(port: int) -> bool:
    try:
        with _WITHOUT_PROXY.open(f"http://{LOOPBACK}:{port}/v1/health/ready", timeout=HEALTH_TIMEOUT_SECONDS) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _settings(environment: Mapping[str, str]) -> Settings:
    """Settings that API and worker will read from this environment."""
    os.environ.update(environment)
    get_settings.cache_clear()
    return get_settings()


def _first_key(settings: Settings, folder: Path) -> Path:
    """File with the API key of this user; creates another key if the file is missing."""
    path = folder / "api-key"
    engine = make_engine(settings)
    try:
        with make_session_factory(engine)() as session:
            secret = ensure_first_key(session, settings)
            owner = any_owner(session)
            if secret is None and owner is not None and not path.exists():
                _, secret = create_key(session, owner.id, "local key", settings)
                session.commit()
    finally:
        engine.dispose()
    if secret is not None:
        _write_private(path, secret)
    return path


def _secret(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write_private(path: Path, content: str) -> None:
    """Write a file readable by this user only, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)


def _delete_stale_lock(postgres: EmbeddedPostgres) -> None:
    """Delete the lock file of a killed server. PostgreSQL does not start if another process has its pid by now."""
    lock = postgres.data_folder / "postmaster.pid"
    if not lock.exists():
        return
    pid = int(lock.read_text().split(maxsplit=1)[0])
    try:
        command_line = psutil.Process(pid).cmdline()
    except psutil.Error:
        command_line = []
    if str(postgres.data_folder) not in command_line:
        lock.unlink()


@contextmanager
def _exclusive(folder: Path) -> Generator[None]:
    """Lock the data folder, so that one stack uses it at a time; the kernel releases the lock when the process ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SupervisionError(f"another stack is running in {folder}.") from error
        yield


if __name__ == "__main__":
    sys.exit(main())
