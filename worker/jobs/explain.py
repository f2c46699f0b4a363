"""The explain job: its stages with their dependencies, and the transaction that ends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import Concept, ExplanationBatch, Job, Json, Model, Predictor, Result
from worker.jobs.access import is_downloaded
from worker.jobs.artifacts import artifact_key, stage_key
from worker.jobs.attempt import Attempt
from worker.jobs.feature_keys import backbone_of
from worker.jobs.inputs import FetchSource, Sources
from worker.jobs.outputs import read_json
from worker.jobs.pipeline import Pipeline
from worker.jobs.progress.expected import list_stages
from worker.jobs.stage import Stage
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import CONCEPT_NAMES, OFFSETS, PREDICTORS, REPRESENTED, ROWS, SUMMARY, TABLE, TEST_SET, UNPACKED_FOLDER

ROW_FILES = (ROWS, OFFSETS, TABLE, SUMMARY)


def run_explain(attempt: Attempt) -> None:
    """Run the stages whose outputs are not stored yet, then write the batch and `succeeded` in one transaction."""
    job, model = attempt.rows.job, attempt.rows.model
    scored = attempt.write(lambda session: _read_scored_job(session, attempt, job))
    given = {PREDICTORS: scored.predictors_key, TEST_SET: scored.test_set_key}
    archive = None if job.spec["upload"] is None else attempt.rows.uploads[job.spec["upload"]]
    stages = explain_stages(job.spec, scored, model, archive and archive.sha256)
    list_stages(attempt, (stages, attempt.workspace))
    pipeline = Pipeline(attempt, stages, given=given, fetch=Sources(attempt, explain_sources(attempt)).fetch)
    pipeline.run()
    summary = read_json(pipeline.file(SUMMARY))
    files = {f"{name}_sha256": pipeline.sha256(file) for name, file in (("jsonl", ROWS), ("parquet", TABLE), ("offsets", OFFSETS))}

    def finish(session: Session) -> None:
        session.add(ExplanationBatch(job_id=job.id, summary=summary, **files))
        session.flush()
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


@dataclass(frozen=True)
class ScoredJob:
    """Artifacts and concepts of a scored job, from which its images are explained.

    Attributes
    ----------
    predictors_key, test_set_key : keys of stored artifacts
    concepts : [[label, origin], …] of the library
    """

    predictors_key: str
    test_set_key: str
    concepts: list[list[str | None]]


def explain_stages(spec: Json, scored: ScoredJob, model: Model | None, archive_sha256: str | None) -> list[Stage]:
    """The stages of an explain job, each with the digest of everything that its outputs depend on.

    Parameters
    ----------
    model : the network of the scored job; None for ready features
    archive_sha256 : the archive whose images are explained; None explains the test images
    """
    choices = {name: spec[name] for name in ("kept", "top", "contrast")}
    before, file, images_key = list[Stage](), TEST_SET, scored.test_set_key
    if archive_sha256 is not None:
        if model is None:
            raise StageRefused("no_images", "The job was scored on ready features, so it has no network to read images with.", "upload")
        file, images_key = REPRESENTED, stage_key("represent", model=backbone_of(model), archive=archive_sha256)
        unpacked = stage_key("unpack", archive=archive_sha256)
        before = [
            Stage("unpack", unpacked, (), (UNPACKED_FOLDER,), sources=("archive",), stored=False),
            Stage(
                "represent",
                images_key,
                (UNPACKED_FOLDER,),
                (REPRESENTED,),
                sources=("model", "archive"),
                network=is_downloaded(model),
                sharded=True,
                divisible=True,
            ),
        ]
    concepts = artifact_key(concepts=scored.concepts)
    key = stage_key("explain_rows", predictors=scored.predictors_key, images=images_key, concepts=concepts, **choices)
    arguments = {**choices, "tested": file == TEST_SET}
    rows = Stage(
        "explain_rows",
        key,
        (PREDICTORS, file),
        ROW_FILES,
        arguments=arguments,
        sources=("concepts",),
        sharded=True,
        divisible=True,
        on_cpu=True,
    )
    return [*before, rows]


def explain_sources(attempt: Attempt) -> dict[str, FetchSource]:
    """Sources of explain jobs beside those of all jobs."""

    def write_concepts(folder: Path) -> None:
        concepts = attempt.write(lambda session: _read_concepts(session, attempt.rows.job.spec["job"]))
        (folder / CONCEPT_NAMES).write_text(json.dumps(concepts))

    return {"concepts": write_concepts}


def _read_scored_job(session: Session, attempt: Attempt, job: Job) -> ScoredJob:
    scored_id = job.spec["job"]
    found = select(Predictor).where(Predictor.job_id == scored_id, Predictor.owner_id == job.owner_id).limit(1)
    predictor = session.scalars(found).first()
    stored = attempt.artifacts.find(session, [predictor.predictors_key, predictor.tested_key]) if predictor is not None else {}
    if predictor is None or len(stored) < 2:
        raise StageRefused("artifact_gone", f"The artifacts of job {scored_id} are no longer stored; submit that job again.", "job")
    return ScoredJob(predictor.predictors_key, predictor.tested_key, _read_concepts(session, scored_id))


def _read_concepts(session: Session, scored_id: str) -> list[list[str | None]]:
    """[[label, origin], …] of a scored job's library."""
    library = select(Result.library_id).where(Result.job_id == scored_id).scalar_subquery()
    named = select(Concept.label, Concept.origin).where(Concept.library_id == library).order_by(Concept.index)
    return [[label, origin] for label, origin in session.execute(named)]
