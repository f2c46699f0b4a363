"""Settings whose defaults depend on the machine, and the memory limit of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.memory_limit import memory_bytes
from app.settings import GIB, MIB, Settings


def group(folder: Path, limit: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text(f"{limit}\n")


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text)
    return path


def test_a_confined_process_may_use_four_fifths_of_the_memory_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.settings.memory_bytes", lambda: 1000)
    monkeypatch.delenv("IIS_CHILD_MEMORY_BYTES", raising=False)
    assert Settings().child_memory_bytes == 800


def test_a_confined_process_has_no_memory_limit_where_the_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.settings.memory_bytes", lambda: None)
    monkeypatch.delenv("IIS_CHILD_MEMORY_BYTES", raising=False)
    assert Settings().child_memory_bytes is None


@pytest.mark.parametrize(("given", "limit"), [(str(GIB), GIB), ("0", None)])
def test_the_memory_limit_of_a_confined_process_can_be_set_and_lifted(
    given: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IIS_CHILD_MEMORY_BYTES", given)
    assert Settings().child_memory_bytes == limit


def test_without_control_groups_the_memory_of_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path, tmp_path / "none") == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_the_smallest_limit_among_the_parent_groups_applies(tmp_path: Path) -> None:
    group(tmp_path / "a/b/memory.max", "max")
    group(tmp_path / "a/memory.max", str(256 * MIB))
    group(tmp_path / "memory.max", str(512 * MIB))
    assert memory_bytes(tmp_path, own(tmp_path, "0::/a/b\n")) == 256 * MIB


def test_limits_of_version_1_control_groups_apply(tmp_path: Path) -> None:
    group(tmp_path / "memory/memory.limit_in_bytes", str(256 * MIB))  # in a container its own group is the root
    assert memory_bytes(tmp_path, own(tmp_path, "3:cpu,cpuacct:/x\n4:memory:/outside/of/the/container\n0::/\n")) == 256 * MIB


def test_a_group_without_a_limit_leaves_the_memory_of_the_machine(tmp_path: Path) -> None:
    group(tmp_path / "memory/memory.limit_in_bytes", "9223372036854771712")
    assert memory_bytes(tmp_path, own(tmp_path, "4:memory:/\n")) == memory_bytes(tmp_path, tmp_path / "none")


def test_a_setting_can_be_the_content_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IIS_API_KEY_SECRET", raising=False)
    (tmp_path / "secret").write_text("from-a-file-of-secrets\n")
    (tmp_path / "folders").write_text('["/datasets"]')
    monkeypatch.setenv("IIS_API_KEY_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("IIS_SERVER_DATASET_FOLDERS_FILE", str(tmp_path / "folders"))
    settings = Settings()
    assert settings.api_key_secret == "from-a-file-of-secrets"
    assert settings.server_dataset_folders == [Path("/datasets")]


def test_a_setting_given_twice_or_by_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIS_API_KEY_SECRET", "in-the-environment")
    monkeypatch.setenv("IIS_API_KEY_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="IIS_API_KEY_SECRET and IIS_API_KEY_SECRET_FILE are both set"):
        Settings()
    monkeypatch.delenv("IIS_API_KEY_SECRET")
    with pytest.raises(ValueError, match="absent, which cannot be read: No such file"):
        Settings()
