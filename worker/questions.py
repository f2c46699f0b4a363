"""What a question about a scored job needs, fetched and handed to the compute process. Where questions come from: `worker.answering`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from app.db.models import Dataset, Job, Model, PostedImage, Predictor, Upload
from app.storage import ArtifactMissing
from iis_engine import ENGINE_VERSION
from worker.artifacts import OwnersArtifacts, digest_of, safe_name
from worker.at_hand import FilesAtHand
from worker.compute import Compute, StageRefused, Stop, Watch
from worker.datasets import READING
from worker.runtime import Runtime
from worker.sources import describe_dataset, fetch_model, reading_key

LOOKING = frozenset({"picture", "heat_map", "sheet"})
"""Kinds that look at an image whichever it is; others only at posted ones, since what is known of test images is kept."""
JOBS_KNOWN = 256
ANSWER_DEADLINE_SECONDS = 600
UNPACKING_DEADLINE_SECONDS = 3600


class NotUnpacked(Exception):
    """The question is about images of a data set that is being unpacked; it can be answered, or refused, when `unpacked` is done."""

    def __init__(self, unpacked: Future[Path]) -> None:
        super().__init__("The data set is still being unpacked.")
        self.unpacked = unpacked


@dataclass(frozen=True)
class Question:
    """What was asked.

    Attributes
    ----------
    kind : of `worker.answers.KINDS`
    about : the question's own fields; `job` among them, and `image` where it is about one
    """

    owner_id: str
    kind: str
    about: dict[str, Any]

    @property
    def posted(self) -> list[str]:
        """The ids of the posted images it is about."""
        image = self.about.get("image")
        return [image] if isinstance(image, str) else self.about.get("images", [])

    @property
    def looks(self) -> bool:
        """Whether the network must see an image."""
        return bool(self.posted) or self.kind in LOOKING


@dataclass(frozen=True)
class _Rows:
    predictors: str  # sha256
    tested: str
    model: Model | None
    dataset: Dataset
    uploads: dict[str, Upload]
    reading: str | None


class Desk:
    """Answers one question after another, with its own compute processes and files at hand."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self._runtime = runtime
        self._stop = stop
        settings = runtime.settings
        home = settings.data_folder.absolute()
        self._files = FilesAtHand(home / "answering", runtime.name.replace(":", "-"), settings.answer_cache_bytes)
        self._known: dict[tuple[str, str], _Rows] = {}
        # Unpacking takes as long as the data set is large: beside the answers, in a process of its own that ends with it.
        self._unpacker = ThreadPoolExecutor(1, "unpacker")
        self._unpacking: dict[str, Future[Path]] = {}
        # A process that may use the network for weights by name is another one than that which parses uploads.
        self._computes = {network: Compute(home / "compute") for network in (False, True)}

    def answer(self, question: Question) -> dict[str, Any]:
        """The answer.

        Raises
        ------
        StageRefused
            When the question is at fault.
        NotUnpacked
            When its data set must be unpacked first, which has begun.
        ChildLost, MemoryExceeded, DeadlinePassed, Interrupted, ArtifactMissing
        """
        rows = self._rows_of(question)
        network = self._runtime.settings.allow_hub and question.looks and rows.model is not None and rows.model.pretrained is not None
        seen_by = rows.model if question.looks else None
        files = {"predictors": rows.predictors, "tested": rows.tested}
        if question.about.get("exemplars") is not None:
            files["exemplars"] = question.about["exemplars"]
        arguments: dict[str, Any] = {
            "kind": question.kind,
            "about": question.about,
            "files": {name: str(self._artifact(question, sha256)) for name, sha256 in files.items()},
            "posted": {image_id: str(self._posted(question, image_id)) for image_id in question.posted},
            "model": seen_by and fetch_model(self._runtime.settings, seen_by, self._upload(question, rows)),
            "dataset": describe_dataset(rows.dataset),
            "dataset_folder": None,
            "warm_bytes": self._runtime.settings.warm_bytes,
        }
        if question.looks and not question.posted and rows.model is not None:
            arguments["dataset_folder"] = str(self._images(question, rows))
        try:
            if question.kind == "export":
                return self._export(question, rows, arguments)
            return self._compute("answer", self._files.folder, arguments, ANSWER_DEADLINE_SECONDS, network=network)
        finally:
            self._files.drop(question.posted)  # an image's own row says how long it may be looked at
            self._files.shrink()

    def close(self) -> None:
        """End the compute processes and remove the files. What is being unpacked ends by the same `Stop`."""
        self._unpacker.shutdown(cancel_futures=True)
        for compute in self._computes.values():
            compute.kill()
        self._files.close()

    def _export(self, question: Question, rows: _Rows, arguments: dict[str, Any]) -> dict[str, Any]:
        """A file is stored like any stage's output, so that its size passes through no message: {sha256}."""
        artifacts = OwnersArtifacts(question.owner_id, self._runtime.store)
        told = {name: question.about[name] for name in ("kept", "format", "concept_names")}
        key = digest_of(stage="export", engine=ENGINE_VERSION, predictors=rows.predictors, **told)
        with self._runtime.sessions() as session:
            held = artifacts.find(session, [key]).get(key)
        if held is None:
            made = self._compute("answer", self._files.folder, arguments, ANSWER_DEADLINE_SECONDS, network=False)
            path = self._files.folder / Path(made["file"]).name
            stored = artifacts.upload(key, "export", path, self._stop.check)
            path.unlink()
            with self._runtime.sessions.begin() as session:
                artifacts.record(session, stored)
            held = stored.sha256
        return {"sha256": held}

    def _compute(self, stage: str, workspace: Path, arguments: dict[str, Any], seconds: float, *, network: bool) -> dict[str, Any]:
        return self._run(self._computes[network], stage, workspace, arguments, seconds, network=network)

    def _run(
        self, compute: Compute, stage: str, workspace: Path, arguments: dict[str, Any], seconds: float, *, network: bool
    ) -> dict[str, Any]:
        watch = Watch(self._stop, time.monotonic() + seconds, self._runtime.settings.child_memory_bytes)
        return compute.run(stage, workspace, arguments, watch, network=network, on_progress=_ignore, on_output=_ignore)

    def _rows_of(self, question: Question) -> _Rows:
        """Rows of a finished job, which do not change: read once for many questions."""
        key = question.owner_id, question.about["job"]
        if key not in self._known:
            if len(self._known) >= JOBS_KNOWN:
                self._known.clear()
            with self._runtime.sessions() as session:
                self._known[key] = self._read(session, question)
        return self._known[key]

    def _read(self, session: Session, question: Question) -> _Rows:
        owner_id, job_id = question.owner_id, question.about["job"]
        predictor = session.scalars(select(Predictor).where(Predictor.job_id == job_id, Predictor.owner_id == owner_id).limit(1)).first()
        if predictor is None:
            raise StageRefused("artifact_gone", f"Job {job_id} has no predictors.", None)
        job = session.get_one(Job, job_id)
        dataset = session.get_one(Dataset, job.dataset_id)
        model = session.get(Model, job.model_id) if job.model_id else None
        keys = [predictor.predictors_key, predictor.tested_key, reading_key(dataset)]
        found = OwnersArtifacts(owner_id, self._runtime.store).find(session, keys)
        if keys[0] not in found or keys[1] not in found:
            raise StageRefused("artifact_gone", f"What job {job_id} left to explain with is no longer kept; submit the job again.", None)
        ids = [upload_id for upload_id in (dataset.upload_id, model and model.upload_id) if upload_id is not None]
        uploads = {upload.id: upload for upload in session.scalars(select(Upload).where(Upload.id.in_(ids)))}
        return _Rows(found[keys[0]], found[keys[1]], model, dataset, uploads, found.get(keys[2]))

    def _artifact(self, question: Question, sha256: str, name: str | None = None) -> Path:
        artifacts = OwnersArtifacts(question.owner_id, self._runtime.store)
        return self._files.get(name or sha256, lambda path: artifacts.fetch(sha256, path, self._stop.check))

    def _upload(self, question: Question, rows: _Rows) -> Callable[[str], Path]:
        def fetch(upload_id: str) -> Path:
            upload = rows.uploads[upload_id]
            return self._artifact(question, upload.sha256, f"{upload.id}-{safe_name(upload.filename)}")

        return fetch

    def _posted(self, question: Question, image_id: str) -> Path:
        """The posted image, in a folder of its own so that refusals can name it as its sender does."""

        def write(folder: Path) -> None:
            statement = select(PostedImage).where(PostedImage.id == image_id, PostedImage.owner_id == question.owner_id)
            with self._runtime.sessions() as session:
                posted = session.scalar(statement.options(undefer(PostedImage.content)))
                if posted is None or posted.job_id != question.about["job"]:
                    raise StageRefused("image_absent", f"There is no image {image_id}; it may have expired. Post it again.", None)
                folder.mkdir()
                (folder / (safe_name(posted.filename) or "image")).write_bytes(posted.content)

        return next(self._files.get(image_id, write).iterdir())

    def _images(self, question: Question, rows: _Rows) -> Path:
        """The data set, unpacked the first time that one of its images is asked for."""
        dataset_id = rows.dataset.id

        def take(folder: Path) -> None:
            unpacking = self._unpacking.get(dataset_id)
            if unpacking is None:
                unpacking = self._unpacking[dataset_id] = self._unpacker.submit(self._unpack, question, rows)
            if not unpacking.done():
                raise NotUnpacked(unpacking)
            del self._unpacking[dataset_id]
            unpacking.result().rename(folder)

        return self._files.get(dataset_id, take)

    def _unpack(self, question: Question, rows: _Rows) -> Path:
        """The data set in a folder of its own."""
        dataset, artifacts = rows.dataset, OwnersArtifacts(question.owner_id, self._runtime.store)
        by_name = dataset.hub is not None
        if by_name and not self._runtime.settings.allow_hub:
            raise StageRefused("dataset_gone", "This server fetches no data by name, so the images cannot be looked at.", None)

        folder = self._files.folder / f"{dataset.id}.unpacking"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        source: dict[str, Any] = describe_dataset(dataset) | {"file": None}
        if dataset.upload_id is not None:
            upload = rows.uploads[dataset.upload_id]
            archive = folder / safe_name(upload.filename)
            artifacts.fetch(upload.sha256, archive, self._stop.check)
            source["file"] = str(archive)
        if rows.reading is not None:
            with suppress(ArtifactMissing):
                artifacts.fetch(rows.reading, folder / READING, self._stop.check)
        compute = Compute(self._runtime.settings.data_folder.absolute() / "compute")
        try:
            self._run(compute, "materialise", folder, {"sources": {"dataset": source}}, UNPACKING_DEADLINE_SECONDS, network=by_name)
        finally:
            compute.kill()
        if source["file"] is not None:
            Path(source["file"]).unlink()
        return folder


def _ignore(*_: object) -> None:
    """Questions show no progress."""
