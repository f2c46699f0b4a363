"""Internal jobs that validate a new model, data set or concept set. `app.db.transitions` marks the row when the job fails."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import ConceptSetVersion, Dataset, Job, Json, Model
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from worker.jobs.access import is_downloaded
from worker.jobs.attempt import Attempt
from worker.jobs.inputs import Phrases, Sources, fetch_dataset, reading_key, write_phrases
from worker.jobs.model_checks import check_model, mark_ready, refuse_too_wide
from worker.jobs.outputs import require_shown
from worker.jobs.pipeline import Pipeline
from worker.jobs.score import classes_stage, phrases_stage
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import CLASSES, PHRASES, READING

_DROP_REASONS = {
    "too_long": f"for having more than {CONCEPT_CHARACTERS_MAX} characters",
    "class_name": "for holding a class name",
    "near_class": "for meaning nearly the same as a class",
    "repeated": "for repeating another",
    "near_phrase": "for meaning nearly the same as another",
}
"""Reasons for dropping phrases, as they follow a number in a sentence."""


def run_check_model(attempt: Attempt) -> None:
    """Load the checkpoint, run a dry forward pass, and store digest and shape of the representation."""
    model = attempt.rows.model
    if model is None:
        raise StageRefused("model_missing", "The job names no model.", None)
    _finish(attempt, Model, model.id, check_model(attempt, model))


def run_check_dataset(attempt: Attempt) -> None:
    """Unpack and read the data set, and store its digest, classes and counts."""
    dataset = attempt.rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The job names no data set.", None)
    request = fetch_dataset(attempt, dataset)
    found = attempt.run_stage("check_dataset", {"dataset": request.to_json()}, network=is_downloaded(dataset))
    if dataset.kind == "features":
        refuse_too_wide(found["info"]["num_features"], None, "pool or project the features first")
    reading = attempt.folder / READING
    if dataset.upload_id is not None and reading.exists():  # a server folder may change, an upload cannot
        stored = attempt.artifacts.upload(reading_key(dataset), "check_dataset", reading, attempt.stop.check)
        attempt.write(lambda session: attempt.artifacts.record(session, stored))
    _finish(attempt, Dataset, dataset.id, found)


def run_check_concept_set(attempt: Attempt) -> None:
    """Collect the phrases of a version, from class names if the job says so, and drop those too similar to others."""
    job, dataset = attempt.rows.job, attempt.rows.dataset
    phrases, dropped, class_names = attempt.write(lambda session: _pending_version(session, job))
    if job.spec["from_classes"]:
        if dataset is None:
            raise StageRefused("dataset_missing", "The job names no data set.", "from_classes")
        found = attempt.run_stage("gather_phrases", {"classes": _class_names(dataset), "class_names": class_names})
        require_shown(found, "phrases")
        phrases, dropped = found["phrases"], found["dropped"]
    if phrases and attempt.rows.vlm is not None:
        found = _drop_similar(attempt, attempt.rows.vlm, phrases, class_names)
        phrases, dropped = [phrases[index] for index in found["kept"]], [*dropped, *found["dropped"]]
    if not phrases:
        raise _vocabulary_empty(dropped, from_classes=job.spec["from_classes"])

    def ready(session: Session) -> None:
        version = session.get_one(ConceptSetVersion, (job.concept_set_id, job.spec["version"]), with_for_update=True)
        if version.state == "pending":
            version.phrases, version.dropped, version.digest = phrases, dropped, _digest(phrases)
            version.state, version.checked_at = "ready", datetime.now(UTC)
            session.flush()
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(ready)


def _pending_version(session: Session, job: Job) -> tuple[Phrases, list[Json], list[str]]:
    """The phrases of a version, those dropped already, and the class names that its phrases must differ from."""
    version = session.get_one(ConceptSetVersion, (job.concept_set_id, job.spec["version"]))
    class_names = [] if version.dataset_id is None else _class_names(session.get_one(Dataset, version.dataset_id))
    return version.phrases, version.dropped, class_names


def _class_names(dataset: Dataset) -> list[str]:
    return (dataset.info or {})["class_names"]


def _drop_similar(attempt: Attempt, vlm: Model, phrases: Phrases, class_names: list[str]) -> Json:
    """Indices of the phrases whose embeddings differ enough from each other and from those of the classes, and the dropped rest."""
    stages, files = [phrases_stage(vlm, _digest(phrases))], [PHRASES]
    if class_names:
        stages, files = [*stages, classes_stage(vlm, class_names)], [*files, CLASSES]
    pipeline = Pipeline(attempt, stages, given={}, fetch=Sources(attempt, {"vocabulary": partial(write_phrases, phrases)}).fetch)
    pipeline.run()
    for name in files:
        pipeline.file(name)
    return attempt.run_stage("clean_phrases", {"classes": bool(class_names)})


def _vocabulary_empty(dropped: list[Json], *, from_classes: bool) -> StageRefused:
    counts = Counter(one["reason"] for one in dropped)
    given = ", ".join(f"{count:,} {_DROP_REASONS.get(reason, reason)}" for reason, count in counts.most_common())
    instead = "choose a shipped vocabulary or send phrases" if from_classes else "send other ones"
    return StageRefused(
        "vocabulary_empty", f"Cleaning leaves no phrase: it drops {given}; {instead}.", "from_classes" if from_classes else None
    )


def _digest(phrases: Phrases) -> str:
    return phrases_digest(Phrase(text or "", group) for text, group in phrases)


def _finish(attempt: Attempt, table: type[Model | Dataset], row_id: str, found: Json) -> None:
    def ready(session: Session) -> None:
        mark_ready(session, table, row_id, found)
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(ready)
