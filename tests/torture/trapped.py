"""`python -m torture.trapped FOLDER MODULE ARGUMENTS…`: run a program of the service that halts at named points once a trap is armed.

The points lie between two steps of the service where a fault would hurt most. A process that comes to one whose trap is armed writes
`<point>.<pid>.reached` and goes no further until somebody removes that file; its other threads go on.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELD_AT_MOST_SECONDS = 120

POINTS = (
    "after_commit_before_publish",
    "after_claim",
    "in_a_stage",
    "between_artifact_and_row",
    "in_the_final_transaction",
    "during_cancel",
)


def arm(folder: Path, point: str) -> None:
    """Let the next process that comes to `point` halt there."""
    (folder / f"{point}.armed").touch()


def disarm(folder: Path, point: str) -> None:
    """Let nobody halt there any more, and go on whoever does."""
    (folder / f"{point}.armed").unlink(missing_ok=True)
    for held in folder.glob(f"{point}.*.reached"):
        held.unlink(missing_ok=True)


def reached(folder: Path, point: str) -> dict[str, Any] | None:
    """What is known of the process that halts at `point`: pid, and child where there is one."""
    for path in folder.glob(f"{point}.*.reached"):
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return None
    return None


def _halt(folder: Path, point: str, child: int | None = None) -> None:
    armed = folder / f"{point}.armed"
    held = folder / f"{point}.{os.getpid()}.reached"
    partial = held.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "child": child}))
    try:
        armed.unlink()  # one process alone can
    except FileNotFoundError:
        partial.unlink()
        return
    partial.rename(held)
    until = time.monotonic() + HELD_AT_MOST_SECONDS
    while held.exists() and time.monotonic() < until:
        time.sleep(0.01)


def _set_traps(folder: Path, program: str) -> None:
    import app.queue
    from app.db import transitions

    def before(owner: Any, name: str, point: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def trapped(*args: Any, **kwargs: Any) -> Any:
            _halt(folder, point)
            return original(*args, **kwargs)

        setattr(owner, name, trapped)

    def after(owner: Any, name: str, point: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def trapped(*args: Any, **kwargs: Any) -> Any:
            done = original(*args, **kwargs)
            _halt(folder, point, getattr(args[0], "pid", None) if args else None)
            return done

        setattr(owner, name, trapped)

    if program == "uvicorn":
        before(app.queue, "wake_worker", "after_commit_before_publish")
        return
    from worker.jobs import runner
    from worker.jobs.artifacts import OwnersArtifacts
    from worker.sandbox.process import ChildProcess

    before(runner, "_run_claimed", "after_claim")
    after(ChildProcess, "_send", "in_a_stage")
    after(OwnersArtifacts, "upload", "between_artifact_and_row")
    after(transitions, "succeed", "in_the_final_transaction")
    before(transitions, "finish_cancel", "during_cancel")


if __name__ == "__main__":
    module = sys.argv[2]
    _set_traps(Path(sys.argv[1]), module)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
