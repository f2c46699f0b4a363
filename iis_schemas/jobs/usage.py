"""What a job used: time, memory and bytes."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StageUsage(BaseModel):
    """What one stage used on the worker that ran the job, over all attempts; null where it was not measured."""

    device: str | None = Field(description="cpu, or the name of the GPU")
    peak_memory_bytes: int | None = Field(description="Largest resident memory of the compute process")
    gpu_peak_memory_bytes: int | None = Field(description="Largest memory allocated on the GPU")
    fetched_bytes: int | None = Field(description="Read from storage")
    stored_bytes: int | None = Field(description="Written to storage")


class JobUsage(BaseModel):
    """Seconds that a job waited and ran, and what its stages used, over all attempts."""

    queue_seconds: float | None = Field(description="Null until a worker has taken the job")
    run_seconds: float | None = Field(description="Null until the job has ended")
    stage_seconds: dict[str, float] | None = Field(
        description="Of run_seconds by stage, without stages whose output was reused; null until the job has ended"
    )
    device: str | None = Field(default=None, description="Name of the GPU that a stage used, else cpu; null until the job has ended")
    peak_memory_bytes: int | None = Field(default=None, description="Largest of the stages, as the fields that follow; null likewise")
    gpu_peak_memory_bytes: int | None = None
    fetched_bytes: int | None = Field(default=None, description="Sum over the stages: read from storage")
    stored_bytes: int | None = Field(default=None, description="Sum over the stages: written to storage")
    stages: dict[str, StageUsage] | None = Field(default=None, description="By stage; null until the job has ended")
