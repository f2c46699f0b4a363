"""Defaults that depend on the machine."""

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


def test_a_compute_process_may_have_most_of_the_memory_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IIS_CHILD_MEMORY_BYTES", raising=False)
    available = memory_bytes()
    assert available is not None
    assert Settings().child_memory_bytes == int(0.8 * available)
    monkeypatch.setenv("IIS_CHILD_MEMORY_BYTES", str(GIB))
    assert Settings().child_memory_bytes == GIB
    monkeypatch.setenv("IIS_CHILD_MEMORY_BYTES", "0")
    assert Settings().child_memory_bytes is None


def test_without_control_groups_the_machines_memory_counts(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path, tmp_path / "none") == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_the_smallest_limit_around_the_process_counts(tmp_path: Path) -> None:
    group(tmp_path / "a/b/memory.max", "max")
    group(tmp_path / "a/memory.max", str(256 * MIB))
    group(tmp_path / "memory.max", str(512 * MIB))
    assert memory_bytes(tmp_path, own(tmp_path, "0::/a/b\n")) == 256 * MIB


def test_limits_of_the_first_version_of_control_groups_count(tmp_path: Path) -> None:
    group(tmp_path / "memory/memory.limit_in_bytes", str(256 * MIB))  # in a container its own group is the root
    assert memory_bytes(tmp_path, own(tmp_path, "3:cpu,cpuacct:/x\n4:memory:/outside/of/the/container\n0::/\n")) == 256 * MIB


def test_a_group_without_a_limit_leaves_the_machines_memory(tmp_path: Path) -> None:
    group(tmp_path / "memory/memory.limit_in_bytes", "9223372036854771712")
    assert memory_bytes(tmp_path, own(tmp_path, "4:memory:/\n")) == memory_bytes(tmp_path, tmp_path / "none")
