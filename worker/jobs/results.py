"""Add the results of a score job to a session: report, curves, points, plots, library and concepts. The caller commits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.lists.job_summaries import summarise
from app.db.models import Concept, ConceptLibrary, Curve, CurvePoint, DroppedPhrase, Job, Json, Plot, Predictor, Result
from iis_schemas.concept_libraries import MAX_DIMENSION
from worker.jobs.configuration import inputs_of, notes_of_vision_language_model
from worker.jobs.outputs import MatrixFile, OutputInvalid, open_matrix, read_json, read_shown_json

ROWS_PER_INSERT = 500
CONCEPT_CHARACTERS_MAX = 64 * 1024  # of its JSON; a page of the API has up to a hundred concepts
CONCEPT_COLUMNS = ("origin", "label", "details", "exemplars")  # fields taken from the child process
DROPPED_COLUMNS = ("text", "reason", "details")
POINT_COLUMNS = ("kept", "sparsity", "accuracy", "accuracy_low", "accuracy_high", "arr", "arr_low", "arr_high", "arr_chance_corrected")


@dataclass(frozen=True)
class FittedLibrary:
    """Files and settings of a concept library that a job has fitted."""

    settings: Json
    artifact_key: str
    concepts: Path  # JSON: [{origin, label, details, exemplars}]
    dropped: Path  # phrases as JSON: [{text, reason, details}]
    vectors: Path  # (M, d) npy
    exemplars_sha256: str | None  # a zip of crops, named in the exemplars of each concept; None without images


@dataclass(frozen=True)
class StoredPredictors:
    """Artifact keys of a job's sparse heads and of the test set with its activations."""

    predictors_key: str
    test_set_key: str


def add_results(
    session: Session,
    job: Job,
    *,
    report: Path,
    panel: Path,
    plots: list[tuple[str, str, str]],
    library_id: str | None,
    predictors: StoredPredictors | None,
) -> None:
    """Add report, curves and plots of a finished score job, and its summary.

    Parameters
    ----------
    report : the report as JSON
    panel : the panel as JSON, for the metrics of its concepts
    plots : (name, format, sha256) of each figure
    predictors : None for a protocol that stores no heads
    """
    content = read_shown_json(report)
    if job.library_dataset_id is not None:
        content["library"]["dataset"] = job.library_dataset_id  # the data set whose images show the concepts
    if "elements" in content["library"]:
        content["library"]["elements"] = _elements_of(session, job, library_id)
    content["configuration"] = content.get("configuration", {}) | inputs_of(session, job)
    content["notes"] = [*content.get("notes", []), *notes_of_vision_language_model(session, job)]
    metrics = read_shown_json(panel)["concepts"]
    session.add(Result(job_id=job.id, library_id=library_id, report=content, concept_metrics=metrics))
    _add_curve(session, job.id, "library", content["points"])
    for name, control in content["controls"].items():
        _add_curve(session, job.id, name, control["points"])
    session.add_all(Plot(job_id=job.id, name=name, format=format_, blob_sha256=sha256) for name, format_, sha256 in plots)
    if predictors is not None:
        _add_predictors(session, job, content["points"], predictors)
    session.flush()
    summarise(session, [job.id])


def _elements_of(session: Session, job: Job, library_id: str | None) -> Json:
    """How the visual elements of the job's library were cut, by the job that fitted it."""
    library = session.get(ConceptLibrary, library_id)
    fitted_by = job if library is None else session.get_one(Job, library.job_id)
    elements: Json = fitted_by.spec["elements"]
    return elements


def add_library(session: Session, job: Job, library: FittedLibrary) -> str:
    """Add a fitted library with its concepts; returns its id."""
    with open_matrix(library.vectors, dimension_max=MAX_DIMENSION) as matrix:
        return _add_library(session, job, library, matrix)


def _add_library(session: Session, job: Job, library: FittedLibrary, matrix: MatrixFile) -> str:
    described = read_json(library.concepts)
    if len(described) != matrix.count:
        raise OutputInvalid(library.concepts, f"it describes {len(described):,} concepts, and there are {matrix.count:,} vectors")
    if max((len(json.dumps(concept)) for concept in described), default=0) > CONCEPT_CHARACTERS_MAX:
        raise OutputInvalid(library.concepts, f"it describes a concept by more than {CONCEPT_CHARACTERS_MAX:,} characters")
    row = ConceptLibrary(
        id=new_id("library"),
        owner_id=job.owner_id,
        job_id=job.id,
        model_id=job.model_id,
        dataset_id=job.library_dataset_id or job.dataset_id,
        kind=library.settings["kind"],
        settings=library.settings | ({"exemplars": {"sha256": library.exemplars_sha256}} if library.exemplars_sha256 else {}),
        concept_count=matrix.count,
        dimension=matrix.dimension,
        artifact_key=library.artifact_key,
    )
    session.add(row)
    session.flush()
    for start in range(0, len(described), ROWS_PER_INSERT):
        batch = described[start : start + ROWS_PER_INSERT]
        rows = [
            {name: concept[name] for name in CONCEPT_COLUMNS} | {"library_id": row.id, "index": start + offset, "vector": vector}
            for offset, (concept, vector) in enumerate(zip(batch, matrix.read_rows(len(batch)), strict=True))
        ]
        session.execute(insert(Concept), rows)
    dropped = read_json(library.dropped)
    for start in range(0, len(dropped), ROWS_PER_INSERT):
        rows = [
            {name: phrase[name] for name in DROPPED_COLUMNS} | {"library_id": row.id, "index": start + offset}
            for offset, phrase in enumerate(dropped[start : start + ROWS_PER_INSERT])
        ]
        session.execute(insert(DroppedPhrase), rows)
    return row.id


def _add_curve(session: Session, job_id: str, name: str, points: list[Json]) -> None:
    if not points:
        return
    curve = Curve(id=new_id("curve"), job_id=job_id, name=name)
    session.add(curve)
    session.flush()
    session.add_all(CurvePoint(curve_id=curve.id, **{column: point.get(column) for column in POINT_COLUMNS}) for point in points)


def _add_predictors(session: Session, job: Job, points: list[Json], stored: StoredPredictors) -> None:
    by_kept = {point["kept"]: point for point in points if point["kept"] > 0}  # with few concepts, two sparsities may keep the same number
    session.add_all(
        Predictor(
            id=new_id("predictor"),
            owner_id=job.owner_id,
            job_id=job.id,
            **{name: point[name] for name in ("kept", "sparsity", "accuracy", "arr")},
            predictors_key=stored.predictors_key,
            tested_key=stored.test_set_key,
        )
        for point in by_kept.values()
    )
