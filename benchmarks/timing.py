"""Measure time, print result lines, and stop on signals; shared by all benchmarks."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

import torch

Result = TypeVar("Result")


@dataclass(frozen=True)
class Elapsed:
    """Time of one call in seconds: wall time, and processor time of all threads of this process."""

    wall: float
    cpu: float


def timed(work: Callable[[], Result]) -> tuple[Elapsed, Result]:
    """Call `work`; returns its time and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Elapsed(time.perf_counter() - wall, time.process_time() - cpu), result


def print_ratio(name: str, ours_seconds: float, theirs_seconds: float, *, kind: str = "BENCH") -> None:
    """Print one line; ours is faster if the ratio is above 1."""
    print(f"{kind} {name} {ours_seconds:.3f} {theirs_seconds:.3f} {theirs_seconds / ours_seconds:.3f}", flush=True)


def machine() -> str:
    """One line on this machine: processor, usable cores, PyTorch's threads and version, accelerator, and load."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    parts = {
        "processor": _processor(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "accelerator": accelerator,
        "load": f"{os.getloadavg()[0]:.1f}",  # runnable processes over the last minute; far above 0, other programs share the cores
    }
    return "MACHINE " + "; ".join(f"{name} {value}" for name, value in parts.items())


def exit_on_signals() -> None:
    """Raise SystemExit on the first signal to stop, so that `finally` blocks stop child processes; ignore further ones."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def exit_once(number: int, _: FrameType | None) -> None:
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in signals:
        signal.signal(number, exit_once)


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
