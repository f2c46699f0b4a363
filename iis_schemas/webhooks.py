"""Requests and answers of webhooks and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.names import EventType, JobEventType

URL_MAX_CHARACTERS = 2000
PATTERN = r"^[^\x00]*$"


Type = TypeVar("Type", bound=str)


def _without_repeats(events: list[Type]) -> list[Type]:
    return list(dict.fromkeys(events))


Url = Annotated[str, Field(max_length=URL_MAX_CHARACTERS, description="https://, on the public internet, without user name or fragment")]
Events = Annotated[list[EventType], Field(min_length=1), AfterValidator(_without_repeats)]
Filter = Annotated[Events | None, Field(description="Event types to send; null for all, those of later releases included")]
JobEvents = Annotated[list[JobEventType], Field(min_length=1), AfterValidator(_without_repeats)]
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


class WebhookChoice(BaseModel):
    """The webhook that a request names."""

    webhook: str | None = Field(
        default=None,
        min_length=1,
        max_length=URL_MAX_CHARACTERS,
        pattern=PATTERN,
        description="Where its end is announced: whk_… of a webhook of yours, or an address. A webhook of yours with this address is used;"
        " for a new one, a webhook is registered, which needs a key with the scope admin",
    )


class JobWebhookChoice(WebhookChoice):
    """The webhook that the request of a job names, and the events that it receives."""

    webhook_events: JobEvents | None = Field(default=None, description="Events of this job to send there; null for all")

    @model_validator(mode="after")
    def _events_have_an_address(self) -> Self:
        if self.webhook_events is not None and self.webhook is None:
            raise PydanticCustomError("webhook_needed", "webhook_events are sent to a webhook; give its address or id as webhook.")
        return self


class WebhookCreate(BaseModel):
    """Register a webhook."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.org/hooks/iis", "events": ["job.succeeded", "job.failed"]}]},
    )

    url: Url
    events: Filter = None
    description: Description = None
    enabled: StrictBool = True


class WebhookUpdate(BaseModel):
    """Change a webhook; fields that are left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"events": None, "enabled": True}]})

    url: Url = ""
    events: Filter = None
    description: Description = None
    enabled: StrictBool = True


class WebhookView(BaseModel):
    """A webhook without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE]})

    id: str
    url: str
    description: str | None
    events: list[EventType] | None = Field(
        description="Event types that it receives; null for all. Empty where the request of a job or study registered it: then those alone"
        " of jobs and studies that name it"
    )
    enabled: bool
    disabled_reason: str | None = Field(description="Why the service disabled it; enabling it resets its failures")
    previous_secret_expires_at: datetime | None = Field(description="Until when the previous secret signs too")
    created_at: datetime
    links: dict[str, str]


class WebhookWithSecret(WebhookView):
    """A webhook with its new secret, which is shown once; a replay under the same Idempotency-Key has null instead."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**WEBHOOK_EXAMPLE, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]})

    secret: str | None = Field(description="Signs the messages, by the Standard Webhooks scheme")


class DeliveryView(BaseModel):
    """One event for one webhook. `event` is the header webhook-id, the same on every attempt."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERY_EXAMPLE]})

    id: str
    webhook: str
    event: str
    type: str
    state: Literal["pending", "succeeded", "failed"]
    attempts: int = Field(description="Attempts since it was created or replayed")
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    response_excerpt: str | None = Field(description="The beginning of the last response body")
    body: str = Field(description="The exact body")
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]
