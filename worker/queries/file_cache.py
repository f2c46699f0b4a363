"""Cache of local files for queries, with eviction of the least recently used."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import structlog

from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.trees import disk_bytes, remove_tree

UNMEASURED_BYTES = 1 << 60  # of a folder whose paths are too long

log = structlog.get_logger(__name__)


class FileCache:
    """A folder of one worker. `close` removes it; if the worker was killed, the next worker on this machine does.

    Threads share it, each for a subfolder of its own (`in_use`).

    Parameters
    ----------
    home : the folder with the caches of all workers on this machine
    limit_bytes : largest total size after `shrink`
    """

    def __init__(self, home: Path, name: str, limit_bytes: int) -> None:
        self._own = LockedFolder(home, name)
        self.folder = self._own.create()
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._in_use = set[str]()

    @contextmanager
    def in_use(self, subfolder: str) -> Generator[None]:
        """Prevent the removal of files in a subfolder by other threads; afterwards remove what exceeds the limit."""
        with self._lock:
            self._in_use.add(subfolder)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.discard(subfolder)
            self.shrink()

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
            size_bytes = _size_bytes(path)
            with self._lock:
                self._sizes[name] = size_bytes
        with self._lock:
            self._used[name] = time.monotonic()
        return path

    def drop(self, names: Iterable[str]) -> None:
        """Remove these files and folders."""
        with self._lock:
            forgotten = [self._forget(name) for name in names if name in self._used]
        for path in forgotten:
            _remove(path)

    def shrink(self) -> None:
        """Remove the least recently used files until the rest fits, except files in subfolders that are in use."""
        with self._lock:
            forgotten = list[Path]()
            for name in sorted(self._used, key=self._used.__getitem__):
                if sum(self._sizes.values()) <= self._limit_bytes:
                    break
                if name.partition("/")[0] not in self._in_use:
                    forgotten.append(self._forget(name))
                    log.info("cached_file_removed", name=name)
        for path in forgotten:
            _remove(path)

    def _forget(self, name: str) -> Path:
        """Rename a file, so that it can be removed without the lock while another thread writes it again; returns the new path."""
        del self._used[name], self._sizes[name]
        path = self.folder / name
        renamed = path.with_name(f"{path.name}.removed-{secrets.token_hex(4)}")
        if os.path.lexists(path):
            path.rename(renamed)
        return renamed

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
