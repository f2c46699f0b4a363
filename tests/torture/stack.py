"""The service as processes that attacks may kill: PostgreSQL, Redis, API, workers; proxies in between, storage of limited size."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
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
FAST_SETTINGS = {
    "IIS_LEASE_SECONDS": "6",
    "IIS_HEARTBEAT_SECONDS": "1",
    "IIS_SWEEP_SECONDS": "1",
    "IIS_CANCEL_POLL_SECONDS": "0.3",
    "IIS_RETRY_PAUSE_SECONDS": "0.5",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
# For attacks that send more requests than the rate limits allow.
NO_RATE_LIMITS = {
    "IIS_RATE_LIMIT_PER_SECOND": "0",
    "IIS_ANONYMOUS_RATE_LIMIT_PER_SECOND": "0",
    "IIS_FAILED_KEY_LIMIT_PER_SECOND": "0",
}


class Stack:
    """Processes of the service, started by `with`. A supervisor restarts programs that die while `supervised` is true.

    Parameters
    ----------
    api_processes : processes of the API that share its port
    proxied : whether programs connect to PostgreSQL and Redis through the proxies `to_postgres` and `to_redis`
    breakpoints : folder of armed breakpoints (`torture.breakpoints`); None for none
    settings : environment variables of the service
    code : checkout that the programs run from; change `code[name]` before a restart to run another version
    storage_bytes : size of the storage's own file system; None to use that of `folder`
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        api_processes: int = 1,
        proxied: bool = False,
        breakpoints: Path | None = None,
        settings: Mapping[str, str] | None = None,
        storage_bytes: int | None = STORAGE_BYTES,
        code: Path = REPOSITORY,
    ) -> None:
        self.folder = folder
        self.breakpoints = breakpoints
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
        self._api_processes = api_processes
        self._settings = dict(settings or {})
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
            **FAST_SETTINGS,
            **self._settings,
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
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid(name), signal.SIGKILL)  # an API of several processes, whose parent is gone
        self.runtime.close()
        self.to_postgres.close()
        self.to_redis.close()
        if self.limited_storage:
            subprocess.run(["umount", "--lazy", str(self.storage)], check=False, capture_output=True)

    @property
    def programs(self) -> list[str]:
        """Names of the API and the workers."""
        return ["api", *self._worker_names]

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def child(self, name: str) -> int | None:
        """Process id of a worker's compute process, None without one."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.pid(name)).children():
                if "worker.child" in process.cmdline():
                    return process.pid
        return None

    def start(self, name: str) -> None:
        """Start a program that is not running."""
        with self._lock:
            running = self._processes.get(name)
            if running is not None and running.poll() is None:
                return
            prefix = [sys.executable, "-m"]
            if self.breakpoints is not None:
                prefix += ["torture.breakpoints", str(self.breakpoints)]
            if name == "api":
                command = ["app", "--port", str(self.port), "--workers", str(self._api_processes)]
                if not (self.code[name] / "app/__main__.py").exists():  # a version before it
                    command = ["uvicorn", "app.main:create_app", "--factory", "--port", str(self.port), "--no-access-log"]
            else:
                command = ["celery", "-A", "worker.celery_app", "worker", "--pool", "threads", "--concurrency", "1"]
                command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            code = self.code[name]
            environment = self._environment_of(code) | {"IIS_DATA_FOLDER": str(self.folder / name)}
            self._run(name, [*prefix, *command], cwd=code, env=environment)

    def migrate(self, code: Path, *command: str) -> None:
        """Run the checkout's Alembic with this command, as `upgrade head`."""
        environment = self._environment_of(code) | {"IIS_DATABASE_URL": self.postgres.url("iis")}
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
        """Send a signal to a process and wait for its end."""
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
        """Add an owner with the operator's command; returns the API key."""
        environment = self._environment_of(self._schema) | {"IIS_DATABASE_URL": self.postgres.url("iis")}
        command = [sys.executable, "-m", "app.api_keys", name]
        made = subprocess.run(command, cwd=self._schema, env=environment, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def fill_storage(self) -> None:
        """Fill storage to the last byte."""
        with contextlib.suppress(OSError), (self.storage / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 20))
                filler.flush()

    def empty_storage(self) -> None:
        (self.storage / "filler").unlink(missing_ok=True)

    def memory_bytes(self) -> dict[str, int]:
        """Resident memory of each program without its compute processes."""
        found: dict[str, int] = {}
        for name in self.programs:
            with contextlib.suppress(psutil.Error):
                found[name] = psutil.Process(self.pid(name)).memory_info().rss
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _environment_of(self, code: Path) -> dict[str, str]:
        return self._environment | {"PYTHONPATH": os.pathsep.join((str(code), str(REPOSITORY / "tests")))}

    def _run(
        self,
        name: str,
        command: list[str],
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        user: int | None = None,
        group: int | None = None,
        extra_groups: list[int] | None = None,
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=cwd,
                env=env,
                user=user,
                group=group,
                extra_groups=extra_groups,
            )

    def _supervise(self) -> None:
        while not self._closing.wait(0.1):
            if self.supervised:
                for name in self.programs:
                    self.start(name)

    def _limit_storage(self) -> None:
        """Mount a small file system for storage, where mounting is permitted."""
        self.storage.mkdir(exist_ok=True)
        if self._storage_bytes is None:
            return
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._storage_bytes}", "tmpfs", str(self.storage)], check=False, capture_output=True
        )
        self.limited_storage = made.returncode == 0

    def _open_runtime(self) -> Runtime:
        """A runtime for the attack itself, which does not use the proxies."""
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


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not answer within {START_TIMEOUT_SECONDS} s.")
        time.sleep(0.05)
