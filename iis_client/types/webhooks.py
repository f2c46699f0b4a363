"""What the service answers about webhooks, as typed dictionaries."""

from __future__ import annotations

from typing import Literal, TypedDict

EventType = Literal[
    "job.succeeded",
    "job.failed",
    "job.canceled",
    "model.ready",
    "model.failed",
    "dataset.ready",
    "dataset.failed",
    "concept_set.ready",
    "concept_set.failed",
    "study.finished",
]


class Webhook(TypedDict):
    """An address of yours that is told of events; `events` is None for all of them."""

    id: str
    url: str
    description: str | None
    events: list[EventType] | None
    enabled: bool
    disabled_reason: str | None
    previous_secret_expires_at: str | None
    created_at: str
    links: dict[str, str]


class WebhookWithSecret(Webhook):
    """The same with its secret (`whsec_…`), which is shown this once."""

    secret: str | None


class WebhookDelivery(TypedDict):
    """One event for one webhook; `event` is the header webhook-id."""

    id: str
    webhook: str
    event: str
    type: str
    state: Literal["pending", "succeeded", "failed"]
    attempts: int
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    response_excerpt: str | None
    body: str
    created_at: str
    finished_at: str | None
    links: dict[str, str]
