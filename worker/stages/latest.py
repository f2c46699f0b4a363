"""Keep what the latest stage has opened, so that the next tasks of the same job do not load the network again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from worker.sandbox.messages import JsonObject

DETERMINING = ("sources", "elements", "layers", "shard_folder")
"""Arguments that decide what a stage opens."""

Value = TypeVar("Value")
_latest: dict[str, Any] = {}


def opened(stage: str, workspace: Path, arguments: JsonObject, open_: Callable[[], Value]) -> Value:
    """What `open_` has returned for the same stage, workspace and arguments, if that was the latest call; else open it now."""
    key = json.dumps([stage, str(workspace), {name: arguments.get(name) for name in DETERMINING}], sort_keys=True)
    if key not in _latest:
        _latest.clear()  # before the next one takes memory
        _latest[key] = open_()
    return _latest[key]


def forget() -> None:
    """Release the latest one."""
    _latest.clear()
