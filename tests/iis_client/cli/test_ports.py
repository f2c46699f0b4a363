"""The port of the local service: free, or whose it is."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from iis_client import ConfigurationError
from iis_client.cli.local.ports import LOOPBACK, require_free_port


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IIS_DATA_FOLDER", str(tmp_path))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_refused_with_the_process_that_holds_it(taken: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Port {taken} is taken by process {os.getpid()} \(.*python.*iis up --port 0$"):
        require_free_port(taken)


def test_the_port_of_a_service_of_the_user_is_said_to_be_its(taken: int, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("iis_key")
    ready = {"url": f"http://{LOOPBACK}:{taken}", "api_key_file": str(tmp_path / "api-key"), "pid": os.getpid()}
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    with pytest.raises(ConfigurationError, match=f"a service of yours that runs already at http://{LOOPBACK}:{taken}; use it"):
        require_free_port(taken)


def test_a_free_port_and_any_port_are_accepted(taken: int) -> None:
    require_free_port(0)
    with socket.create_server((LOOPBACK, 0)) as server:
        free = server.getsockname()[1]
    require_free_port(free)
    assert free != taken
