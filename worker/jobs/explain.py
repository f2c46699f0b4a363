"""The explain job: its stages, what each depends on, and the transaction that ends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import Concept, ExplanationBatch, Job, Predictor, Result
from worker.jobs.artifacts import digest_of, stage_key
from worker.jobs.attempt import Attempt
from worker.jobs.inputs import fetch_model
from worker.jobs.pipeline import Pipeline, Stage
from worker.sandbox.process import StageRefused
from worker.stages.files import CONCEPT_NAMES, OFFSETS, PREDICTORS, REPRESENTED, ROWS, SUMMARY, TABLE, TEST_SET

ROW_FILES = (ROWS, OFFSETS, TABLE, SUMMARY)


def run_explain(attempt: Attempt) -> None:
    """Run the stages that are not held already, then write the batch and `succeeded` together."""
    job = attempt.rows.job
    scored = attempt.write(lambda session: _read_scored(session, attempt, job))
    given = {PREDICTORS: scored.predictors_key, TEST_SET: scored.tested_key}
    stages = explain_stages(attempt, scored)
    pipeline = Pipeline(attempt, stages, given=given, fetch=_Sources(attempt, scored.concepts).fetch)
    pipeline.run()
    summary = json.loads(pipeline.file(SUMMARY).read_text())
    files = {f"{name}_sha256": pipeline.sha256(file) for name, file in (("jsonl", ROWS), ("parquet", TABLE), ("offsets", OFFSETS))}

    def finish(session: Session) -> None:
        session.add(ExplanationBatch(job_id=job.id, summary=summary, **files))
        session.flush()
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


@dataclass(frozen=True)
class Scored:
    """What a scored job left to explain with.

    Attributes
    ----------
    predictors_key, tested_key : of artifacts that are held
    concepts : [[label, origin], …] of its library
    """

    predictors_key: str
    tested_key: str
    concepts: list[list[str | None]]


def explain_stages(attempt: Attempt, scored: Scored) -> list[Stage]:
    """The stages of an explain job, each under the digest of everything its output depends on."""
    spec, model = attempt.rows.job.spec, attempt.rows.model
    asked = {name: spec[name] for name in ("kept", "top", "contrast")}
    before, images = list[Stage](), (TEST_SET, scored.tested_key)
    if spec["upload"] is not None:
        if model is None:
            raise StageRefused(
                "no_images", "The job was scored on ready features, so there is no network to look at images with.", "upload"
            )
        backbone = {"digest": model.digest, "layer": model.layer, "preprocessing": model.preprocessing, "arguments": model.arguments}
        represented = stage_key("represent", model=backbone, archive=attempt.rows.uploads[spec["upload"]].sha256)
        before = [Stage("represent", represented, (), (REPRESENTED,), {}, ("model", "archive"), sharded=True)]
        images = (REPRESENTED, represented)
    file, images_key = images
    key = stage_key(
        "explain_rows", predictors=scored.predictors_key, images=images_key, concepts=digest_of(concepts=scored.concepts), **asked
    )
    arguments = {**asked, "tested": file == TEST_SET}
    return [*before, Stage("explain_rows", key, (PREDICTORS, file), ROW_FILES, arguments, ("concepts",))]


class _Sources:
    """What stages read beside the outputs of others: `model`, `archive` (its images unpacked) and `concepts` (their names)."""

    def __init__(self, attempt: Attempt, concepts: list[list[str | None]]) -> None:
        self._attempt = attempt
        self._concepts = concepts

    def fetch(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Put the named ones into the workspace; returns what stages need to find them."""
        fetchers = {"model": self._model, "archive": self._archive, "concepts": self._names}
        return {name: fetchers[name]() for name in names}

    def _model(self) -> dict[str, Any] | None:
        model = self._attempt.rows.model
        return None if model is None else fetch_model(self._attempt.runtime.settings, model, self._attempt.fetch_upload)

    def _archive(self) -> dict[str, Any]:
        upload_id = self._attempt.rows.job.spec["upload"]
        self._attempt.compute("unpack", {"archive": str(self._attempt.fetch_upload(upload_id))})
        self._attempt.stage_event("unpack", "finished")
        return {"sha256": self._attempt.rows.uploads[upload_id].sha256}

    def _names(self) -> None:
        (self._attempt.workspace / CONCEPT_NAMES).write_text(json.dumps(self._concepts))


def _read_scored(session: Session, attempt: Attempt, job: Job) -> Scored:
    scored_id = job.spec["job"]
    found = select(Predictor).where(Predictor.job_id == scored_id, Predictor.owner_id == job.owner_id).limit(1)
    predictor = session.scalars(found).first()
    held = attempt.artifacts.find(session, [predictor.predictors_key, predictor.tested_key]) if predictor is not None else {}
    if predictor is None or len(held) < 2:
        raise StageRefused("artifact_gone", f"What job {scored_id} left to explain with is no longer kept; submit that job again.", "job")
    library = select(Result.library_id).where(Result.job_id == scored_id).scalar_subquery()
    named = select(Concept.label, Concept.origin).where(Concept.library_id == library).order_by(Concept.index)
    return Scored(predictor.predictors_key, predictor.tested_key, [[label, origin] for label, origin in session.execute(named)])
