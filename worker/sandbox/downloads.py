"""Folders with the downloads of each owner: locked while a compute process uses one, and bounded in size together."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import structlog

from worker.sandbox.trees import disk_bytes, remove_tree

DOWNLOADS = "hub"  # folder of the folders of all owners, in that which compute processes share

log = structlog.get_logger(__name__)


def hold(folder: Path) -> int:
    """Create a folder if needed and lock it against removal; returns a descriptor that holds the lock until it is closed."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_still(folder, descriptor):
                os.utime(descriptor)
                return descriptor
            os.close(descriptor)  # it was removed before it was locked


def limit_downloads(parent: Path, max_bytes: int) -> int:
    """Remove the folders that were used longest ago until all have `max_bytes` at most; those in use stay. Returns the number removed."""
    if not parent.is_dir():
        return 0
    folders = sorted((folder for folder in parent.iterdir() if folder.is_dir()), key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: max(disk_bytes(folder)) for folder in folders}
    used, removed = sum(sizes.values()), 0
    for folder in folders:
        if used <= max_bytes:
            break
        if _remove_unless_held(folder):
            used -= sizes[folder]
            removed += 1
            log.info("downloads_removed", owner=folder.name, size_bytes=sizes[folder])
    return removed


def _remove_unless_held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(folder)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_still(folder: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    return False
