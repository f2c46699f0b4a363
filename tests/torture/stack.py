"""The service as processes that may be killed: PostgreSQL and Redis, behind proxies or not, an API, workers, storage of a limited size."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from app.local.servers import EmbeddedPostgres, EmbeddedRedis, free_port
from app.settings import Settings, get_settings
from torture.proxies import Proxy
from worker.runtime import Runtime, open_runtime

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT_SECONDS = 60
STORAGE_BYTES = 512 << 20
API_KEY_SECRET = "a-secret-of-these-attacks-alone"
DATABASE_PASSWORD = "a-password-that-the-server-does-not-ask-for"
QUICK = {
    "IIS_LEASE_SECONDS": "6",
    "IIS_HEARTBEAT_SECONDS": "1",
    "IIS_SWEEP_SECONDS": "1",
    "IIS_CANCEL_POLL_SECONDS": "0.3",
    "IIS_RETRY_PAUSE_SECONDS": "0.5",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
# For attacks that ask faster than one key, or one address, may.
UNLIMITED = {
    "IIS_RATE_LIMIT_PER_SECOND": "0",
    "IIS_ANONYMOUS_RATE_LIMIT_PER_SECOND": "0",
    "IIS_FAILED_KEY_LIMIT_PER_SECOND": "0",
}


class Stack:
    """Started by `with`. Processes that die, by whatever hand, are started again as a supervisor would.

    Parameters
    ----------
    proxied : whether the way to PostgreSQL and Redis leads through `to_postgres` and `to_redis`, which may be cut
    traps : where armed traps lie (`torture.trapped`); None runs the programs as they are
    settings : of the service, by the names of their environment variables
    code : the checkout that all programs are of at first; change `code[name]` before one is started again
    storage_bytes : the size of the file system that storage lies on; None for that of `folder`
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        proxied: bool = False,
        traps: Path | None = None,
        settings: Mapping[str, str] | None = None,
        storage_bytes: int | None = STORAGE_BYTES,
        code: Path = REPOSITORY,
    ) -> None:
        self.folder = folder
        self.traps = traps
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.redis = EmbeddedRedis(folder / "redis")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.storage = folder / "storage"
        self.limited_storage = False
        self._storage_bytes = storage_bytes
        self.supervised = False
        self._worker_names = [f"worker-{number}" for number in range(workers)]
        self._proxied = proxied
        self._given = dict(settings or {})
        self.code = dict.fromkeys(self.programs, code)
        self._schema = code
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Stack:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._limit_storage()
        self.start_postgres()
        self.start_redis()
        self.postgres.ensure_database("iis")
        self.to_postgres = Proxy(str(self.postgres.socket_folder / ".s.PGSQL.5432"))
        self.to_redis = Proxy(("127.0.0.1", self.redis.port))
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("IIS_")} | {
            "IIS_DATABASE_URL": self.postgres.url("iis").replace("postgres@", f"postgres:{DATABASE_PASSWORD}@"),
            "IIS_REDIS_URL": self.redis.url,
            "IIS_STORAGE_URL": self.storage.as_uri(),
            "IIS_API_KEY_SECRET": API_KEY_SECRET,
            **QUICK,
            **self._given,
        }
        if self._proxied:
            self._environment["IIS_DATABASE_URL"] = (
                f"postgresql+psycopg://postgres:{DATABASE_PASSWORD}@127.0.0.1:{self.to_postgres.port}/iis"
            )
            self._environment["IIS_REDIS_URL"] = f"redis://:{self.redis.password}@127.0.0.1:{self.to_redis.port}/0"
        self.migrate(self._schema, "upgrade", "head")
        self.runtime = self._open_runtime()
        self.start("api")
        for name in self._worker_names:
            self.start(name)
        self.wait_until_ready()
        self.supervised = True
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._supervisor.join()
        for name in [*self._processes]:
            self.kill(name)
        self.runtime.close()
        self.to_postgres.close()
        self.to_redis.close()
        if self.limited_storage:
            subprocess.run(["umount", "--lazy", str(self.storage)], check=False, capture_output=True)

    @property
    def programs(self) -> list[str]:
        """Names of the processes that run the service's own code."""
        return ["api", *self._worker_names]

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def child(self, name: str) -> int | None:
        """A compute process of a worker, if it has one now."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.pid(name)).children():
                if "worker.child" in process.cmdline():
                    return process.pid
        return None

    def start(self, name: str) -> None:
        """Start a program, unless it runs."""
        with self._lock:
            running = self._processes.get(name)
            if running is not None and running.poll() is None:
                return
            prefix = [sys.executable, "-m"] if self.traps is None else [sys.executable, "-m", "torture.trapped", str(self.traps)]
            if name == "api":
                command = [
                    "uvicorn",
                    "app.main:create_app",
                    "--factory",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                    "--no-access-log",
                ]
            else:
                command = ["celery", "-A", "worker.celery_app", "worker", "--pool", "threads", "--concurrency", "1"]
                command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            code = self.code[name]
            environment = self._with(code) | {"IIS_DATA_FOLDER": str(self.folder / name)}
            self._run(name, [*prefix, *command], cwd=code, env=environment)

    def migrate(self, code: Path, *command: str) -> None:
        """Run Alembic as that checkout has it: `upgrade head`, or `downgrade` to a revision."""
        environment = self._with(code) | {"IIS_DATABASE_URL": self.postgres.url("iis")}
        subprocess.run([sys.executable, "-m", "alembic", *command], cwd=code, env=environment, check=True, capture_output=True)
        self._schema = code

    def start_postgres(self) -> None:
        self.postgres.prepare()
        with self._lock:
            self._run("postgres", self.postgres.command, cwd=Path("/"), **self.postgres.identity)
        _wait_for(self.postgres.answers, "PostgreSQL")

    def start_redis(self) -> None:
        self.redis.prepare()
        with self._lock:
            self._run("redis", self.redis.command)
        _wait_for(self.redis.answers, "Redis")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal that ends a process, and wait until it has."""
        process = self._processes[name]
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        process.wait(START_TIMEOUT_SECONDS)

    def wait_until_ready(self) -> None:
        _wait_for(self.is_ready, "the API")

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/v1/health/ready", timeout=5, trust_env=False).status_code == 200
        return False

    def add_owner(self, name: str) -> str:
        """Another owner's API key, made as an operator does."""
        environment = self._with(self._schema) | {"IIS_DATABASE_URL": self.postgres.url("iis")}
        command = [sys.executable, "-m", "app.api_keys", name]
        made = subprocess.run(command, cwd=self._schema, env=environment, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def fill_storage(self) -> None:
        """Leave no byte of room in storage."""
        with contextlib.suppress(OSError), (self.storage / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 20))
                filler.flush()

    def empty_storage(self) -> None:
        (self.storage / "filler").unlink(missing_ok=True)

    def memory_bytes(self) -> dict[str, int]:
        """Resident memory of each program, without compute processes."""
        found: dict[str, int] = {}
        for name in self.programs:
            with contextlib.suppress(psutil.Error):
                found[name] = psutil.Process(self.pid(name)).memory_info().rss
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _with(self, code: Path) -> dict[str, str]:
        return self._environment | {"PYTHONPATH": os.pathsep.join((str(code), str(REPOSITORY / "tests")))}

    def _run(self, name: str, command: list[str], **options: object) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)  # type: ignore[call-overload]

    def _supervise(self) -> None:
        while not self._closing.wait(0.1):
            if self.supervised:
                for name in self.programs:
                    self.start(name)

    def _limit_storage(self) -> None:
        """Put storage on a file system that can be filled, where we may make one."""
        self.storage.mkdir(exist_ok=True)
        if self._storage_bytes is None:
            return
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._storage_bytes}", "tmpfs", str(self.storage)], check=False, capture_output=True
        )
        self.limited_storage = made.returncode == 0

    def _open_runtime(self) -> Runtime:
        """Our own way to the rows and to storage, past the proxies."""
        values = self._environment | {"IIS_DATABASE_URL": self.postgres.url("iis"), "IIS_DATA_FOLDER": str(self.folder / "own")}
        before = dict(os.environ)
        os.environ.update({name: value for name, value in values.items() if name.startswith("IIS_")})
        try:
            get_settings.cache_clear()
            return open_runtime(Settings())
        finally:
            get_settings.cache_clear()
            os.environ.clear()
            os.environ.update(before)


def _wait_for(answers: object, what: str) -> None:
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while not answers():  # type: ignore[operator]
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not answer within {START_TIMEOUT_SECONDS} s.")
        time.sleep(0.05)
