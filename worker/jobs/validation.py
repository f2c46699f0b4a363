"""The internal jobs that look at a new model, data set or concept set once. A failure's row is moved by `app.db.transitions`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import MAX_DIMENSION, ConceptSetVersion, Dataset, Job, Json, Model
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from worker.jobs.attempt import Attempt
from worker.jobs.inputs import Phrases, Sources, describe_dataset, fetch_dataset, fetch_model, reading_key
from worker.jobs.pipeline import Pipeline
from worker.jobs.score import classes_stage, phrases_stage
from worker.sandbox.process import StageRefused
from worker.stages.files import CLASSES, PHRASES, READING

_LEFT_OUT = {
    "too_long": f"for having more than {CONCEPT_CHARACTERS_MAX} characters",
    "class_name": "for holding a class name",
    "near_class": "for meaning nearly the same as a class",
    "repeated": "for repeating another",
    "near_phrase": "for meaning nearly the same as another",
}
"""Why phrases are left out, after their number."""


def run_check_model(attempt: Attempt) -> None:
    """Load the checkpoint, run a dry forward, and note digest and shape of the representation."""
    model = attempt.rows.model
    if model is None:
        raise StageRefused("model_missing", "The check names no model.", None)
    found = attempt.compute("check_model", {"model": fetch_model(attempt.runtime.settings, model, attempt.fetch_upload)})
    if model.role == "backbone":
        _refuse_too_wide(found["info"]["num_features"], "layer", "choose a layer that is pooled")
    _finish(attempt, Model, model.id, found)


def run_check_dataset(attempt: Attempt) -> None:
    """Unpack and read the data set, and note its digest, classes and counts."""
    dataset = attempt.rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The check names no data set.", None)
    request = describe_dataset(dataset, attempt.runtime.settings) | {"file": fetch_dataset(attempt, dataset)}
    found = attempt.compute("check_dataset", {"dataset": request})
    if dataset.kind == "features":
        _refuse_too_wide(found["info"]["num_features"], None, "pool or project the features first")
    reading = attempt.workspace / READING
    if dataset.upload_id is not None and reading.exists():  # a server folder may change, an upload cannot
        stored = attempt.artifacts.upload(reading_key(dataset), "check_dataset", reading, attempt.stop.check)
        attempt.write(lambda session: attempt.artifacts.record(session, stored))
    _finish(attempt, Dataset, dataset.id, found)


def run_check_concept_set(attempt: Attempt) -> None:
    """Gather the phrases of a version from class names if it is to have them from there, and leave out those too near to others."""
    job, dataset = attempt.rows.job, attempt.rows.dataset
    phrases, dropped, class_names = attempt.write(lambda session: _pending_version(session, job))
    if job.spec["from_classes"]:
        if dataset is None:
            raise StageRefused("dataset_missing", "The check names no data set.", "from_classes")
        found = attempt.compute("gather_phrases", {"classes": _class_names(dataset), "class_names": class_names})
        phrases, dropped = found["phrases"], found["dropped"]
    if phrases and attempt.rows.vlm is not None:
        near = _find_near(attempt, attempt.rows.vlm, phrases, class_names)
        phrases, dropped = [phrases[place] for place in near["kept"]], [*dropped, *near["dropped"]]
    if not phrases:
        raise _nothing_left(dropped, from_classes=job.spec["from_classes"])

    def ready(session: Session) -> None:
        version = session.get_one(ConceptSetVersion, (job.concept_set_id, job.spec["version"]), with_for_update=True)
        if version.state == "pending":
            version.phrases, version.dropped, version.digest = phrases, dropped, _digest(phrases)
            version.state, version.checked_at = "ready", datetime.now(UTC)
            session.flush()
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(ready)


def _pending_version(session: Session, job: Job) -> tuple[Phrases, list[Json], list[str]]:
    """The phrases of a version, those left out already, and the class names that it keeps away from."""
    version = session.get_one(ConceptSetVersion, (job.concept_set_id, job.spec["version"]))
    class_names = [] if version.dataset_id is None else _class_names(session.get_one(Dataset, version.dataset_id))
    return version.phrases, version.dropped, class_names


def _class_names(dataset: Dataset) -> list[str]:
    return (dataset.info or {})["class_names"]


def _find_near(attempt: Attempt, vlm: Model, phrases: Phrases, class_names: list[str]) -> dict[str, Any]:
    """The places of the phrases that a vision-language model tells apart from each other and from classes, and the rest."""
    stages, files = [phrases_stage(vlm.digest, _digest(phrases))], [PHRASES]
    if class_names:
        stages, files = [*stages, classes_stage(vlm.digest, class_names)], [*files, CLASSES]
    pipeline = Pipeline(attempt, stages, given={}, fetch=Sources(attempt, lambda _session, _job: phrases).fetch)
    pipeline.run()
    for name in files:
        pipeline.file(name)
    return attempt.compute("clean_phrases", {"classes": bool(class_names)})


def _nothing_left(dropped: list[Json], *, from_classes: bool) -> StageRefused:
    counts = Counter(one["reason"] for one in dropped)
    given = ", ".join(f"{count:,} {_LEFT_OUT.get(reason, reason)}" for reason, count in counts.most_common())
    instead = "choose a shipped vocabulary or send phrases" if from_classes else "send other ones"
    return StageRefused(
        "vocabulary_empty", f"Cleaning leaves no phrase: it drops {given}; {instead}.", "from_classes" if from_classes else None
    )


def _digest(phrases: Phrases) -> str:
    return phrases_digest(Phrase(text or "", group) for text, group in phrases)


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
