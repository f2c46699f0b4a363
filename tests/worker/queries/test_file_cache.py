"""The file cache and the model cache of queries: complete files, bounded size, and removal with the worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from iis_engine.heads.logistic import Heads
from worker.handlers.model_cache import ModelCache, size_bytes_of
from worker.queries.file_cache import FileCache


def writer(text: str, made: list[str] | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)
        if made is not None:
            made.append(text)

    return write


def test_a_file_is_made_once_and_read_again(tmp_path: Path) -> None:
    files, made = FileCache(tmp_path, "a", 1000), list[str]()
    for _ in range(2):
        assert files.get("x", writer("content", made)).read_text() == "content"
    assert made == ["content"]


def test_a_file_that_was_not_completed_is_not_cached(tmp_path: Path) -> None:
    files = FileCache(tmp_path, "a", 1000)

    def half(path: Path) -> None:
        path.write_text("ha")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        files.get("x", half)
    assert files.get("x", writer("whole")).read_text() == "whole"


def test_the_least_recently_used_file_is_removed_first(tmp_path: Path) -> None:
    files = FileCache(tmp_path, "a", 25)
    for name in ("x", "y", "z"):
        files.get(name, writer("0123456789"))
    files.get("x", writer("never written"))
    files.shrink()
    assert {path.name for path in files.folder.iterdir()} == {"lock", "x", "z"}


def test_a_folder_is_removed_by_its_worker_or_after_a_kill_by_the_next(tmp_path: Path) -> None:
    closed, killed, alive = (FileCache(tmp_path, name, 1000) for name in ("closed", "killed", "alive"))
    closed.close()
    assert killed._own._lock is not None
    killed._own._lock.close()  # as the kernel does when the process ends
    FileCache(tmp_path, "next", 1000)
    assert {folder.name for folder in tmp_path.iterdir()} == {"alive", "next"}
    assert alive.get("x", writer("still here")).exists()


def test_loaded_values_are_bounded_but_the_newest_is_always_kept() -> None:
    warm = ModelCache()
    warm.limit_bytes = 100
    warm.get("a", lambda: torch.zeros(10))
    warm.get("b", lambda: torch.zeros(10))
    warm.get("a", lambda: pytest.fail("it is loaded"))
    warm.get("c", lambda: torch.zeros(10))
    assert ["a" in warm, "b" in warm, "c" in warm] == [True, False, True]
    warm.get("d", lambda: torch.zeros(1000))
    assert ["a" in warm, "c" in warm, "d" in warm] == [False, False, True]


def test_sizes_count_the_tensors_of_a_value() -> None:
    heads = Heads((), torch.zeros(3, 4), torch.zeros(2), torch.zeros(2), 7)
    assert size_bytes_of(heads) == 4 * (12 + 2 + 2)
    assert size_bytes_of((heads, torch.zeros(2).double())) == 64 + 16


def test_files_in_use_by_one_owner_survive_the_shrinking_by_another(tmp_path: Path) -> None:
    files = FileCache(tmp_path, "a", 15)
    for owner in ("a", "b"):
        (files.folder / owner).mkdir()
    with files.in_use("a"):
        kept = files.get("a/one", writer("0123456789"))
        with files.in_use("b"):
            dropped = files.get("b/two", writer("0123456789"))
        assert (kept.exists(), dropped.exists()) == (True, False)
    assert kept.exists()
