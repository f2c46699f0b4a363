"""How a stage can end other than with its result, as exceptions of the parent."""

from __future__ import annotations


class StageRefused(Exception):
    """The stage refused its input; another attempt would fail in the same way."""

    def __init__(self, code: str, message: str, param: str | None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "param": param}


class ChildLost(Exception):
    """The compute process died or crashed; another attempt may succeed. The message is a sentence."""


class DeadlinePassed(Exception):
    """The job's deadline passed before the stage ended."""


class Interrupted(Exception):
    """The job must stop now, for the reason in `Stop.reason`."""
