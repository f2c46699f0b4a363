"""Cache of local files for queries, with eviction of the least recently used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.trees import disk_bytes, remove_tree

UNMEASURED_BYTES = 1 << 60  # of a folder whose paths are too long

log = structlog.get_logger(__name__)


class FileCache:
    """A folder of one worker. `close` removes it; if the worker was killed, the next worker on this machine does.

    Parameters
    ----------
    home : the folder with the caches of all workers on this machine
    limit_bytes : largest total size after `shrink`
    """

    def __init__(self, home: Path, name: str, limit_bytes: int) -> None:
        self._own = LockedFolder(home, name)
        self.folder = self._own.create()
        self._limit_bytes = limit_bytes
        self._used: dict[str, float] = {}
        self._sizes: dict[str, int] = {}

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """The file or folder `name`; `make` writes it on the first call, and it appears only when complete."""
        path = self.folder / name
        if name not in self._used:
            partial = self.folder / f"{name}.partial"
            _remove(partial)
            try:
                make(partial)
                partial.replace(path)
            finally:
                _remove(partial)
            self._sizes[name] = _size_bytes(path)
        self._used[name] = time.monotonic()
        return path

    def drop(self, names: Iterable[str]) -> None:
        """Remove these files and folders."""
        for name in names:
            if self._used.pop(name, None) is not None:
                _remove(self.folder / name)
                del self._sizes[name]

    def shrink(self) -> None:
        """Remove the least recently used files until the rest fits; call it when no file is in use."""
        for name in sorted(self._used, key=self._used.__getitem__):
            if sum(self._sizes.values()) <= self._limit_bytes:
                return
            self.drop([name])
            log.info("cached_file_removed", name=name)

    def close(self) -> None:
        """Remove everything."""
        self._own.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def _size_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return int(min(max(disk_bytes(path), default=0), UNMEASURED_BYTES))
