"""What all benchmarks share: how seconds are taken, how lines read, and how a run is stopped. What is timed lives in the benchmarks."""

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

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Spent:
    """What one piece of work took: seconds on the wall, and seconds of processor time over all threads of this process."""

    wall: float
    cpu: float


def timed(work: Callable[[], Answer]) -> tuple[Spent, Answer]:
    """What the work took, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu), answer


def print_ratio(name: str, ours_seconds: float, theirs_seconds: float, *, kind: str = "BENCH") -> None:
    """One line; a ratio above 1 says that ours is faster."""
    print(f"{kind} {name} {ours_seconds:.3f} {theirs_seconds:.3f} {theirs_seconds / ours_seconds:.3f}", flush=True)


def machine() -> str:
    """This machine in one line: processor, cores this process may use, PyTorch's threads and version, accelerator, and how busy it is."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    parts = {
        "processor": _processor(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "accelerator": accelerator,
        "load": f"{os.getloadavg()[0]:.1f}",  # runnable processes over the last minute; well above 0 means others share the cores
    }
    return "MACHINE " + "; ".join(f"{name} {value}" for name, value in parts.items())


def leave_by_exception_when_stopped() -> None:
    """Turn the first request to stop into SystemExit, so that what was started is stopped on the way out; ignore the next ones."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _: FrameType | None) -> None:
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in signals:
        signal.signal(number, leave)


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
