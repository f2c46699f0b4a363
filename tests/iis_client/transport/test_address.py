"""Address and key of the service: environment, ready file, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iis_client import ConfigurationError
from iis_client.transport.address import find_address


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IIS_URL", "IIS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IIS_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_the_address_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIS_URL", "http://service:8000")
    monkeypatch.setenv("IIS_API_KEY", "iis_key")
    assert find_address().url == "http://service:8000"
    assert find_address("http://other", "iis_other").api_key == "iis_other"


def test_the_local_stack_is_found_by_its_ready_file(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("iis_key\n")
    (tmp_path / "ready.json").write_text(json.dumps({"url": "http://127.0.0.1:8000", "api_key_file": str(tmp_path / "api-key"), "pid": 1}))
    found = find_address()
    assert (found.url, found.api_key) == ("http://127.0.0.1:8000", "iis_key")


def test_without_a_service_the_error_says_how_to_start_one() -> None:
    with pytest.raises(ConfigurationError, match="iis up"):
        find_address()
    with pytest.raises(ConfigurationError, match="IIS_API_KEY"):
        find_address("http://service:8000")


def test_an_invalid_ready_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"ready\.json"):
        find_address()
