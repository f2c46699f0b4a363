"""Configuration page in docs/, generated from the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.configuration_page import main, page
from app.settings import SECTIONS, Settings


def test_every_setting_is_on_the_page_once_with_its_description() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `IIS_")]
    assert sorted(row.split("`")[1].removeprefix("IIS_").lower() for row in rows) == sorted(Settings.model_fields)
    assert all(row.rstrip(" |").rpartition("|")[2].strip() not in ("", "None") for row in rows)


def test_sizes_and_durations_are_readable_beside_their_value() -> None:
    assert "| `IIS_UPLOAD_PART_MAX_BYTES` | `67108864` (64 MiB) |" in page()
    assert "| `IIS_ARTIFACT_EXPIRY_SECONDS` | `2592000` (30 days) |" in page()
    assert "| `IIS_LEASE_SECONDS` | `10` |" in page()


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = page()
    monkeypatch.setenv("IIS_LEASE_SECONDS", "7")
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert page() == before
    assert len(SECTIONS) == before.count("\n## ")


def test_an_outdated_page_fails_the_check_with_the_command_to_regenerate_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "configuration.md"
    file.write_text(page())
    assert main(["--check", str(file)]) == 0
    file.write_text(page().replace("90", "91"))
    assert main(["--check", str(file)]) == 1
    assert "make configuration" in capsys.readouterr().err
