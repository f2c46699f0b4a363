"""Format of the messages between the worker and its compute process: JSON objects, one a line.

Requests, one at a time:
    {"stage", "workspace", "arguments", "seconds"}
Replies, first once after the start:
    {"type": "hello", "protections"}
then for each request any number of
    {"type": "progress", "done", "total"}
    {"type": "output", "name", "details"}       a file is complete, with details for the worker or null
and one of
    {"type": "done", "result", "usage"}                 usage as in worker.child.usage
    {"type": "refused", "code", "message", "param"}     the input is at fault
    {"type": "crashed", "message"}                      the service is at fault
"""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
