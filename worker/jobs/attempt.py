"""One attempt at one job: its rows, workspace, fenced writes and computing. How an attempt ends lives in `worker.jobs.runner`."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import Dataset, Job, Model, Upload
from app.db.session import is_outage
from worker.jobs.access import fetches_by_name, server_paths
from worker.jobs.artifacts import OwnersArtifacts, safe_name
from worker.jobs.progress import Progress
from worker.metrics import STAGE_SECONDS
from worker.runtime import Runtime
from worker.sandbox.process import DeadlinePassed, Interrupted, Stop, Watch
from worker.sandbox.scratch_folders import workspace_name

DATABASE_PAUSE_SECONDS = 0.5

Value = TypeVar("Value")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StageWorkspace:
    """Where stages work, and on which images.

    Attributes
    ----------
    of_library : whether the data set is one that only the library is cut from; events say so by its id
    """

    folder: Path
    dataset: Dataset | None
    of_library: bool = False

    @property
    def told(self) -> dict[str, str]:
        """What events of its stages say beside the stage."""
        return {"dataset": self.dataset.id} if self.of_library and self.dataset is not None else {}


@dataclass(frozen=True)
class JobRows:
    """What the database says about a job when an attempt begins."""

    job: Job
    model: Model | None
    dataset: Dataset | None
    library_dataset: Dataset | None
    vlm: Model | None
    uploads: dict[str, Upload]
    seconds_left: float


class Attempt(AbstractContextManager["Attempt"]):
    """A claimed job in this worker's hands; used as a context, it removes the workspace folder that `make_workspace` made."""

    def __init__(self, runtime: Runtime, job_id: str, token: str, stop: Stop) -> None:
        self.runtime = runtime
        self.job_id = job_id
        self.token = token
        self.stop = stop
        self.workspace = runtime.compute.folder / workspace_name(job_id, token)
        self._watch = Watch(stop, math.inf, runtime.limits)
        self.rows = self.write(self._read)
        self.artifacts = OwnersArtifacts(self.rows.job.owner_id, runtime.store)
        self._watch = replace(self._watch, deadline=time.monotonic() + self.rows.seconds_left)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.workspace, ignore_errors=True)

    def make_workspace(self) -> None:
        """Make the folder that stages work in."""
        self.runtime.compute.create_folder()
        self.workspace.mkdir()

    @property
    def place(self) -> StageWorkspace:
        """Where the job's own data set is worked on."""
        return StageWorkspace(self.workspace, self.rows.dataset)

    def library_place(self) -> StageWorkspace:
        """A folder of its own for the data set that the library is cut from, whose files have the same names."""
        folder = self.workspace / "library"
        folder.mkdir(exist_ok=True)
        return StageWorkspace(folder, self.rows.library_dataset, of_library=True)

    def write(self, action: Callable[[Session], Value]) -> Value:
        """Run `action` in one transaction; while the database is away, wait for it as long as the lease may still be ours.

        Raises
        ------
        Interrupted, DeadlinePassed, LeaseLost, CancelRequested
        """
        while True:
            self.stop.check()
            try:
                return self._transaction(action)
            except SQLAlchemyError as error:
                if not is_outage(error):
                    raise
                if time.monotonic() > self._watch.deadline:
                    raise DeadlinePassed from error
                log.warning("database_away", job_id=self.job_id, error=str(error))
                self.stop.event.wait(DATABASE_PAUSE_SECONDS)

    def end(self, action: Callable[[Session], Value]) -> Value:
        """Like `write` for the transaction that ends the attempt: a request to stop does not hinder it, a lost lease does."""
        while True:
            try:
                return self._transaction(action)
            except SQLAlchemyError as error:
                if not is_outage(error):
                    raise
                log.warning("database_away", job_id=self.job_id, error=str(error))
                if time.monotonic() > self.stop.lease_until:
                    raise Interrupted("lease_lost") from error
                time.sleep(DATABASE_PAUSE_SECONDS)

    def compute(
        self,
        stage: str,
        arguments: dict[str, Any],
        *,
        part: str | None = None,
        place: StageWorkspace | None = None,
        on_output: Callable[[str, dict[str, Any] | None], None] | None = None,
    ) -> dict[str, Any]:
        """Run a stage in the compute process, with its events and progress; returns its result.

        Parameters
        ----------
        part : which of several runs of the stage this is
        """
        began = time.monotonic()
        place = place or self.place
        self.stage_event(stage, "started", part=part, place=place)
        result = self.runtime.compute.run(
            stage,
            place.folder,
            arguments,
            self._watch,
            owner_id=self.rows.job.owner_id,
            reads=server_paths(self.runtime.settings, self.rows.dataset, self.rows.library_dataset),
            network=self.runtime.settings.allow_hub and fetches_by_name(stage, self.rows.model, place.dataset, self.rows.vlm),
            on_progress=Progress(lambda done, total, eta: self._report(stage, part, done, total, eta)),
            on_output=on_output or (lambda _name, _about: None),
        )
        for warning in result.get("warnings", ()):
            self.write(lambda session, text=warning: transitions.add_event(session, self.job_id, self.token, "warning", {"message": text}))
        STAGE_SECONDS.labels(stage).observe(time.monotonic() - began)
        return result

    def stage_event(self, stage: str, state: str, *, part: str | None = None, place: StageWorkspace | None = None) -> None:
        """Tell listeners that a stage was started, finished, or reused."""
        event = {"stage": stage, **part_of(part), "state": state, **(place.told if place is not None else {})}
        self.write(lambda session: transitions.add_event(session, self.job_id, self.token, "stage", event))
        if state == "started":
            self._report(stage, part, 0, 0, None)

    def fetch_upload(self, upload_id: str) -> Path:
        """The uploaded file in the workspace, under its own (cleaned) name."""
        upload = self.rows.uploads[upload_id]
        path = self.workspace / upload.id / safe_name(upload.filename)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            self.artifacts.fetch(upload.sha256, path, self.stop.check)
        return path

    def _read(self, session: Session) -> JobRows:
        job = session.get_one(Job, self.job_id)
        model = session.get(Model, job.model_id) if job.model_id else None
        dataset = session.get(Dataset, job.dataset_id) if job.dataset_id else None
        library_dataset = session.get(Dataset, job.library_dataset_id) if job.library_dataset_id else None
        vlm = session.get(Model, job.vlm_id) if job.vlm_id else None
        upload_ids = [row.upload_id for row in (model, dataset, library_dataset, vlm) if row is not None and row.upload_id]
        upload_ids += [given] if (given := job.spec.get("upload")) else []
        upload_ids += [row.text_upload_id for row in (model, vlm) if row is not None and row.text_upload_id]
        uploads = {upload.id: upload for upload in session.scalars(select(Upload).where(Upload.id.in_(upload_ids)))}
        return JobRows(job, model, dataset, library_dataset, vlm, uploads, job.deadline_seconds - job.ran_seconds)

    def _report(self, stage: str, part: str | None, done: int, total: int, eta_seconds: float | None) -> None:
        self.write(
            lambda session: transitions.report_progress(
                session, self.job_id, self.token, stage=stage, part=part, done=done, total=total, eta_seconds=eta_seconds
            )
        )

    def _transaction(self, action: Callable[[Session], Value]) -> Value:
        with self.runtime.sessions.begin() as session:
            return action(session)


def part_of(part: str | None) -> dict[str, str]:
    """The field of an event that says which of several runs of a stage it is about; none where there is one alone."""
    return {} if part is None else {"part": part}
