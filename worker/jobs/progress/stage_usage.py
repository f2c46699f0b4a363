"""What a stage of a job used on this worker: peaks of memory, and bytes fetched from storage and stored."""

from __future__ import annotations

from app.db.models import Json
from worker.sandbox.usage import ComputeUsage


class UsageMeter:
    """Adds up what the stages of an attempt use, one after another."""

    def __init__(self) -> None:
        self._runs: list[ComputeUsage] = []
        self._fetched_bytes = 0
        self._stored_bytes = 0

    def add_run(self, usage: ComputeUsage) -> None:
        """Add a run in the compute process."""
        self._runs.append(usage)

    def add_fetched(self, size_bytes: int) -> None:
        self._fetched_bytes += size_bytes

    def add_stored(self, size_bytes: int) -> None:
        self._stored_bytes += size_bytes

    def take(self) -> Json:
        """Usage since the last call, as the event of a finished stage and the job have it."""
        gpu_bytes = max((run.gpu_bytes or 0 for run in self._runs), default=0)
        gpu = next((run.gpu for run in self._runs if run.gpu is not None), None)
        used: Json = {
            "device": None if not self._runs else gpu or "cpu",
            "peak_memory_bytes": max((run.memory_bytes for run in self._runs), default=0) or None,
            "gpu_peak_memory_bytes": gpu_bytes or None,
            "fetched_bytes": self._fetched_bytes,
            "stored_bytes": self._stored_bytes,
        }
        self._runs, self._fetched_bytes, self._stored_bytes = [], 0, 0
        return used
