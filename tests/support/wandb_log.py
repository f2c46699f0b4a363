"""Read the log of an offline run of W&B: records of protocol buffers in the frames of LevelDB's log format."""

from __future__ import annotations

import importlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER_BYTES = 7  # `:W&B`, a magic number and a version
BLOCK_BYTES = 32 * 1024
FRAME = struct.Struct("<IHB")  # checksum, length, type
FULL, LAST = 1, 4


@dataclass
class OfflineRun:
    """What a run has logged.

    Attributes
    ----------
    history : one dictionary for each logged row
    artifacts : type of each logged artifact
    """

    name: str = ""
    project: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    artifacts: list[str] = field(default_factory=list[str])


def read_offline_run(path: Path) -> OfflineRun:
    """Read the file `run-….wandb` of a finished run."""
    messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    run = OfflineRun()
    for content in _records(path.read_bytes()):
        record = messages.Record()
        record.ParseFromString(content)
        match record.WhichOneof("record_type"):
            case "run":
                run.name, run.project, run.tags = record.run.display_name, record.run.project, tuple(record.run.tags)
                run.config |= _items(record.run.config.update)
            case "config":
                run.config |= _items(record.config.update)
            case "summary":
                run.summary |= _items(record.summary.update)
            case "history":
                run.history.append(_items(record.history.item))
            case "artifact":
                run.artifacts.append(record.artifact.type)
            case _:
                pass
    return run


def _items(updates: Any) -> dict[str, Any]:
    return {one.key or ".".join(one.nested_key): json.loads(one.value_json) for one in updates}


def _records(content: bytes) -> Iterator[bytes]:
    place, parts = HEADER_BYTES, list[bytes]()
    while place + FRAME.size <= len(content):
        if BLOCK_BYTES - place % BLOCK_BYTES < FRAME.size:  # the rest of a block is padding
            place += BLOCK_BYTES - place % BLOCK_BYTES
            continue
        _, length, kind = FRAME.unpack_from(content, place)
        place += FRAME.size
        parts.append(content[place : place + length])
        place += length
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts.clear()
