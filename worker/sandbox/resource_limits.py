"""What a compute process takes: memory, threads and processes, room on the disk. The parent weighs each against its limit."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psutil

CHECK_SECONDS = 0.25
DISK_SECONDS = 2.0  # between one walk through the folder and the next
DISK_LOOK_SECONDS = 0.05  # of a walk at a time: what the process says must not wait for it
THREADS_PER_CORE = 32  # of numerical libraries, decoders and CUDA together
THREADS_MIN = 1024
PROCESSES = 16
"""Where the kernel refuses none; a compute process itself starts no other."""
_BLOCK_BYTES = 512


class LimitExceeded(Exception):
    """The compute process took more than its share and was killed. The message is a sentence, `code` stable for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ResourceLimits:
    """What a compute process with all that it starts may take; None for no limit."""

    memory_bytes: int | None = None
    disk_bytes: int | None = None


class ResourceMonitor:
    """Weighs one process and the folder that it writes to."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        self._weigh_at = time.monotonic() + CHECK_SECONDS
        self._walk_at = self._weigh_at
        self._walk: Generator[int] | None = None

    def check(self, limits: ResourceLimits) -> None:
        """Raise `LimitExceeded` if more is taken than allowed. It costs milliseconds, so most calls look at the clock only."""
        if time.monotonic() < self._weigh_at:
            return
        self._check_processes(limits.memory_bytes)
        if limits.disk_bytes is not None:
            self._check_disk(limits.disk_bytes)
        self._weigh_at = time.monotonic() + CHECK_SECONDS

    def _check_processes(self, limit_bytes: int | None) -> None:
        try:
            process = psutil.Process(self._pid)
            parts = (process, *process.children(recursive=True))
            threads = sum(part.num_threads() for part in parts)
            used = sum(part.memory_info().rss for part in parts)
        except psutil.Error:
            return  # it has just ended; the pipe will say so
        threads_allowed = max(THREADS_MIN, THREADS_PER_CORE * (os.cpu_count() or 1))
        if threads > threads_allowed or len(parts) > PROCESSES:
            raise LimitExceeded("process_limit_exceeded", f"The job ran {threads:,} threads; {threads_allowed:,} are allowed.")
        if limit_bytes is not None and used > limit_bytes:
            message = f"The job used {used / 1e9:.1f} GB of memory; {limit_bytes / 1e9:.1f} GB are allowed."
            raise LimitExceeded("memory_limit_exceeded", f"{message} Use a smaller model, or fewer elements.")

    def _check_disk(self, limit_bytes: int) -> None:
        if self._walk is None:
            if time.monotonic() < self._walk_at:
                return
            self._walk = _bytes_beneath(self._folder)
        until = time.monotonic() + DISK_LOOK_SECONDS
        for used in self._walk:
            if used > limit_bytes:
                message = f"The job filled {used / 1e9:.1f} GB of disk; {limit_bytes / 1e9:.1f} GB are allowed. Send a smaller data set."
                raise LimitExceeded("disk_limit_exceeded", message)
            if time.monotonic() > until:
                return
        self._walk, self._walk_at = None, time.monotonic() + DISK_SECONDS


def _bytes_beneath(folder: Path) -> Generator[int]:
    """What the files beneath a folder take on the disk, so far, as the walk goes on."""
    used, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    used += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                    yield used
        except OSError:  # it went away while we looked
            yield used
