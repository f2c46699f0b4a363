"""Events of a job. The same event is a row of a page and a message of a stream."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

EVENT_EXAMPLE: dict[str, Any] = {
    "id": 4211,
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "type": "progress",
    "data": {"stage": "extract", "title": "Extracting features", "done": 640, "total": 1797, "eta_seconds": 12.5},
    "created_at": "2026-01-12T09:30:05Z",
}


class EventView(BaseModel):
    """An event of a job. `id` grows within a job; pass it as `after` or `Last-Event-ID` to resume."""

    model_config = ConfigDict(json_schema_extra={"examples": [EVENT_EXAMPLE]})

    id: int
    job: str
    type: str
    data: dict[str, JsonValue]
    created_at: datetime
