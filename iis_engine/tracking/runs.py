"""A logged run, the import of a tracker's library, and its failures."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal


class TrackerError(RuntimeError):
    """A tracker refused the run or is out of reach; the cause is the exception of its library."""


@dataclass(frozen=True)
class LoggedRun:
    """Run of an experiment tracker that holds a score.

    Attributes
    ----------
    id : of the tracker
    address : of the run's page; without a server the tracking URI, or the folder of an offline run
    """

    id: str
    address: str


def require_package(name: Literal["mlflow", "wandb"]) -> Any:
    """Import a tracker's library.

    Raises
    ------
    ImportError
        When it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"Logging to {name} needs the package {name}; run `pip install 'iis[{name}]'`.") from error


@contextmanager
def failures_of(name: str, failure: type[Exception]) -> Generator[None]:
    """Raise TrackerError for the exceptions of a tracker's library.

    Raises
    ------
    TrackerError
        Where the block raises `failure`.
    """
    try:
        yield
    except failure as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrackerError(f"Logging to {name} failed: {reason}.") from error
