"""Parsing of server-sent events."""

from __future__ import annotations

from iis_client.transport.server_sent_events import parse_events


def test_events_are_parsed_and_comments_and_messages_without_id_skipped() -> None:
    stream = """: connected
retry: 2000

id: 7
event: progress
data: {"id": 7, "job": "job_1", "created_at": "2026-01-12T09:30:05Z", "type": "progress",
data: "data": {"stage": "extract", "done": 1}}

: ping

event: noise
data: {}

id: 9
data: {"id": 9, "job": "job_1", "created_at": "2026-01-12T09:30:06Z", "type": "state", "data": {"state": "succeeded"}}

id: 10
data: {"cut off"
"""
    events = list(parse_events(stream.splitlines()))
    assert [(event.id, event.type) for event in events] == [(7, "progress"), (9, "state")]
    assert events[0].data == {"stage": "extract", "done": 1}
