"""Inputs of stages: requests for models and data sets, and their files in the workspace. Nothing is parsed here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from app.db.models import ConceptSetVersion, Dataset, Job, Json, Model
from app.settings import Settings
from app.storage import ArtifactMissing
from app.storage.server_folders import NOT_ALLOWED
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped
from worker.jobs.access import copy_s3_dataset
from worker.jobs.artifacts import artifact_key
from worker.jobs.attempt import Attempt
from worker.jobs.stage_workspace import StageWorkspace
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import READING, VOCABULARY
from worker.stages.specs import DatasetRequest, ModelRequest

Phrases = list[list[str | None]]
"""[[text, group], …]"""

FetchSource = Callable[[Path], Json | None]
"""Put a source into a workspace folder; return what stages need to find it."""


class Sources:
    """Inputs of stages that no stage makes, fetched when a stage first needs them.

    `model` and `vlm` are networks, `dataset` is a file of images or features, `archive` is the upload that the job names.

    Parameters
    ----------
    further : how to fetch the sources of one kind of job, by name
    """

    def __init__(self, attempt: Attempt, further: Mapping[str, FetchSource], workspace: StageWorkspace | None = None) -> None:
        self._attempt = attempt
        self._workspace = workspace or attempt.workspace
        self._fetchers = {"model": self._model, "vlm": self._vlm, "dataset": self._dataset, "archive": self._archive, **further}
        self._fetched: dict[str, Json | None] = {}

    def fetch(self, names: tuple[str, ...]) -> Json:
        """Put the named sources into the workspace; return what stages need to find them."""
        for name in names:
            if name not in self._fetched:
                self._fetched[name] = self._fetchers[name](self._workspace.folder)
        return {name: self._fetched[name] for name in names}

    def _model(self, _: Path) -> Json | None:
        model = self._attempt.rows.model
        return None if model is None else fetch_model(self._attempt.runtime.settings, model, self._attempt.fetch_upload).to_json()

    def _vlm(self, _: Path) -> Json:
        model = self._attempt.rows.vlm
        if model is None:
            raise StageRefused("vlm_missing", "The job names no vision-language model.", "vlm")
        return fetch_model(self._attempt.runtime.settings, model, self._attempt.fetch_upload).to_json()

    def _archive(self, _: Path) -> Json:
        upload = self._attempt.rows.uploads[self._attempt.rows.job.spec["upload"]]
        return {"file": str(self._attempt.fetch_upload(upload.id)), "sha256": upload.sha256}

    def _dataset(self, folder: Path) -> Json:
        dataset = self._workspace.dataset
        if dataset is None:
            raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
        request = fetch_dataset(self._attempt, dataset)
        _fetch_reading(self._attempt, dataset, folder)
        return request.to_json()


def fetch_model(settings: Settings, model: Model, fetch_upload: Callable[[str], Path]) -> ModelRequest:
    """The request for a model, its files fetched."""
    if model.pretrained is not None and not settings.allow_hub:
        raise StageRefused("hub_not_allowed", "This server downloads no weights by name; upload the checkpoint file instead.", "pretrained")
    if model.upload_id is None and model.pretrained is None and model.initial_seed is None:
        raise StageRefused("model_gone", "The model was deleted, and its weights with it.", None)
    return ModelRequest(
        role=model.role,
        architecture=model.architecture,
        arguments=model.arguments,
        pretrained=model.pretrained,
        initial_seed=model.initial_seed,
        layer=model.layer,
        preprocessing=model.preprocessing,
        tokenizer=model.tokenizer,
        device=settings.device,
        checkpoint=None if model.upload_id is None else str(fetch_upload(model.upload_id)),
        text_checkpoint=None if model.text_upload_id is None else str(fetch_upload(model.text_upload_id)),
        weights_of=model.weights_of,
        pooling=model.pooling,
    )


def fetch_vocabulary(attempt: Attempt, folder: Path) -> None:
    """Write the phrases of the job's vocabulary into a workspace folder."""
    write_phrases(attempt.write(lambda session: _read_vocabulary(session, attempt.rows.job)), folder)


def write_phrases(phrases: Phrases, folder: Path) -> None:
    """Write phrases to where the stage `embed_phrases` reads them."""
    (folder / VOCABULARY).write_text(json.dumps(phrases))


def _read_vocabulary(session: Session, job: Job) -> Phrases:
    """The phrases of a job's vocabulary: shipped with the package, or a version of the owner's own set."""
    chosen = job.spec["vocabulary"]
    if job.concept_set_id is None:
        phrases = shipped(chosen["id"]).phrases
    else:
        version = session.get_one(ConceptSetVersion, (job.concept_set_id, chosen["version"]))
        phrases = tuple(Phrase(text, group) for text, group in version.phrases)
    if phrases_digest(phrases) != chosen["digest"]:
        message = f"The vocabulary {chosen['id']} has changed since the job was submitted; submit the job again."
        raise StageRefused("vocabulary_changed", message, "vocabulary")
    return [[phrase.text, phrase.group] for phrase in phrases]


def fetch_dataset(attempt: Attempt, dataset: Dataset) -> DatasetRequest:
    """The request for a data set, its archive, features file or S3 prefix fetched; a server folder is read where it lies."""
    if dataset.hub is not None and not attempt.runtime.settings.allow_hub:
        raise StageRefused("hub_not_allowed", "This server downloads no data by name; upload an archive of class folders instead.", "hub")
    copied = copy_s3_dataset(dataset, attempt.runtime.settings, attempt.folder / f"s3-{dataset.id}", attempt.stop.check)
    request = describe_dataset(dataset, copied or attempt.server_path(dataset))
    if dataset.manifest_upload_id is not None:
        request = replace(request, manifest_file=str(attempt.fetch_upload(dataset.manifest_upload_id)))
    return request if dataset.upload_id is None else replace(request, file=str(attempt.fetch_upload(dataset.upload_id)))


def describe_dataset(dataset: Dataset, server_path: Path | None) -> DatasetRequest:
    """The request for a data set, without its uploaded file.

    Parameters
    ----------
    server_path : from `resolve_server_path` or `copy_s3_dataset` of `worker.jobs.access`

    Raises
    ------
    StageRefused
        When the data set was deleted, or the operator no longer allows reading its path on the server.
    """
    if dataset.upload_id is None and dataset.server_path is None and dataset.hub is None:
        raise StageRefused("dataset_gone", "The data set was deleted, and its images with it.", None)
    if dataset.server_path is not None and server_path is None:
        raise StageRefused("server_path_not_allowed", NOT_ALLOWED, "server_path")
    return DatasetRequest(
        kind=dataset.kind,
        split_seed=dataset.split_seed,
        test_share=dataset.test_share,
        digest=dataset.digest,
        server_path=None if server_path is None else str(server_path),
        hub=dataset.hub,
        manifest=dataset.manifest,
    )


def reading_key(dataset: Dataset) -> str:
    """The key of the file that lists the validated images of an uploaded archive."""
    return artifact_key(reading=dataset.id, split_seed=dataset.split_seed, test_share=dataset.test_share)


def _fetch_reading(attempt: Attempt, dataset: Dataset, folder: Path) -> None:
    """Fetch the list of images that the validation has stored; without it `materialise` validates every image again."""
    key = reading_key(dataset)
    found = attempt.write(lambda session: attempt.artifacts.find(session, [key]))
    if key in found:
        with suppress(ArtifactMissing):
            attempt.artifacts.fetch(found[key], folder / READING, attempt.stop.check)
