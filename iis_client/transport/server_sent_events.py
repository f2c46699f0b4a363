"""Stream a job's events (server-sent events); resume after a lost connection with Last-Event-ID."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator

import httpx

from iis_client.errors import ServiceError
from iis_client.transport.http import Transport
from iis_client.transport.messages import parse_answer
from iis_schemas.jobs.events import EventView
from iis_schemas.names import FINISHED_STATES

STREAM_TIMEOUT_SECONDS = 60.0  # the service sends keep-alive comments far more often
RECONNECT_PAUSE_SECONDS = 1.0


def stream_events(transport: Transport, job: str, last_event_id: int | None = None) -> Iterator[EventView]:
    """Yield a job's events from the first (or from after `last_event_id`) until the final one.

    A lost connection is reopened with `Last-Event-ID`, so that no event is repeated or missed. 5xx and 429 are retried like other
    requests; a stream that ends without an event is reopened after a second.

    Raises
    ------
    ServiceError
        When the service refuses the stream.
    ServiceUnreachableError
        When there is no connection after the last attempt.
    """
    attempt = 0
    while True:
        opened_after = last_event_id
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        try:
            with transport.stream(f"/v1/jobs/{job}/events", headers=headers, read_timeout_seconds=STREAM_TIMEOUT_SECONDS) as response:
                for event in parse_events(response.iter_lines()):
                    attempt = 0
                    last_event_id = event.id
                    yield event
                    if is_final(event):
                        return
        except (httpx.TransportError, ServiceError) as error:
            attempt += 1
            transport.wait_before_retry(attempt, error)
            continue
        if transport.send("GET", f"/v1/jobs/{job}").json()["state"] in FINISHED_STATES:
            return
        if last_event_id == opened_after:
            time.sleep(RECONNECT_PAUSE_SECONDS)


def parse_events(lines: Iterable[str]) -> Iterator[EventView]:
    """Parse the lines of a text/event-stream; skip comments and messages without an id."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and "data" in fields else value
            continue
        if fields.get("id", "").isdigit() and "data" in fields:
            yield parse_answer(EventView, {**json.loads(fields["data"]), "id": int(fields["id"])})
        fields = {}


def is_final(event: EventView) -> bool:
    """Whether the event is a job's last one."""
    return event.type == "state" and event.data.get("state") in FINISHED_STATES
