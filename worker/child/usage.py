"""Measure the memory that a stage uses in this process, and its device. The parent reads the values as claims of an untrusted process."""

from __future__ import annotations

import resource
import sys

from worker.sandbox.messages import JsonObject

RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def begin() -> None:
    """Forget the peak of the GPU's memory, if this process has used one."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def measured() -> JsonObject:
    """Largest resident memory since the start of the process, and of the GPU since `begin`, with its name; None without a GPU."""
    import torch

    gpu_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    return {
        "process_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES,
        "gpu_peak_bytes": gpu_bytes or None,
        "gpu": torch.cuda.get_device_name() if gpu_bytes else None,
    }
