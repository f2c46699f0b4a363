"""The whole service as `iis up` starts it: embedded servers, API and worker in one folder, and accounts on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.local.servers import EmbeddedPostgres
from iis_client.cli.local.local_stack import LocalStack
from iis_client.transport.address import Address


@dataclass(frozen=True)
class RunningStack:
    """A running service.

    Attributes
    ----------
    folder : its data folder
    address : its URL and its first API key
    """

    folder: Path
    address: Address

    @property
    def url(self) -> str:
        return self.address.url

    def new_account(self) -> Address:
        """Create an owner; returns the URL with an API key of all scopes."""
        environment = os.environ | {
            "IIS_DATABASE_URL": EmbeddedPostgres(self.folder / "postgres").url("iis"),
            "IIS_API_KEY_SECRET": (self.folder / "api-key-secret").read_text(),
            "IIS_DATA_FOLDER": str(self.folder),
        }
        command = [sys.executable, "-m", "app.api_keys", "test account"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return Address(self.url, done.stdout.strip())


@contextmanager
def run_stack(folder: Path) -> Generator[RunningStack]:
    """Start the service with default settings; stop it at the end."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("IIS_")]:
            environment.delenv(name)
        stack = LocalStack(folder)
    try:
        yield RunningStack(folder, stack.wait_until_ready())
    finally:
        stack.stop()
