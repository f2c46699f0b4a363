"""What a job's model and data set are, in the compute process's words, and their files in the workspace. Nothing is parsed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.db.models import ConceptSetVersion, Dataset, Job, Model
from app.errors import InvalidInput
from app.settings import Settings
from app.storage import ArtifactMissing
from app.storage.server_folders import allowed_server_path
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped
from worker.jobs.artifacts import digest_of
from worker.jobs.attempt import Attempt, StageWorkspace
from worker.sandbox.process import StageRefused
from worker.stages.files import READING, VOCABULARY

Phrases = list[list[str | None]]
"""[[text, group], …]"""


class Sources:
    """What stages read beside the outputs of others, fetched when a stage first needs it.

    `model` and `vlm` are networks, `dataset` the images or features, `vocabulary` the phrases that `read_phrases` finds.
    """

    def __init__(self, attempt: Attempt, read_phrases: Callable[[Session, Job], Phrases], place: StageWorkspace | None = None) -> None:
        self._attempt = attempt
        self._place = place or attempt.place
        self._read_phrases = read_phrases
        self._ready: dict[str, Any] = {}

    def fetch(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Put the named ones into the workspace; returns what stages need to find them."""
        fetchers = {"model": self._model, "vlm": self._vlm, "dataset": self._dataset, "vocabulary": self._vocabulary}
        for name in names:
            if name not in self._ready:
                self._ready[name] = fetchers[name]()
        return {name: self._ready[name] for name in names}

    def _model(self) -> dict[str, Any] | None:
        model = self._attempt.rows.model
        return None if model is None else fetch_model(self._attempt.runtime.settings, model, self._attempt.fetch_upload)

    def _vlm(self) -> dict[str, Any]:
        model = self._attempt.rows.vlm
        if model is None:
            raise StageRefused("vlm_missing", "The job names no vision-language model.", "vlm")
        return fetch_model(self._attempt.runtime.settings, model, self._attempt.fetch_upload)

    def _dataset(self) -> dict[str, Any]:
        attempt, place, dataset = self._attempt, self._place, self._place.dataset
        if dataset is None:
            raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
        source = describe_dataset(dataset, attempt.runtime.settings) | {"file": fetch_dataset(attempt, dataset)}
        _fetch_reading(attempt, dataset, place.folder)
        attempt.compute("materialise", {"sources": {"dataset": source}}, place=place)
        attempt.stage_event("materialise", "finished", place=place)
        return source

    def _vocabulary(self) -> None:
        phrases = self._attempt.write(lambda session: self._read_phrases(session, self._attempt.rows.job))
        (self._place.folder / VOCABULARY).write_text(json.dumps(phrases))


def fetch_model(settings: Settings, model: Model, fetch_upload: Callable[[str], Path]) -> dict[str, Any]:
    """A network as a request to the compute process, its files fetched."""
    if model.pretrained is not None and not settings.allow_hub:
        raise StageRefused("hub_not_allowed", "This server fetches no weights by name; upload the checkpoint file instead.", "pretrained")
    if model.upload_id is None and model.pretrained is None and model.initial_seed is None:
        raise StageRefused("model_gone", "The model was deleted, and its weights with it.", None)
    return {
        "role": model.role,
        "architecture": model.architecture,
        "arguments": model.arguments,
        "pretrained": model.pretrained,
        "initial_seed": model.initial_seed,
        "layer": model.layer,
        "preprocessing": model.preprocessing,
        "tokenizer": model.tokenizer,
        "device": settings.device,
        "checkpoint": None if model.upload_id is None else str(fetch_upload(model.upload_id)),
        "text_checkpoint": None if model.text_upload_id is None else str(fetch_upload(model.text_upload_id)),
    }


def read_vocabulary(session: Session, job: Job) -> Phrases:
    """The phrases of a job's vocabulary: shipped with the package, or a version of the owner's own set."""
    chosen = job.spec["vocabulary"]
    if job.concept_set_id is None:
        phrases = shipped(chosen["id"]).phrases
    else:
        version = session.get_one(ConceptSetVersion, (job.concept_set_id, chosen["version"]))
        phrases = tuple(Phrase(text, group) for text, group in version.phrases)
    if phrases_digest(phrases) != chosen["digest"]:
        message = f"The vocabulary {chosen['id']} has changed since the job was sent; send it again."
        raise StageRefused("vocabulary_changed", message, "vocabulary")
    return [[phrase.text, phrase.group] for phrase in phrases]


def describe_dataset(dataset: Dataset, settings: Settings) -> dict[str, Any]:
    """The data set as a request to the compute process, which is about to read it; its file comes with `fetch_dataset`.

    Raises
    ------
    StageRefused
        When it was deleted, or its path on the server leads, by now, to where the operator allows no reading.
    """
    if dataset.upload_id is None and dataset.server_path is None and dataset.hub is None:
        raise StageRefused("dataset_gone", "The data set was deleted, and its images with it.", None)
    return {
        "kind": dataset.kind,
        "server_path": None if dataset.server_path is None else _resolved(dataset.server_path, settings),
        "hub": dataset.hub,
        "split_seed": dataset.split_seed,
        "test_share": dataset.test_share,
        "digest": dataset.digest,
    }


def _resolved(server_path: str, settings: Settings) -> str:
    try:
        return str(allowed_server_path(server_path, settings))
    except InvalidInput as refused:
        raise StageRefused(refused.code, refused.detail, refused.param) from refused


def fetch_dataset(attempt: Attempt, dataset: Dataset) -> str | None:
    """Where the archive or features file lies: in the attempt's own folder, for whichever place it is read. None when the data set is a
    server folder or on the Hub."""
    if dataset.upload_id is None:
        if dataset.hub is not None and not attempt.runtime.settings.allow_hub:
            raise StageRefused("hub_not_allowed", "This server fetches no data by name; upload an archive of class folders instead.", "hub")
        return None
    return str(attempt.fetch_upload(dataset.upload_id))


def reading_key(dataset: Dataset) -> str:
    """The key of what reading the images of an uploaded archive found."""
    return digest_of(reading=dataset.id, split_seed=dataset.split_seed, test_share=dataset.test_share)


def _fetch_reading(attempt: Attempt, dataset: Dataset, folder: Path) -> None:
    """Put the reading of the data set's check into a folder; without it the images are all checked again."""
    key = reading_key(dataset)
    found = attempt.write(lambda session: attempt.artifacts.find(session, [key]))
    if key in found:
        with suppress(ArtifactMissing):
            attempt.artifacts.fetch(found[key], folder / READING, attempt.stop.check)
