"""Memory and device of a stage, from what the parent samples and the compute process reports."""

from __future__ import annotations

from dataclasses import dataclass

from worker.sandbox.messages import JsonObject

BYTES_MAX = 2**62  # beyond any machine; PostgreSQL's bigint holds it
NAME_CHARACTERS = 100


@dataclass(frozen=True)
class ComputeUsage:
    """Peaks of one run of a stage.

    Attributes
    ----------
    memory_bytes : resident memory of the compute process
    gpu_bytes, gpu : memory and name of the GPU; None where it used none
    """

    memory_bytes: int
    gpu_bytes: int | None
    gpu: str | None


def read_usage(reported: object, process_peak_before_bytes: int, sampled_bytes: int) -> tuple[ComputeUsage, int]:
    """Usage of a stage and the peak of its process so far; values of a wrong type or size, which a hostile process sends, are left out.

    The process's own peak covers all stages since its start: it is that of this stage if it has grown, and else the samples are.

    Parameters
    ----------
    reported : `usage` of the reply, see `worker.child.usage`
    process_peak_before_bytes : when the stage began
    sampled_bytes : largest sample while it ran
    """
    fields: JsonObject = reported if isinstance(reported, dict) else {}
    peak_bytes = _size(fields.get("process_peak_bytes")) or 0
    grown = peak_bytes > process_peak_before_bytes
    gpu_bytes, gpu = _size(fields.get("gpu_peak_bytes")), fields.get("gpu")
    name = gpu[:NAME_CHARACTERS] if isinstance(gpu, str) and gpu_bytes is not None else None
    usage = ComputeUsage(max(sampled_bytes, peak_bytes) if grown else sampled_bytes, gpu_bytes, name)
    return usage, max(peak_bytes, process_peak_before_bytes)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= BYTES_MAX else None
