"""Folders that a compute process wrote to resist their measurement and removal."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.sandbox import scratch_folders
from worker.sandbox.resource_limits import LimitExceeded, ResourceLimits, ResourceMonitor
from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.trees import ENTRY_BYTES, disk_bytes, remove_tree

DEPTH = 3000
HOSTILE = """
import os
def nest(depth, name):
    for _ in range(depth):
        os.mkdir(name)
        os.chdir(name)
start = os.open('.', os.O_RDONLY)
nest(DEPTH, 'd' * 100)
open('deepest', 'w').write('x')
os.fchdir(start)
for mode in (0o000, 0o300, 0o500):
    os.makedirs(f'denied-{mode}/inner')
    with open(f'denied-{mode}/inner/file', 'wb') as file: file.write(bytes(1 << 20))
    os.symlink('/etc', f'denied-{mode}/link')
    os.chmod(f'denied-{mode}/inner', mode)
    os.chmod(f'denied-{mode}', mode)
os.mkdir('.removed-0')
open('.removed-1', 'w').close()
"""


def run_unprivileged(folder: Path, program: str) -> None:
    """Run a program in a folder as another user than root, to whom permissions apply."""
    folder.chmod(0o777)
    become = "import os\nif os.geteuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
    subprocess.run([sys.executable, "-c", become + program], cwd=folder, check=True, timeout=120)


def test_a_folder_is_removed_however_deep_and_whatever_its_permissions(tmp_path: Path) -> None:
    tree = tmp_path / "own" / "tree"
    tree.parent.mkdir()
    tmp_path.chmod(0o777)
    prepare = f"os.mkdir('tree')\nos.chdir('tree')\n{HOSTILE.replace('DEPTH', str(DEPTH))}"
    remove = "\nfrom pathlib import Path\nfrom worker.sandbox.trees import remove_tree\nos.chdir('..')\nremove_tree(Path('tree'))\n"
    run_unprivileged(tree.parent, prepare)
    assert max(disk_bytes(tree), default=0) == math.inf
    run_unprivileged(tree.parent, f"os.chdir('tree')\n{remove}")
    assert not tree.exists()
    assert Path("/etc/passwd").exists()


def test_a_folder_that_denies_its_listing_is_measured(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from worker.sandbox.trees import disk_bytes\n"
        "os.mkdir('hidden')\n"
        "open('hidden/file', 'wb').write(bytes(5 << 20))\n"
        "os.chmod('hidden', 0o300)\n"
        "assert max(disk_bytes(Path('.'))) >= 5 << 20\n"
    )
    run_unprivileged(tmp_path, program)


def test_empty_files_count_for_the_space_of_their_inodes(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert max(disk_bytes(tmp_path)) == 100 * ENTRY_BYTES


def test_removing_a_folder_leaves_what_its_links_point_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "removed" / "inner").mkdir(parents=True)
    (tmp_path / "removed" / "inner" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "removed")
    remove_tree(tmp_path / "removed")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "kept")
    remove_tree(link)
    assert (tmp_path / "kept" / "file").read_text() == "x"
    assert not (tmp_path / "removed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Open files are shown by Linux's /proc.")
@pytest.mark.parametrize("unprivileged", [False, True])
def test_a_deleted_file_that_is_held_open_counts(tmp_path: Path, wait_until: Callable[..., Any], unprivileged: bool) -> None:
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(0o777)
    program = (
        "import os, time\n"
        f"if {unprivileged} and os.geteuid() == 0: os.setuid(65534)\n"
        "file = open('large', 'wb')\n"
        "os.unlink('large')\n"
        "file.write(bytes(50 << 20))\n"
        "file.flush()\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=own) as process:
        monitor = ResourceMonitor(process.pid, own)
        try:
            with pytest.raises(LimitExceeded, match="GB of disk"):
                wait_until(lambda: monitor.check(ResourceLimits(disk_bytes=10 << 20)), 30, "the monitor to see the file")
        finally:
            process.kill()


def test_a_killed_workers_folder_without_its_lock_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its compute process can delete the lock, which lies in its folder."""
    killed = LockedFolder(tmp_path, "killed").create()
    (killed / "lock").unlink()
    LockedFolder(tmp_path, "first").create()
    assert killed.exists()
    monkeypatch.setattr(scratch_folders, "LOCK_SECONDS", -1.0)
    LockedFolder(tmp_path, "second").create()
    assert not killed.exists()
    assert time.time() - os.stat(tmp_path).st_mtime < 60


@pytest.mark.skipif(sys.platform != "linux", reason="Open files are shown by Linux's /proc.")
def test_a_file_in_memory_counts_as_memory(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    """Its pages are not resident in the process before they are mapped."""
    program = "import os, time\nfile = os.memfd_create('hidden')\nfor _ in range(600): os.write(file, bytes(1 << 20))\ntime.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as process:
        monitor = ResourceMonitor(process.pid, tmp_path)
        try:
            with pytest.raises(LimitExceeded, match="GB of memory"):
                wait_until(lambda: monitor.check(ResourceLimits(memory_bytes=500 << 20)), 30, "the monitor to see the file")
        finally:
            process.kill()
