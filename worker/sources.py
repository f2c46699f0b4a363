"""What a job's model and data set are, in the compute process's words, and their files in the workspace. Nothing is parsed here."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from app.db.models import Dataset, Model
from app.settings import Settings
from app.storage import ArtifactMissing
from worker.artifacts import digest_of
from worker.attempt import Attempt
from worker.compute import StageRefused
from worker.datasets import READING


def describe_model(model: Model, settings: Settings) -> dict[str, Any]:
    """The backbone as a request to the compute process; its file comes with `fetch_checkpoint`."""
    return {
        "architecture": model.architecture,
        "arguments": model.arguments,
        "pretrained": model.pretrained,
        "layer": model.layer,
        "preprocessing": model.preprocessing,
        "device": settings.device,
    }


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """The data set as a request to the compute process; its files come with `fetch_dataset`."""
    return {
        "kind": dataset.kind,
        "server_path": dataset.server_path,
        "hub": dataset.hub,
        "split_seed": dataset.split_seed,
        "test_share": dataset.test_share,
        "digest": dataset.digest,
    }


def fetch_checkpoint(attempt: Attempt) -> str | None:
    """The checkpoint's path in the workspace, or None for a pretrained tag."""
    model = attempt.rows.model
    if model is None or model.upload_id is None:
        if model is not None and model.pretrained is not None and not attempt.runtime.settings.allow_hub:
            raise StageRefused(
                "hub_not_allowed", "This server fetches no weights by name; upload the checkpoint file instead.", "pretrained"
            )
        return None
    return str(attempt.fetch_upload(model.upload_id))


def fetch_dataset(attempt: Attempt) -> str | None:
    """The archive's or features file's path in the workspace; None when the data set is a server folder or on the Hub."""
    dataset = attempt.rows.dataset
    if dataset is None or dataset.upload_id is None:
        if dataset is not None and dataset.hub is not None and not attempt.runtime.settings.allow_hub:
            raise StageRefused("hub_not_allowed", "This server fetches no data by name; upload an archive of class folders instead.", "hub")
        return None
    return str(attempt.fetch_upload(dataset.upload_id))


def materialise(attempt: Attempt) -> dict[str, Any]:
    """Fetch the files and let the compute process unpack them; returns what stages need to find them."""
    model, dataset = attempt.rows.model, attempt.rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
    sources = {
        "model": None if model is None else describe_model(model, attempt.runtime.settings) | {"checkpoint": fetch_checkpoint(attempt)},
        "dataset": describe_dataset(dataset) | {"file": fetch_dataset(attempt)},
    }
    _fetch_reading(attempt, dataset)
    attempt.compute("materialise", {"sources": sources})
    attempt.stage_event("materialise", "finished")
    return sources


def reading_key(dataset: Dataset) -> str:
    """The key of what reading the images of an uploaded archive found."""
    return digest_of(reading=dataset.id, split_seed=dataset.split_seed, test_share=dataset.test_share)


def _fetch_reading(attempt: Attempt, dataset: Dataset) -> None:
    """Put the reading of the data set's check into the workspace; without it the images are all checked again."""
    key = reading_key(dataset)
    found = attempt.write(lambda session: attempt.artifacts.find(session, [key]))
    if key in found:
        with suppress(ArtifactMissing):
            attempt.artifacts.fetch(found[key], attempt.workspace / READING, attempt.stop.check)
