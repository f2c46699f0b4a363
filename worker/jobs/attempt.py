"""One attempt at a job: its rows, workspace, fenced writes and stages. `worker.jobs.runner` decides how an attempt ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.models import Dataset, Job, Json, Model, Upload
from app.db.session import is_outage
from app.db.tasks import ClaimedTask
from app.traces import span
from iis_engine.progress import no_progress
from worker.jobs.access import resolve_server_path
from worker.jobs.artifacts import OwnersArtifacts, safe_name
from worker.jobs.outputs import warnings_of
from worker.jobs.progress.stage_list import StageList
from worker.jobs.progress.throttle import ProgressThrottle
from worker.jobs.stage_workspace import StageWorkspace, part_field
from worker.metrics import STAGE_SECONDS
from worker.runtime import Runtime
from worker.sandbox.outcomes import DeadlinePassed, Interrupted
from worker.sandbox.scratch_folders import workspace_name
from worker.sandbox.trees import remove_tree
from worker.sandbox.watch import Stop, Watch

DATABASE_PAUSE_SECONDS = 0.5

Value = TypeVar("Value")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class JobRows:
    """Database rows of a job, read when an attempt begins."""

    job: Job
    model: Model | None
    dataset: Dataset | None
    library_dataset: Dataset | None
    vlm: Model | None
    uploads: dict[str, Upload]
    seconds_left: float


class Attempt(AbstractContextManager["Attempt"]):
    """A claimed job. Used as a context manager, it removes the folder that `make_folder` made."""

    def __init__(self, runtime: Runtime, job_id: str, token: str, stop: Stop) -> None:
        self.runtime = runtime
        self.job_id = job_id
        self.token = token
        self.stop = stop
        self.folder = runtime.child.folder / workspace_name(job_id, token)
        self._watch = Watch(stop, math.inf, runtime.limits)
        self.stages = StageList()
        self.task: ClaimedTask | None = None  # a training run of another worker's job that is computed here, under the lease of its task
        self.rows = self.write(self._read)
        self.artifacts = OwnersArtifacts(self.rows.job.owner_id, runtime.store)
        self._watch = replace(self._watch, deadline=time.monotonic() + self.rows.seconds_left)
        datasets = (row for row in (self.rows.dataset, self.rows.library_dataset) if row is not None)
        self._server_paths = {row.id: path for row in datasets if (path := resolve_server_path(row, runtime.settings)) is not None}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        remove_tree(self.folder)

    def check_deadline(self) -> None:
        """Raise `DeadlinePassed` when the job's time is up; stages check it by themselves."""
        if time.monotonic() > self._watch.deadline:
            raise DeadlinePassed

    def make_folder(self) -> None:
        """Make the folder that stages work in."""
        self.runtime.child.create_folder()
        self.folder.mkdir()

    @property
    def workspace(self) -> StageWorkspace:
        """The workspace for the job's own data set."""
        return StageWorkspace(self.folder, self.rows.dataset)

    def library_workspace(self) -> StageWorkspace:
        """A separate workspace for the data set that the library is cut from, since its files have the same names."""
        folder = self.folder / "library"
        folder.mkdir(exist_ok=True)
        return StageWorkspace(folder, self.rows.library_dataset, of_library=True)

    def server_path(self, dataset: Dataset) -> Path | None:
        """The resolved path of a data set on the server; None where it has none, or the operator allows no reading."""
        return self._server_paths.get(dataset.id)

    def write(self, action: Callable[[Session], Value]) -> Value:
        """Run `action` in one transaction; retry while the database is unavailable and the lease may still be valid.

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
                log.warning("database_unavailable", job_id=self.job_id, error=str(error))
                self.stop.event.wait(DATABASE_PAUSE_SECONDS)

    def end(self, action: Callable[[Session], Value]) -> Value:
        """Like `write`, for the transaction that ends the attempt: it ignores requests to stop, but not a lost lease."""
        while True:
            try:
                return self._transaction(action)
            except SQLAlchemyError as error:
                if not is_outage(error):
                    raise
                log.warning("database_unavailable", job_id=self.job_id, error=str(error))
                if time.monotonic() > self.stop.abandon_at:
                    raise Interrupted("lease_lost") from error
                time.sleep(DATABASE_PAUSE_SECONDS)

    def list_stages(self, stages: StageList) -> None:
        """Store the stages of this attempt."""
        self.stages = stages
        self.store_stages()

    def store_stages(self) -> None:
        """Store the list of stages as it is now."""
        stages = self.stages.to_json()
        self.write(lambda session: transitions.list_stages(session, self.job_id, self.token, stages))

    def run_stage(
        self,
        stage: str,
        arguments: Json,
        *,
        network: bool = False,
        part: str | None = None,
        workspace: StageWorkspace | None = None,
        on_output: Callable[[str, Json | None], None] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Json:
        """Run a stage in the child process and record its events and progress; returns its result.

        Parameters
        ----------
        network : whether the stage downloads weights or images by name, where the settings allow it
        part : which of several runs of the stage this is
        workspace : the attempt's own unless given
        before : work that belongs to the stage and precedes it
        """
        began, where = time.monotonic(), workspace or self.workspace
        with span(f"stage {stage}", {"iis.job.id": self.job_id, **({} if part is None else {"iis.stage.part": part})}):
            self.stage_event(stage, "started", part=part, workspace=where)
            if before is not None:
                before()
            result = self.compute(
                stage,
                arguments,
                network=network,
                workspace=where,
                on_progress=ProgressThrottle(lambda done, total, eta: self.report(stage, done, total, eta, part=part, workspace=where)),
                on_output=on_output,
            )
        if warnings := warnings_of(result):
            self.write(lambda session: self._add_warnings(session, warnings))
        STAGE_SECONDS.labels(stage).observe(time.monotonic() - began)
        return result

    def compute(
        self,
        stage: str,
        arguments: Json,
        *,
        network: bool = False,
        workspace: StageWorkspace | None = None,
        on_progress: Callable[[int, int], None] = no_progress,
        on_output: Callable[[str, Json | None], None] | None = None,
    ) -> Json:
        """Run a stage in the child process without events; returns its result."""
        return self.runtime.child.run(
            stage,
            (workspace or self.workspace).folder,
            arguments,
            self._watch,
            owner_id=self.rows.job.owner_id,
            reads=tuple(self._server_paths.values()),
            network=network and self.runtime.settings.allow_hub,
            on_progress=on_progress,
            on_output=on_output or (lambda _name, _about: None),
            on_usage=self.artifacts.meter.add_run,
        )

    def stage_event(self, stage: str, state: str, *, part: str | None, workspace: StageWorkspace) -> None:
        """Add an event: the stage was started or reused."""
        event = {"stage": stage, **part_field(part), "state": state, **workspace.event_fields}
        if state == "started":
            event["worker"] = self.runtime.name
            self.stages.start(workspace.stage_id(stage, part), self.runtime.name)
        else:
            self.stages.reuse(workspace.stage_id(stage, part))
        self.write(lambda session: self.add_event(session, "stage", event))
        if state == "started":
            self.report(stage, 0, 0, None, part=part, workspace=workspace)

    def add_event(self, session: Session, kind: str, data: Json) -> None:
        """Insert an event, and store the list of stages, under the lease of the job; under that of the task where there is one.

        Raises
        ------
        LeaseLost, CancelRequested
        """
        if self.task is None:
            transitions.add_event(session, self.job_id, self.token, kind, data, stages=self.stages.to_json())
        else:
            tasks.fence(session, self.task)
            tasks.add_event(session, self.task, kind, data)

    def report(
        self,
        stage: str,
        done: int,
        total: int,
        eta_seconds: float | None,
        *,
        part: str | None,
        workspace: StageWorkspace,
        tasks: Json | None = None,
    ) -> None:
        """Store the progress of a stage and of the job; that of a training run for another worker's job is in its events alone."""
        if self.task is not None:
            return
        self.stages.report(workspace.stage_id(stage, part), done, total, eta_seconds, tasks)
        stages, overall = self.stages.to_json() if self.stages.changed else None, self.stages.overall()
        progress: Json = {"stage": stage, "part": part, "done": done, "total": total, "eta_seconds": eta_seconds, "tasks": tasks}
        self.write(
            lambda session: transitions.report_progress(session, self.job_id, self.token, stages=stages, overall=overall, **progress)
        )

    def fetch_upload(self, upload_id: str) -> Path:
        """Fetch an uploaded file into the workspace, under a safe form of its own name."""
        upload = self.rows.uploads[upload_id]
        path = self.folder / upload.id / safe_name(upload.filename)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            self.artifacts.fetch(upload.sha256, path, self.stop.check)
        return path

    def _add_warnings(self, session: Session, warnings: list[str]) -> None:
        for text in warnings:
            self.add_event(session, "warning", {"message": text})

    def _read(self, session: Session) -> JobRows:
        job = session.get_one(Job, self.job_id)
        model = session.get(Model, job.model_id) if job.model_id else None
        dataset = session.get(Dataset, job.dataset_id) if job.dataset_id else None
        library_dataset = session.get(Dataset, job.library_dataset_id) if job.library_dataset_id else None
        vlm = session.get(Model, job.vlm_id) if job.vlm_id else None
        upload_ids = [row.upload_id for row in (model, dataset, library_dataset, vlm) if row is not None and row.upload_id]
        upload_ids += [given] if (given := job.spec.get("upload")) else []
        upload_ids += [row.text_upload_id for row in (model, vlm) if row is not None and row.text_upload_id]
        upload_ids += [row.manifest_upload_id for row in (dataset, library_dataset) if row is not None and row.manifest_upload_id]
        uploads = {upload.id: upload for upload in session.scalars(select(Upload).where(Upload.id.in_(upload_ids)))}
        return JobRows(job, model, dataset, library_dataset, vlm, uploads, job.deadline_seconds - job.ran_seconds)

    def _transaction(self, action: Callable[[Session], Value]) -> Value:
        with self.runtime.sessions.begin() as session:
            return action(session)
