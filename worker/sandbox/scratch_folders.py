"""Folders of one worker among those of others on the machine: removed when it closes, or by another worker when it was killed."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

import structlog

TOKEN_CHARACTERS = 8

log = structlog.get_logger(__name__)


def workspace_name(job_id: str, token: str) -> str:
    """The folder of one attempt: job and beginning of the lease token."""
    return f"{job_id}-{token[:TOKEN_CHARACTERS]}"


class LockedFolder:
    """A folder whose lock this process holds from `claim` on; the kernel drops the lock when the process dies in whatever way.

    Parameters
    ----------
    home : the folder that all workers of this machine keep theirs in
    name : like no other's
    """

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / name
        self._lock: IO[bytes] | None = None

    def claim(self) -> Path:
        """Make it, the first time, after the folders of killed workers have gone; returns the path."""
        if self._lock is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove_orphans(self.path.parent)
            self.path.mkdir()
            self._lock = (self.path / "lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self.path

    def close(self) -> None:
        """Remove it with all that lies there."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            self._lock.close()
            self._lock = None


def _remove_orphans(home: Path) -> None:
    for folder in home.iterdir():
        try:
            with (folder / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                log.info("folder_of_killed_worker_removed", name=folder.name)
        except OSError:
            log.debug("folder_in_use", name=folder.name)
