"""Wire types of webhooks and of what was delivered to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from iis_schemas.names import EventType

URL_MAX_CHARACTERS = 2000
PATTERN = r"^[^\x00]*$"


def _without_repeats(events: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(events))


Url = Annotated[str, Field(max_length=URL_MAX_CHARACTERS, description="https://, on the public internet, without user name or fragment")]
Events = Annotated[list[EventType], Field(min_length=1), AfterValidator(_without_repeats)]
Filter = Annotated[Events | None, Field(description="The types to be told of; null for all, those of later releases too")]
Description = Annotated[str | None, Field(min_length=1, max_length=500, pattern=PATTERN)]

WEBHOOK_EXAMPLE: dict[str, Any] = {
    "id": "whk_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "url": "https://example.org/hooks/iis",
    "description": "posts scores to the team's channel",
    "events": ["job.succeeded", "job.failed"],
    "enabled": True,
    "disabled_reason": None,
    "previous_secret_expires_at": None,
    "created_at": "2026-01-12T09:30:00Z",
    "links": {
        "self": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "deliveries": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w/deliveries",
        "test": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w/test",
        "rotate-secret": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w/rotate-secret",
    },
}
DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": "dlv_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "webhook": "whk_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "event": "evt_01jz3v9a1b3c5d7e9f1g3h5j7m",
    "type": "job.succeeded",
    "state": "pending",
    "attempts": 1,
    "next_attempt_at": "2026-01-12T09:30:06Z",
    "last_attempt_at": "2026-01-12T09:30:01Z",
    "last_status": 503,
    "last_error": "The receiver answered 503.",
    "response_excerpt": "try later",
    "body": '{"type": "job.succeeded", "timestamp": "2026-01-12T09:30:00Z", "data": {"id": "job_01jz3v9a1b3c5d7e9f1g3h5j7k"}}',
    "created_at": "2026-01-12T09:30:00Z",
    "finished_at": None,
    "links": {
        "self": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w/deliveries/dlv_01jz3v9a1b3c5d7e9f1g3h5j7k",
        "replay": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w/deliveries/dlv_01jz3v9a1b3c5d7e9f1g3h5j7k/replay",
        "webhook": "/v1/webhooks/whk_01jz3v8k2m4n6p8q0r2s4t6v8w",
    },
}


class WebhookCreate(BaseModel):
    """A request to be told of events."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.org/hooks/iis", "events": ["job.succeeded", "job.failed"]}]},
    )

    url: Url
    events: Filter = None
    description: Description = None
    enabled: StrictBool = True


class WebhookUpdate(BaseModel):
    """What to change of a webhook; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"events": None, "enabled": True}]})

    url: Url = ""
    events: Filter = None
    description: Description = None
    enabled: StrictBool = True


class WebhookView(BaseModel):
    """A webhook without its secret, which is shown once."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE]})

    id: str
    url: str
    description: str | None
    events: list[EventType] | None
    enabled: bool
    disabled_reason: str | None = Field(description="Why the service disabled it; enabled again, it starts anew")
    previous_secret_expires_at: datetime | None = Field(description="Until when the secret before signs too")
    created_at: datetime
    links: dict[str, str]


class WebhookWithSecret(WebhookView):
    """A webhook with a new secret, shown this once; a replay under the same Idempotency-Key has null in its place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**WEBHOOK_EXAMPLE, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]})

    secret: str | None = Field(description="Signs what is sent, by the Standard Webhooks scheme")


class DeliveryView(BaseModel):
    """One event for one webhook. `event` is the header webhook-id, the same on every attempt."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERY_EXAMPLE]})

    id: str
    webhook: str
    event: str
    type: str
    state: Literal["pending", "succeeded", "failed"]
    attempts: int = Field(description="Begun since it was written, or replayed")
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    response_excerpt: str | None = Field(description="How the last answer's body began")
    body: str = Field(description="What is sent, to the letter")
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]
