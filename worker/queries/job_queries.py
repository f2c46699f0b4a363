"""Queries about scored jobs: fetch the inputs of a query and run it in a child process."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from app.db.models import Blob, Concept, ConceptLibrary, Dataset, Job, Json, Model, PostedImage, Predictor, Result, Upload
from app.storage import ArtifactMissing
from app.storage.server_folders import is_s3
from iis_engine.versions import ENGINE_VERSION
from worker.jobs.access import copy_s3_dataset, is_downloaded, resolve_server_path
from worker.jobs.artifacts import artifact_key, output_key, safe_name
from worker.jobs.feature_keys import features_key
from worker.jobs.inputs import describe_dataset, fetch_model, reading_key
from worker.queries.context import Query, QueryContext
from worker.queries.dataset_cache import DatasetCache
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import FEATURES, READING
from worker.stages.specs import DatasetRequest

IMAGE_KINDS = frozenset({"picture", "heat_map", "several_heat_maps", "sheet"})
"""Kinds that read the image itself. Other kinds read only posted images, since activations of test images are stored."""
FEATURE_KINDS = frozenset({"explain"})
"""Kinds that compare the image with the training images."""
FEATURES_MAX_BYTES = 1 << 30
FIGURE_KINDS = frozenset({"sheet", "class_figure", "gallery"})
"""Kinds that draw concepts with their names and exemplars."""
NETWORK_FORMATS = frozenset({"image.onnx"})
"""Formats of exports that contain the network."""
CACHED_JOBS = 256
UNPACKING_DEADLINE_SECONDS = 3600
S3_COPY = "s3"  # folder in that of a data set, with what lies below its S3 prefix


@dataclass(frozen=True)
class _ScoredJob:
    """Rows of a finished job, which do not change.

    Attributes
    ----------
    predictors, test_set, exemplars, reading, features : sha256 of stored files; features of up to FEATURES_MAX_BYTES alone
    """

    predictors: str
    test_set: str
    exemplars: str | None
    reading: str | None
    features: str | None
    library_id: str | None
    model: Model | None
    dataset: Dataset
    uploads: dict[str, Upload]


class JobQueries:
    """Run queries about scored jobs."""

    def __init__(self, context: QueryContext) -> None:
        self._context = context
        self._jobs: dict[tuple[str, str], _ScoredJob] = {}
        self._datasets = DatasetCache(context)

    def close(self) -> None:
        """Stop unpacking data sets."""
        self._datasets.close()

    def run(self, query: Query) -> Json:
        """The result; see `worker.queries.dispatcher`."""
        try:
            return self._run(query)
        except ArtifactMissing:  # a model or data set was deleted since its rows were cached
            self._jobs.pop((query.owner_id, query.about["job"]), None)
            raise

    def _run(self, query: Query) -> Json:
        settings, job, posted = self._context.runtime.settings, self._job_of(query), _posted_ids(query)
        reads_image = bool(posted) or query.kind in IMAGE_KINDS
        model = job.model if reads_image or query.about.get("format") in NETWORK_FORMATS else None
        request = None if model is None else fetch_model(settings, model, self._fetch_upload(query.owner_id, job))
        server_path = resolve_server_path(job.dataset, settings)
        dataset, dataset_folder = None, None
        if reads_image and not posted and job.model is not None:
            is_copied = is_s3(job.dataset.server_path)
            dataset = describe_dataset(job.dataset, Path(S3_COPY) if is_copied else server_path)
            dataset_folder = self._dataset_folder(query.owner_id, job, dataset)
            if is_copied:
                dataset = replace(dataset, server_path=str(dataset_folder / S3_COPY))
        arguments: Json = {
            "kind": query.kind,
            "about": query.about,
            "files": {name: str(path) for name, path in self._files(query, job).items()},
            "posted": {image_id: str(self._posted_image(query, image_id)) for image_id in posted},
            "model": request and request.to_json(),
            "dataset": dataset and dataset.to_json(),
            "dataset_folder": dataset_folder and str(dataset_folder),
            "warm_bytes": settings.warm_bytes,
        }
        try:
            network = settings.allow_hub and is_downloaded(model)
            if query.kind == "export":
                return self._export(query, job, arguments, network=network)
            return self._context.run_stage(query, "answer", arguments, reads=_paths(server_path), network=network)
        finally:
            self._context.drop(query.owner_id, posted)  # a posted image expires with its row

    def _export(self, query: Query, job: _ScoredJob, arguments: Json, *, network: bool) -> Json:
        choices = {name: query.about[name] for name in ("kept", "format", "concept_names")}
        key = artifact_key(stage="export", engine=ENGINE_VERSION, predictors=job.predictors, **choices)
        return {
            "sha256": self._context.store_result(
                query.owner_id, "export", key, lambda: self._context.run_stage(query, "answer", arguments, network=network)["file"]
            )
        }

    def _files(self, query: Query, job: _ScoredJob) -> dict[str, Path]:
        """Cached files that the query reads, by the names that `worker.handlers` uses."""
        contents = {"predictors": job.predictors, "tested": job.test_set}
        draws = query.kind in FIGURE_KINDS
        if draws and job.exemplars is not None:
            contents["exemplars"] = job.exemplars
        files = {name: self._context.artifact(query.owner_id, sha256) for name, sha256 in contents.items()}
        if query.kind in FEATURE_KINDS and job.features is not None:
            with suppress(ArtifactMissing):  # features expire; an explanation does without them
                files["features"] = self._context.artifact(query.owner_id, job.features)
        if draws and job.library_id is not None:
            library_id = job.library_id
            files["concepts"] = self._context.file(
                query.owner_id, f"{library_id}.json", lambda path: self._write_concepts(library_id, path)
            )
        return files

    def _write_concepts(self, library_id: str, path: Path) -> None:
        """Write name, origin and exemplars of each concept of a library, in the order of their indices."""
        statement = select(Concept.label, Concept.origin, Concept.exemplars).where(Concept.library_id == library_id).order_by(Concept.index)
        with self._context.runtime.sessions() as session:
            rows = session.execute(statement).all()
        path.write_text(json.dumps([{"label": label, "origin": origin, "exemplars": exemplars} for label, origin, exemplars in rows]))

    def _job_of(self, query: Query) -> _ScoredJob:
        """The rows of the query's job, read once for many queries."""
        key = query.owner_id, query.about["job"]
        job = self._jobs.get(key)
        if job is None:
            if len(self._jobs) >= CACHED_JOBS:
                self._jobs.clear()
            with self._context.runtime.sessions() as session:
                job = self._jobs[key] = self._read_job(session, query)
        return job

    def _read_job(self, session: Session, query: Query) -> _ScoredJob:
        owner_id, job_id = query.owner_id, query.about["job"]
        predictor = session.scalars(select(Predictor).where(Predictor.job_id == job_id, Predictor.owner_id == owner_id).limit(1)).first()
        if predictor is None:
            raise StageRefused("artifact_gone", f"Job {job_id} has no predictors.", None)
        job = session.get_one(Job, job_id)
        dataset = session.get_one(Dataset, job.dataset_id)
        model = session.get(Model, job.model_id) if job.model_id else None
        features = output_key(features_key(model, dataset, job.spec["elements"]), FEATURES)
        keys = [predictor.predictors_key, predictor.tested_key, reading_key(dataset), features]
        stored = self._context.artifacts(owner_id).find(session, keys)
        if keys[0] not in stored or keys[1] not in stored:
            raise StageRefused("artifact_gone", f"The artifacts of job {job_id} are no longer stored; submit the job again.", None)
        libraries = select(ConceptLibrary).join(Result, Result.library_id == ConceptLibrary.id)
        library = session.scalar(libraries.where(Result.job_id == job_id, ConceptLibrary.owner_id == owner_id))
        used = (dataset.upload_id, dataset.manifest_upload_id, model and model.upload_id)
        ids = [upload_id for upload_id in used if upload_id is not None]
        return _ScoredJob(
            predictors=stored[keys[0]],
            test_set=stored[keys[1]],
            exemplars=None if library is None else (library.settings.get("exemplars") or {}).get("sha256"),
            reading=stored.get(keys[2]),
            features=_small(session, stored.get(keys[3])),
            library_id=None if library is None else library.id,
            model=model,
            dataset=dataset,
            uploads={upload.id: upload for upload in session.scalars(select(Upload).where(Upload.id.in_(ids)))},
        )

    def _fetch_upload(self, owner_id: str, job: _ScoredJob) -> Callable[[str], Path]:
        def fetch(upload_id: str) -> Path:
            upload = job.uploads[upload_id]
            return self._context.artifact(owner_id, upload.sha256, f"{upload.id}-{safe_name(upload.filename)}")

        return fetch

    def _posted_image(self, query: Query, image_id: str) -> Path:
        """The posted image under its own name, which error messages quote, in a folder of its own."""

        def write(folder: Path) -> None:
            statement = select(PostedImage).where(PostedImage.id == image_id, PostedImage.owner_id == query.owner_id)
            with self._context.runtime.sessions() as session:
                posted = session.scalar(statement.options(undefer(PostedImage.content)))
                if posted is None or posted.job_id != query.about["job"]:
                    raise StageRefused("image_absent", f"There is no image {image_id}; it may have expired. Post it again.", None)
                folder.mkdir()
                (folder / safe_name(posted.filename)).write_bytes(posted.content)

        return next(self._context.file(query.owner_id, image_id, write).iterdir())

    def _dataset_folder(self, owner_id: str, job: _ScoredJob, request: DatasetRequest) -> Path:
        """The folder of the unpacked data set, cached from the first query that reads one of its images."""
        dataset, artifacts, stop = job.dataset, self._context.artifacts(owner_id), self._context.stop
        downloads = is_downloaded(dataset)
        if downloads and not self._context.runtime.settings.allow_hub:
            raise StageRefused("dataset_gone", "This server downloads no data by name, so the images are not available.", None)

        def fill(folder: Path) -> None:
            source, fetched = request, list[Path]()
            for upload_id, field in ((dataset.upload_id, "file"), (dataset.manifest_upload_id, "manifest_file")):
                if upload_id is not None:
                    upload = job.uploads[upload_id]
                    fetched.append(folder / f"{upload.id}-{safe_name(upload.filename)}")
                    artifacts.fetch(upload.sha256, fetched[-1], stop.check)
                    source = replace(source, **{field: str(fetched[-1])})
            copied = copy_s3_dataset(dataset, self._context.runtime.settings, folder / S3_COPY, stop.check)
            if copied is not None:
                source = replace(source, server_path=str(copied))
            if job.reading is not None:
                with suppress(ArtifactMissing):
                    artifacts.fetch(job.reading, folder / READING, stop.check)
            self._context.run_stage_separately(
                owner_id,
                "materialise",
                {"sources": {"dataset": source.to_json()}},
                workspace=folder,
                seconds=UNPACKING_DEADLINE_SECONDS,
                reads=() if request.server_path is None or copied is not None else (Path(request.server_path),),
                network=downloads,
            )
            for path in fetched:
                path.unlink()

        return self._datasets.folder(owner_id, dataset.id, fill)


def _posted_ids(query: Query) -> list[str]:
    """The ids of the posted images that a query reads."""
    image = query.about.get("image")
    return [image] if isinstance(image, str) else query.about.get("images", [])


def _small(session: Session, sha256: str | None) -> str | None:
    """The sha256 of content of up to FEATURES_MAX_BYTES."""
    size_bytes = None if sha256 is None else session.scalar(select(Blob.size_bytes).where(Blob.sha256 == sha256))
    return sha256 if size_bytes is not None and size_bytes <= FEATURES_MAX_BYTES else None


def _paths(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)
