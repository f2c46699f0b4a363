"""Answers of the health routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

LINKS = {"self": "/v1/health/ready", "live": "/v1/health/live", "metrics": "/v1/metrics"}
READY_EXAMPLE: dict[str, Any] = {"status": "ok", "database": "ok", "redis": "ok", "storage": "ok", "links": LINKS}


class Live(BaseModel):
    """Liveness of the process."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "links": {**LINKS, "self": "/v1/health/live"}}]})

    status: Literal["ok"] = "ok"
    links: dict[str, str] = {"self": "/v1/health/live", "ready": "/v1/health/ready", "metrics": "/v1/metrics"}


class Ready(BaseModel):
    """State of the dependencies. `degraded`: jobs are accepted, but wait until Redis is back."""

    model_config = ConfigDict(json_schema_extra={"examples": [READY_EXAMPLE]})

    status: Literal["ok", "degraded", "unavailable"]
    database: Literal["ok", "unavailable"]
    redis: Literal["ok", "unavailable"]
    storage: Literal["ok", "unavailable"]
    links: dict[str, str] = LINKS
