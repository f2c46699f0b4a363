"""A job's events as they happen: server-sent events, resumed where a lost connection stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import cast

import httpx

from iis_client.errors import ServiceError
from iis_client.transport.http import Transport
from iis_client.types.scores import FINISHED_STATES, Event

SILENCE_TIMEOUT_SECONDS = 60.0  # the service says something, if only that it lives, far more often
WORDLESS_PAUSE_SECONDS = 1.0


def follow(transport: Transport, job: str, last_event_id: int | None = None) -> Iterator[Event]:
    """Yield a job's events from the first (or from after `last_event_id`) until the one that ends it.

    A lost connection is opened again with `Last-Event-ID`: no event comes twice and none is missed. A service that answers 5xx or
    429 is asked again after the same pauses, as often; one that ends the stream without a word is asked again a second later.

    Raises
    ------
    ServiceError
        When the answer is a refusal that stays one.
    ServiceUnreachableError
        When there is no connection after the last attempt.
    """
    attempt = 0
    while True:
        heard = last_event_id
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        try:
            with transport.stream(f"/v1/jobs/{job}/events", headers=headers, read_timeout_seconds=SILENCE_TIMEOUT_SECONDS) as response:
                for event in parse(response.iter_lines()):
                    attempt = 0
                    last_event_id = event["id"]
                    yield event
                    if ends(event):
                        return
        except (httpx.TransportError, ServiceError) as lost:
            attempt += 1
            transport.wait_before_retry(attempt, lost)
            continue
        if transport.send("GET", f"/v1/jobs/{job}").json()["state"] in FINISHED_STATES:
            return
        if last_event_id == heard:
            time.sleep(WORDLESS_PAUSE_SECONDS)


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """Events out of the lines of a text/event-stream; comments and messages without an id are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and "data" in fields else value
            continue
        if fields.get("id", "").isdigit() and "data" in fields:
            yield _event(fields)
        fields = {}


def ends(event: Event) -> bool:
    """Whether nothing comes after this event."""
    return event["type"] == "state" and event["data"].get("state") in FINISHED_STATES


def _event(fields: dict[str, str]) -> Event:
    return cast("Event", {**json.loads(fields["data"]), "id": int(fields["id"])})
