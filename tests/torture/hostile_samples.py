"""A hostile file and what the service may make of it. The files are made by the `hostile_…` modules beside; none is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL, DATASET, BATCH = "check_model", "check_dataset", "unpack"
REFUSED, HANDLED, EITHER, KILLED = "refused", "handled", "either", "killed"


@dataclass(frozen=True)
class Sample:
    """One file.

    Attributes
    ----------
    kind : the stage that is asked to read it
    ends : `refused` with a sentence, `handled`, `either`, or `killed` by its deadline or memory limit
    request : what differs from the usual request of the kind
    says : what the words of a refusal must hold
    """

    name: str
    path: Path
    kind: str
    ends: str = REFUSED
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    says: str = ""


Samples = Iterator[Sample]
