"""A malicious file and its expected outcome. The modules `hostile_…` make the files; none is stored in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL, DATASET, BATCH = "check_model", "check_dataset", "unpack"
REFUSED, HANDLED, EITHER, KILLED = "refused", "handled", "either", "killed"


@dataclass(frozen=True)
class Sample:
    """A file, the stage that reads it, and the expected outcome.

    Attributes
    ----------
    stage : stage that reads it
    expected : `refused` with a sentence, `handled`, `either`, or `killed` by its deadline or memory limit
    request : changes to the stage's usual request
    message_part : text that the message of a refusal must contain
    """

    name: str
    path: Path
    stage: str
    expected: str = REFUSED
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    message_part: str = ""


Samples = Iterator[Sample]
