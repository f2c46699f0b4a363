"""Measure and remove folders that a compute process wrote, at any depth: folders may be nested beyond Python's recursion, have longer paths
than the kernel accepts, and deny their owner to list them.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import structlog

ENTRY_BYTES = 16 * 1024
"""Least space that a file or folder counts for: file systems have about one inode for as many bytes."""
_BLOCK_BYTES = 512
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSES = 3

log = structlog.get_logger(__name__)


def disk_bytes(*roots: Path) -> Generator[float]:
    """Disk space of the files under some folders, as a running total; infinite where paths are too long to be measured."""
    used, folders = 0.0, [str(root) for root in roots]
    yield used
    while folders:
        current = folders.pop()
        try:
            for entry in _list(current):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                used += max(entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES, ENTRY_BYTES)
                yield used
        except OSError as error:  # removed during the walk, unless its path is too long
            used += math.inf if error.errno == errno.ENAMETOOLONG else 0
            yield used


def _list(folder: str) -> Generator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)
    except PermissionError:
        os.chmod(folder, stat.S_IRWXU)
        entries = os.scandir(folder)
    with entries:
        yield from entries


def remove_tree(folder: Path) -> None:
    """Remove a folder with its content, without following links. What cannot be removed, as a process still writes to it, is logged."""
    for _ in range(_PASSES):
        try:
            descriptor = _open(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("folder_not_removed", name=folder.name, error=str(error))
            return
        try:
            _empty(descriptor)
        finally:
            os.close(descriptor)
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            log.debug("folder_not_empty", name=folder.name, error=str(error))
        else:
            return
    log.warning("folder_not_removed", name=folder.name)


def _empty(top: int) -> None:
    """Remove the content of an open folder. Folders inside its folders are moved up into it, so that no path grows long."""
    pending, moved, prefix = _remove_files(top), 0, f".removed-{secrets.token_hex(8)}"
    while pending:
        name = pending.pop()
        try:
            descriptor = _open(name, top)
        except OSError as error:
            log.debug("folder_not_opened", name=name, error=str(error))
            continue
        try:
            for inner in _remove_files(descriptor):
                target, moved = f"{prefix}-{moved}", moved + 1
                _move(inner, descriptor, target, top)
                pending.append(target)
            os.rmdir(name, dir_fd=top)
        except OSError as error:
            log.debug("folder_not_empty", name=name, error=str(error))
        finally:
            os.close(descriptor)


def _remove_files(descriptor: int) -> list[str]:
    """Unlink the files in an open folder; returns the names of its folders."""
    folders = list[str]()
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
                continue
            try:
                os.unlink(entry.name, dir_fd=descriptor)
            except OSError as error:
                log.debug("file_not_removed", name=entry.name, error=str(error))
    return folders


def _move(name: str, source: int, target: str, destination: int) -> None:
    try:
        os.rename(name, target, src_dir_fd=source, dst_dir_fd=destination)
    except PermissionError:  # a folder's own permissions decide on moving it
        os.chmod(name, stat.S_IRWXU, dir_fd=source)
        os.rename(name, target, src_dir_fd=source, dst_dir_fd=destination)


def _open(folder: Path | str, at: int | None = None) -> int:
    """Open a folder and allow its owner, this user, everything in it."""
    try:
        descriptor = os.open(folder, _OPEN_FOLDER, dir_fd=at)
    except PermissionError:
        os.chmod(folder, stat.S_IRWXU, dir_fd=at)
        return os.open(folder, _OPEN_FOLDER, dir_fd=at)
    with suppress(PermissionError):
        os.fchmod(descriptor, stat.S_IRWXU)
    return descriptor
