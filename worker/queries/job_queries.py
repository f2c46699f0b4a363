"""What a question about a scored job needs, fetched and handed to the compute process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from app.db.models import Dataset, Job, Model, PostedImage, Predictor, Upload
from app.storage import ArtifactMissing
from iis_engine import ENGINE_VERSION
from worker.jobs.access import server_paths
from worker.jobs.artifacts import digest_of, safe_name
from worker.jobs.inputs import describe_dataset, fetch_model, reading_key
from worker.queries.context import Query, QueryContext
from worker.queries.dataset_cache import DatasetCache
from worker.sandbox.process import StageRefused
from worker.stages.files import READING

LOOKING = frozenset({"picture", "heat_map", "sheet"})
"""Kinds that look at an image whichever it is; others only at posted ones, since what is known of test images is kept."""
JOBS_KNOWN = 256
UNPACKING_DEADLINE_SECONDS = 3600


@dataclass(frozen=True)
class _Rows:
    predictors: str  # sha256
    tested: str
    model: Model | None
    dataset: Dataset
    uploads: dict[str, Upload]
    reading: str | None


class JobQuestions:
    """Answers questions about scored jobs."""

    def __init__(self, context: QueryContext) -> None:
        self._bench = context
        self._known: dict[tuple[str, str], _Rows] = {}
        self._unpacker = DatasetCache(context)

    def close(self) -> None:
        """End the unpacking of data sets."""
        self._unpacker.close()

    def answer(self, question: Query) -> dict[str, Any]:
        """The answer; see `worker.queries.dispatcher`."""
        try:
            return self._answer(question)
        except ArtifactMissing:  # a model or data set was deleted since its rows were read
            self._known.pop((question.owner_id, question.about["job"]), None)
            raise

    def _answer(self, question: Query) -> dict[str, Any]:
        settings, rows, posted = self._bench.runtime.settings, self._rows_of(question), _posted_ids(question)
        looks = bool(posted) or question.kind in LOOKING
        seen_by = rows.model if looks else None
        files = {"predictors": rows.predictors, "tested": rows.tested}
        if question.about.get("exemplars") is not None:
            files["exemplars"] = question.about["exemplars"]
        arguments: dict[str, Any] = {
            "kind": question.kind,
            "about": question.about,
            "files": {name: str(self._bench.artifact(question.owner_id, sha256)) for name, sha256 in files.items()},
            "posted": {image_id: str(self._posted(question, image_id)) for image_id in posted},
            "model": seen_by and fetch_model(settings, seen_by, self._upload(question, rows)),
            "dataset": None,
            "dataset_folder": None,
            "warm_bytes": settings.warm_bytes,
        }
        if looks and not posted and rows.model is not None:
            arguments["dataset_folder"] = str(self._images(question, rows))
            arguments["dataset"] = describe_dataset(rows.dataset, settings)
        try:
            if question.kind == "export":
                return self._export(question, rows, arguments)
            reads = server_paths(settings, rows.dataset)
            network = settings.allow_hub and _is_published(seen_by)
            return self._bench.compute(question.owner_id, "answer", arguments, reads=reads, network=network)
        finally:
            self._bench.drop(question.owner_id, posted)  # an image's own row says how long it may be looked at

    def _export(self, question: Query, rows: _Rows, arguments: dict[str, Any]) -> dict[str, Any]:
        told = {name: question.about[name] for name in ("kept", "format", "concept_names")}
        key = digest_of(stage="export", engine=ENGINE_VERSION, predictors=rows.predictors, **told)
        return {
            "sha256": self._bench.keep(
                question.owner_id, "export", key, lambda: self._bench.compute(question.owner_id, "answer", arguments)["file"]
            )
        }

    def _rows_of(self, question: Query) -> _Rows:
        """Rows of a finished job, which do not change: read once for many questions."""
        key = question.owner_id, question.about["job"]
        if key not in self._known:
            if len(self._known) >= JOBS_KNOWN:
                self._known.clear()
            with self._bench.runtime.sessions() as session:
                self._known[key] = self._read(session, question)
        return self._known[key]

    def _read(self, session: Session, question: Query) -> _Rows:
        owner_id, job_id = question.owner_id, question.about["job"]
        predictor = session.scalars(select(Predictor).where(Predictor.job_id == job_id, Predictor.owner_id == owner_id).limit(1)).first()
        if predictor is None:
            raise StageRefused("artifact_gone", f"Job {job_id} has no predictors.", None)
        job = session.get_one(Job, job_id)
        dataset = session.get_one(Dataset, job.dataset_id)
        model = session.get(Model, job.model_id) if job.model_id else None
        keys = [predictor.predictors_key, predictor.tested_key, reading_key(dataset)]
        found = self._bench.artifacts(owner_id).find(session, keys)
        if keys[0] not in found or keys[1] not in found:
            raise StageRefused("artifact_gone", f"What job {job_id} left to explain with is no longer kept; submit the job again.", None)
        ids = [upload_id for upload_id in (dataset.upload_id, model and model.upload_id) if upload_id is not None]
        uploads = {upload.id: upload for upload in session.scalars(select(Upload).where(Upload.id.in_(ids)))}
        return _Rows(found[keys[0]], found[keys[1]], model, dataset, uploads, found.get(keys[2]))

    def _upload(self, question: Query, rows: _Rows) -> Callable[[str], Path]:
        def fetch(upload_id: str) -> Path:
            upload = rows.uploads[upload_id]
            return self._bench.artifact(question.owner_id, upload.sha256, f"{upload.id}-{safe_name(upload.filename)}")

        return fetch

    def _posted(self, question: Query, image_id: str) -> Path:
        """The posted image, in a folder of its own so that refusals can name it as its sender does."""

        def write(folder: Path) -> None:
            statement = select(PostedImage).where(PostedImage.id == image_id, PostedImage.owner_id == question.owner_id)
            with self._bench.runtime.sessions() as session:
                posted = session.scalar(statement.options(undefer(PostedImage.content)))
                if posted is None or posted.job_id != question.about["job"]:
                    raise StageRefused("image_absent", f"There is no image {image_id}; it may have expired. Post it again.", None)
                folder.mkdir()
                (folder / safe_name(posted.filename)).write_bytes(posted.content)

        return next(self._bench.file(question.owner_id, image_id, write).iterdir())

    def _images(self, question: Query, rows: _Rows) -> Path:
        """The data set, unpacked the first time that one of its images is asked for."""
        dataset, artifacts, stop = rows.dataset, self._bench.artifacts(question.owner_id), self._bench.stop
        by_name = dataset.hub is not None
        if by_name and not self._bench.runtime.settings.allow_hub:
            raise StageRefused("dataset_gone", "This server fetches no data by name, so the images cannot be looked at.", None)

        def fill(folder: Path) -> None:
            source: dict[str, Any] = describe_dataset(dataset, self._bench.runtime.settings) | {"file": None}
            if dataset.upload_id is not None:
                upload = rows.uploads[dataset.upload_id]
                archive = folder / safe_name(upload.filename)
                artifacts.fetch(upload.sha256, archive, stop.check)
                source["file"] = str(archive)
            if rows.reading is not None:
                with suppress(ArtifactMissing):
                    artifacts.fetch(rows.reading, folder / READING, stop.check)
            arguments = {"sources": {"dataset": source}}
            self._bench.compute_apart(
                question.owner_id,
                "materialise",
                arguments,
                workspace=folder,
                seconds=UNPACKING_DEADLINE_SECONDS,
                reads=server_paths(self._bench.runtime.settings, dataset),
                network=by_name,
            )
            if source["file"] is not None:
                Path(source["file"]).unlink()

        return self._unpacker.folder(question.owner_id, dataset.id, fill)


def _posted_ids(question: Query) -> list[str]:
    """The ids of the posted images that a question is about."""
    image = question.about.get("image")
    return [image] if isinstance(image, str) else question.about.get("images", [])


def _is_published(model: Model | None) -> bool:
    return model is not None and model.pretrained is not None
