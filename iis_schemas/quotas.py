"""Quotas and rate limits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import Scope

QUOTAS_EXAMPLE: dict[str, Any] = {
    "stored_bytes": {"limit": 4398046511104, "used": 18253611008},
    "open_uploads": {"limit": 500, "used": 1},
    "unfinished_jobs": {"limit": 50000, "used": 12},
    "jobs_per_day": {"limit": 100000, "used": 340},
    "pending_validations": {"limit": 500, "used": 2},
    "retention": {"results_days": None, "failed_jobs_days": 90, "events_days": 30, "deleted_days": 30},
    "requests": {"per_second": 500.0, "burst": 2000},
    "key": {"id": "key_01jz3v8k2m4n6p8q0r2s4t6v8w", "scopes": ["read", "write"], "expires_at": "2027-01-12T00:00:00Z"},
    "links": {"self": "/v1/quotas", "uploads": "/v1/uploads", "jobs": "/v1/jobs"},
}


class QuotaView(BaseModel):
    """One quota."""

    limit: int | None = Field(description="null where there is none")
    used: int


class RateView(BaseModel):
    """The request rate of an owner, with all API keys together; null where there is no limit."""

    per_second: float | None
    burst: int | None = Field(description="Requests in one burst")


class AskingKeyView(BaseModel):
    """The key of the request."""

    id: str
    scopes: list[Scope]
    expires_at: datetime | None


class RetentionView(BaseModel):
    """Days until the service deletes what has ended; null where it keeps it for good."""

    results_days: int | None = Field(description="After the end of a job that succeeded, or of a study: the job with its results")
    failed_jobs_days: int | None = Field(description="After the end of a failed or canceled job, or of a validation")
    events_days: int | None = Field(description="After the end of a job: its events other than changes of state")
    deleted_days: int | None = Field(description="After a model, data set or concept set was deleted: its name, once no job needs it")


class QuotasView(BaseModel):
    """Quotas of an owner with their use."""

    model_config = ConfigDict(json_schema_extra={"examples": [QUOTAS_EXAMPLE]})

    stored_bytes: QuotaView = Field(description="Of complete uploads, each content once, and the declared bytes of open ones")
    open_uploads: QuotaView
    unfinished_jobs: QuotaView = Field(description="Those of studies included")
    jobs_per_day: QuotaView = Field(description="Created in the last 24 hours")
    pending_validations: QuotaView = Field(description="Pending models, data sets and versions of concept sets")
    retention: RetentionView
    requests: RateView
    key: AskingKeyView
    links: dict[str, str]
