"""Measure the memory, threads, processes and disk space of a compute process, and enforce their limits. Runs in the parent."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from worker.sandbox.trees import disk_bytes
from worker.sandbox.usage import ComputeUsage, read_usage

CHECK_SECONDS = 0.25
DISK_CHECK_SECONDS = 2.0  # pause between two walks through the folder
DISK_WALK_SECONDS = 0.05  # of a walk per check, so that replies are read in between
THREADS_PER_CORE = 32  # numerical libraries, decoders and CUDA together
THREADS_MIN = 1024
PROCESSES_MAX = 16  # needed where seccomp does not refuse new processes; stages start none
_BLOCK_BYTES = 512


class LimitExceeded(Exception):
    """The compute process exceeded a limit. The message is a sentence; `code` is stable for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ResourceLimits:
    """Limits of a compute process and the processes it starts; None for no limit."""

    memory_bytes: int | None = None
    disk_bytes: int | None = None


class ResourceMonitor:
    """Measures one process and the folders that it writes to."""

    def __init__(self, pid: int, *folders: Path) -> None:
        self._pid = pid
        self._folders = folders
        self._check_at = time.monotonic() + CHECK_SECONDS
        self._walk_at = self._check_at
        self._walk: Generator[float] | None = None
        self._deleted_bytes = 0
        self._sampled_bytes = 0  # largest memory since the last `take_usage`
        self._process_peak_bytes = 0  # that the process has reported

    def check(self, limits: ResourceLimits) -> None:
        """Raise `LimitExceeded` if a limit is exceeded. Measures at most every `CHECK_SECONDS`."""
        if time.monotonic() < self._check_at:
            return
        self._check_processes(limits.memory_bytes)
        if limits.disk_bytes is not None:
            self._check_disk(limits.disk_bytes)
        self._check_at = time.monotonic() + CHECK_SECONDS

    def take_usage(self, reported: object) -> ComputeUsage:
        """What the process has used since the last call, by samples, its memory now, and its own report."""
        with suppress(psutil.Error):  # it has just ended
            self._sampled_bytes = max(self._sampled_bytes, psutil.Process(self._pid).memory_info().rss)
        usage, self._process_peak_bytes = read_usage(reported, self._process_peak_bytes, self._sampled_bytes)
        self._sampled_bytes = 0
        return usage

    def _check_processes(self, limit_bytes: int | None) -> None:
        try:
            process = psutil.Process(self._pid)
            processes = (process, *process.children(recursive=True))
            threads = sum(each.num_threads() for each in processes)
            used = sum(each.memory_info().rss for each in processes) + _deleted_bytes(self._pid, in_memory=True)
        except psutil.Error:
            return  # it has just ended, which closes the pipe
        self._sampled_bytes = max(self._sampled_bytes, used)
        threads_allowed = max(THREADS_MIN, THREADS_PER_CORE * (os.cpu_count() or 1))
        if threads > threads_allowed or len(processes) > PROCESSES_MAX:
            raise LimitExceeded("process_limit_exceeded", f"The job ran {threads:,} threads; {threads_allowed:,} are allowed.")
        if limit_bytes is not None and used > limit_bytes:
            message = f"The job used {used / 1e9:.1f} GB of memory; {limit_bytes / 1e9:.1f} GB are allowed."
            raise LimitExceeded("memory_limit_exceeded", f"{message} Use a smaller model, or fewer elements.")

    def _check_disk(self, limit_bytes: int) -> None:
        if self._walk is None:
            if time.monotonic() < self._walk_at:
                return
            self._walk = disk_bytes(*self._folders)
            self._deleted_bytes = _deleted_bytes(self._pid, in_memory=False)
        until = time.monotonic() + DISK_WALK_SECONDS
        for found in self._walk:
            used = found + self._deleted_bytes
            if used > limit_bytes:
                message = f"The job filled {used / 1e9:.1f} GB of disk; {limit_bytes / 1e9:.1f} GB are allowed. Send a smaller data set."
                raise LimitExceeded("disk_limit_exceeded", message)
            if time.monotonic() > until:
                return
        self._walk, self._walk_at = None, time.monotonic() + DISK_CHECK_SECONDS


def _deleted_bytes(pid: int, *, in_memory: bool) -> int:
    """Space of files that the process holds open and no folder shows: deleted ones on disk, or those in memory (memfd_create)."""
    sizes = dict[tuple[int, int], int]()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found = os.stat(entry.path)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and os.readlink(entry.path).startswith("/memfd:") == in_memory:
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK_BYTES
    except OSError:  # it has just ended, or the platform has no such folder
        return 0
    return sum(sizes.values())
