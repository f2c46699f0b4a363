"""Locked scratch folders of a worker; folders of a killed worker are removed by the next worker that starts on the machine."""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from worker.sandbox.trees import remove_tree

TOKEN_CHARACTERS = 8
LOCK = "lock"
LOCK_SECONDS = 60.0  # from the creation of a folder to that of its lock, at most

log = structlog.get_logger(__name__)


def workspace_name(job_id: str, token: str) -> str:
    """Folder name of one attempt at a job: job id and the beginning of the lease token."""
    return f"{job_id}-{token[:TOKEN_CHARACTERS]}"


class LockedFolder:
    """A folder with a lock file that this process holds; the kernel releases the lock when the process dies.

    Parameters
    ----------
    parent : folder of the scratch folders of all workers on this machine
    name : unique among them
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.path = parent / name
        self._lock: IO[bytes] | None = None

    def create(self) -> Path:
        """Create and lock the folder unless that is done, after removing the folders of killed workers; returns the path."""
        if self._lock is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove_orphans(self.path.parent)
            self.path.mkdir()
            self._lock = (self.path / LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self.path

    def clear(self, *, keep: Path) -> None:
        """Remove everything but the lock and the folder `keep`: a compute process may have left files for the next owner's."""
        for entry in self.path.iterdir():
            if entry.name == LOCK or keep.is_relative_to(entry):
                continue
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry)
            else:
                entry.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder with its content."""
        if self._lock is not None:
            remove_tree(self.path)
            self._lock.close()
            self._lock = None


def _remove_orphans(parent: Path) -> None:
    for folder in parent.iterdir():
        try:
            with (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_orphan(folder)
        except FileNotFoundError:  # just being created or removed, unless the compute process has deleted its lock
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_ctime > LOCK_SECONDS:
                    _remove_orphan(folder)
        except OSError:
            log.debug("folder_in_use", name=folder.name)


def _remove_orphan(folder: Path) -> None:
    remove_tree(folder)
    log.info("folder_of_killed_worker_removed", name=folder.name)
