"""Downloads of owners: bounded together, the longest unused first, and never while a compute process uses them."""

from __future__ import annotations

import os
from pathlib import Path

from worker.sandbox.downloads import hold, limit_downloads

MIB = 1 << 20


def add_downloads(parent: Path, owner: str, used_at: float) -> Path:
    """A folder with one MiB, last used at this time."""
    folder = parent / owner
    os.close(hold(folder))
    (folder / "weights").write_bytes(os.urandom(MIB))
    os.utime(folder, (used_at, used_at))
    return folder


def test_the_folders_that_were_used_longest_ago_are_removed_first(tmp_path: Path) -> None:
    folders = [add_downloads(tmp_path, f"own_{number}", used_at=number) for number in range(4)]
    assert limit_downloads(tmp_path, 5 * MIB) == 0
    assert limit_downloads(tmp_path, int(2.5 * MIB)) == 2
    assert [folder.exists() for folder in folders] == [False, False, True, True]
    assert limit_downloads(tmp_path / "none", MIB) == 0


def test_a_folder_in_use_is_kept_and_a_new_use_counts(tmp_path: Path) -> None:
    in_use, reused, unused = (add_downloads(tmp_path, f"own_{number}", used_at=number) for number in range(3))
    held = hold(in_use)
    os.close(hold(reused))
    assert limit_downloads(tmp_path, int(2.5 * MIB)) == 1
    assert (in_use.exists(), reused.exists(), unused.exists()) == (True, True, False)
    assert limit_downloads(tmp_path, 0) == 1
    assert in_use.exists()
    os.close(held)
    assert limit_downloads(tmp_path, 0) == 1
