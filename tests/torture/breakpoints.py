"""`python -m torture.breakpoints FOLDER MODULE ARGUMENTS…`: run a program of the service with breakpoints.

Breakpoints lie between two steps where a fault is most harmful. A thread that reaches an armed one writes `<point>.<pid>.reached` to the
folder and waits until that file is removed.
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

HALT_SECONDS_MAX = 120

POINTS = (
    "after_commit_before_publish",
    "after_claim",
    "in_a_stage",
    "between_artifact_and_row",
    "in_the_final_transaction",
    "during_cancel",
)


def arm(folder: Path, point: str) -> None:
    """Make the next process that reaches `point` halt there."""
    (folder / f"{point}.armed").touch()


def disarm(folder: Path, point: str) -> None:
    """Disarm `point`, and let a halted process continue."""
    (folder / f"{point}.armed").unlink(missing_ok=True)
    for file in folder.glob(f"{point}.*.reached"):
        file.unlink(missing_ok=True)


def reached(folder: Path, point: str) -> dict[str, Any] | None:
    """{pid, child} of the process that halts at `point`; None where none does."""
    for path in folder.glob(f"{point}.*.reached"):
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return None
    return None


def _halt(folder: Path, point: str, child: int | None = None) -> None:
    armed = folder / f"{point}.armed"
    reached_file = folder / f"{point}.{os.getpid()}.reached"
    partial = reached_file.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "child": child}))
    try:
        armed.unlink()  # succeeds for one process alone
    except FileNotFoundError:
        partial.unlink()
        return
    partial.rename(reached_file)
    until = time.monotonic() + HALT_SECONDS_MAX
    while reached_file.exists() and time.monotonic() < until:
        time.sleep(0.01)


def _set_breakpoints(folder: Path, program: str) -> None:
    import app.queue
    from app.db import transitions

    def before(owner: Any, name: str, point: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def with_breakpoint(*args: Any, **kwargs: Any) -> Any:
            _halt(folder, point)
            return original(*args, **kwargs)

        setattr(owner, name, with_breakpoint)

    def after(owner: Any, name: str, point: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def with_breakpoint(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            _halt(folder, point, getattr(args[0], "pid", None) if args else None)
            return result

        setattr(owner, name, with_breakpoint)

    if program in {"app", "uvicorn"}:
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
    _set_breakpoints(Path(sys.argv[1]), module)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
