"""The internal jobs that look at a new model or data set once. A failure's row is moved by `app.db.transitions`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import MAX_DIMENSION, Dataset, Model
from worker.attempt import Attempt
from worker.compute import StageRefused
from worker.datasets import READING
from worker.sources import describe_dataset, describe_model, fetch_checkpoint, fetch_dataset, reading_key


def run_check_model(attempt: Attempt) -> None:
    """Load the checkpoint, run a dry forward, and note digest and shape of the representation."""
    model = attempt.rows.model
    if model is None:
        raise StageRefused("model_missing", "The check names no model.", None)
    request = describe_model(model, attempt.runtime.settings) | {"checkpoint": fetch_checkpoint(attempt)}
    found = attempt.compute("check_model", {"model": request})
    _refuse_too_wide(found["info"]["num_features"], "layer", "choose a layer that is pooled")
    _finish(attempt, Model, model.id, found)


def run_check_dataset(attempt: Attempt) -> None:
    """Unpack and read the data set, and note its digest, classes and counts."""
    dataset = attempt.rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The check names no data set.", None)
    request = describe_dataset(dataset) | {"file": fetch_dataset(attempt)}
    found = attempt.compute("check_dataset", {"dataset": request})
    if dataset.kind == "features":
        _refuse_too_wide(found["info"]["num_features"], None, "pool or project the features first")
    reading = attempt.workspace / READING
    if dataset.upload_id is not None and reading.exists():  # a server folder may change, an upload cannot
        stored = attempt.artifacts.upload(reading_key(dataset), "check_dataset", reading, attempt.stop.check)
        attempt.write(lambda session: attempt.artifacts.record(session, stored))
    _finish(attempt, Dataset, dataset.id, found)


def _refuse_too_wide(num_features: int, param: str | None, instead: str) -> None:
    if num_features > MAX_DIMENSION:
        message = f"The representation has {num_features:,} dimensions; {MAX_DIMENSION:,} are allowed, so {instead}."
        raise StageRefused("representation_too_wide", message, param)


def _finish(attempt: Attempt, table: type[Model | Dataset], row_id: str, found: dict[str, Any]) -> None:
    def ready(session: Session) -> None:
        session.execute(
            update(table)
            .where(table.id == row_id, table.state == "pending")
            .values(state="ready", digest=found["digest"], info=found["info"], error=None, checked_at=func.now())
            .execution_options(synchronize_session=False)
        )
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(ready)
