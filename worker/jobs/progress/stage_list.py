"""The stages of one attempt at a job: their states, the share of the job that is done, and the seconds left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.db.models import Json

StageId = tuple[str, str | None, str | None]
"""Name, part, and the id of the data set where only the concept library is cut from it."""
UNREPORTED_MAX = 0.95
"""Share that is counted as done, at most, of a running stage that reports no progress."""


@dataclass
class ListedStage:
    """One stage.

    Attributes
    ----------
    size : of its work, see `worker.jobs.progress.expected`
    expected_seconds : by the rates of earlier jobs; None where none of a similar size has measured the stage
    weight_seconds : `expected_seconds`, or a rough time in its place
    """

    id: StageId
    size: float
    expected_seconds: float | None
    weight_seconds: float
    state: str = "waiting"  # running, finished, reused, skipped
    seconds: float | None = None
    tasks: Json | None = None
    workers: list[str] = field(default_factory=list[str])
    _began: float = 0.0
    _reported: tuple[float, float, float | None] | None = None  # time, share done, seconds left

    def start(self, now: float) -> None:
        self.state, self._began, self._reported = "running", now, None

    def report(self, now: float, done: int, total: int, eta_seconds: float | None) -> None:
        if total:
            self._reported = (now, min(done / total, 1.0), eta_seconds)

    def share_done(self, now: float) -> float:
        """Share of this stage that is done."""
        if self.state != "running":
            return float(self.state == "finished")
        elapsed = min((now - self._began) / self.weight_seconds, UNREPORTED_MAX)
        return elapsed if self._reported is None else self._reported[1]

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the end of this stage; None where they are not known."""
        if self.state not in ("waiting", "running"):
            return 0.0
        if self._reported is not None and self._reported[2] is not None:
            return max(0.0, self._reported[2] - (now - self._reported[0]))
        if self.expected_seconds is None or self.state == "waiting":
            return self.expected_seconds
        if self.tasks is not None:  # its tasks and those of other stages share the workers, so that time since its start says little
            return self.expected_seconds * (1 - self.share_done(now))
        return max(0.0, self.expected_seconds - (now - self._began))

    @property
    def divides_its_time(self) -> bool:
        """Whether `seconds_left` is work that several workers divide, and not time until the end."""
        return self.tasks is not None and (self._reported is None or self._reported[2] is None)

    def to_json(self) -> Json:
        name, part, dataset = self.id
        identity = {"stage": name, "part": part, "dataset": dataset}
        values: Json = {
            **{key: value for key, value in identity.items() if value is not None},
            "state": self.state,
            "size": self.size,
            "expected_seconds": None if self.expected_seconds is None else round(self.expected_seconds, 1),
            "weight_seconds": round(self.weight_seconds, 3),
            "seconds": self.seconds,
            "workers": self.workers,
        }
        return values if self.tasks is None else values | {"tasks": self.tasks}


class StageList:
    """The stages of an attempt, in order; empty for jobs that list none, of which every change is ignored.

    Attributes
    ----------
    changed : whether it has changed since `to_json`
    """

    def __init__(self, stages: Sequence[ListedStage] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._stages = {stage.id: stage for stage in stages}
        self._clock = clock
        self.changed = False

    def start(self, which: StageId, worker: str) -> None:
        """A worker computes a stage."""
        if (stage := self._of(which)) is None:
            return
        if stage.state != "running":
            stage.start(self._clock())
            self.changed = True
        self._add_workers(stage, [worker])

    def report(self, which: StageId, done: int, total: int, eta_seconds: float | None, tasks: Json | None = None) -> None:
        """Store the progress of a running stage."""
        if (stage := self._of(which)) is None:
            return
        stage.report(self._clock(), done, total, eta_seconds)
        if tasks is not None and tasks != stage.tasks:
            stage.tasks, self.changed = tasks, True

    def finish(self, which: StageId, seconds: float, workers: Iterable[str]) -> None:
        """Workers have computed a stage."""
        if (stage := self._of(which)) is None:
            return
        ended = ("finished", round(seconds, 3))
        self.changed = self.changed or (stage.state, stage.seconds) != ended
        stage.state, stage.seconds = ended
        if stage.tasks is not None:
            stage.tasks = {"done": stage.tasks["total"], "total": stage.tasks["total"], "workers": 0}
        self._add_workers(stage, workers)

    def reuse(self, which: StageId) -> None:
        """The output of a stage was stored before."""
        self._set(which, "reused")

    def skip(self, which: StageId) -> None:
        """No stage needs the output of this one, unless it was made for another already."""
        if (stage := self._stages.get(which)) is not None and stage.state == "waiting":
            self._set(which, "skipped")

    def add_workers(self, which: StageId, workers: Iterable[str]) -> None:
        """Workers have computed parts of a stage."""
        if (stage := self._of(which)) is not None:
            self._add_workers(stage, workers)

    def weight_seconds(self, which: StageId) -> float:
        """Expected seconds of a stage, roughly; 0 where it is not listed."""
        return 0.0 if (stage := self._of(which)) is None else stage.weight_seconds

    def overall(self) -> Json | None:
        """Progress over all stages, as `iis_schemas.jobs.progress.OverallProgress` shows it; None without stages.

        Stages that run side by side end with the last of them, and those that are divided share their workers; all others follow one
        another.
        """
        if not self._stages:
            return None
        now, listed = self._clock(), list(self._stages.values())
        counted = [stage for stage in listed if stage.state not in ("reused", "skipped")]
        weight = sum(stage.weight_seconds for stage in counted)
        done = sum(stage.weight_seconds * stage.share_done(now) for stage in counted)
        at_work = [stage for stage in counted if stage.state == "running"]
        running = [stage.seconds_left(now) for stage in at_work]
        waiting = [stage.seconds_left(now) for stage in counted if stage.state == "waiting"]
        eta = None
        if None not in (*running, *waiting):
            left = [(seconds or 0.0, stage) for seconds, stage in zip(running, at_work, strict=True)]
            workers = {worker for _, stage in left if stage.divides_its_time for worker in stage.workers}
            divided = sum(seconds for seconds, stage in left if stage.divides_its_time) / max(1, len(workers))
            longest = max((seconds for seconds, stage in left if not stage.divides_its_time), default=0.0)
            eta = max(divided, longest) + sum(seconds or 0.0 for seconds in waiting)
        needed = [stage for stage in listed if stage.state != "skipped"]
        counts = [stage.tasks or {"done": 0, "total": 1} for stage in needed]
        ended = [stage.state in ("finished", "reused") for stage in needed]
        return {
            "share_done": round(done / weight, 4) if weight else 1.0,
            "eta_seconds": None if eta is None else round(eta, 1),
            "tasks_done": sum(one["total"] if end else one["done"] for one, end in zip(counts, ended, strict=True)),
            "tasks_total": sum(one["total"] for one in counts),
        }

    def to_json(self) -> list[Json]:
        """The stages as the job's row has them."""
        self.changed = False
        return [stage.to_json() for stage in self._stages.values()]

    def _of(self, which: StageId) -> ListedStage | None:
        return self._stages.get(which)

    def _set(self, which: StageId, state: str) -> None:
        if (stage := self._of(which)) is not None:
            stage.state, self.changed = state, True

    def _add_workers(self, stage: ListedStage, workers: Iterable[str]) -> None:
        found = sorted({*stage.workers, *workers})
        self.changed = self.changed or found != stage.workers
        stage.workers = found
