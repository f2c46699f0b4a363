"""The score job: its stages, what each depends on, and the transaction that ends it. Stages compute in `worker.stages`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import ConceptLibrary, Dataset, Model
from iis_engine import ENGINE_VERSION
from worker.artifacts import digest_of
from worker.attempt import Attempt
from worker.compute import StageRefused
from worker.pipeline import Pipeline, Stage
from worker.results import FittedLibrary, add_library, add_results
from worker.sources import materialise
from worker.stages import CONCEPTS, CONTROL, ENSEMBLE, EXEMPLARS, FEATURES, LIBRARY, MEASUREMENT, PLOTS, REPORT, VECTORS


def run_score(attempt: Attempt) -> None:
    """Run the stages that are not held already, then write results and `succeeded` together."""
    job, model, dataset = attempt.rows.job, attempt.rows.model, attempt.rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
    reused = attempt.write(lambda session: _reused_library(session, job.owner_id, job.spec["library"]))
    given = {} if reused is None else {LIBRARY: reused.artifact_key}
    settings = job.spec["library"] if reused is None else reused.settings
    device = attempt.runtime.settings.device
    stages = score_stages(job.spec | {"library": settings}, model, dataset, library_key=given.get(LIBRARY), device=device)
    pipeline = Pipeline(attempt, stages, given=given, materialise=lambda: materialise(attempt))
    pipeline.run()
    report = pipeline.file(REPORT)
    plots = [(name, format_, pipeline.sha256(file)) for name, format_, file in PLOTS]
    fitted = None
    if reused is None:
        crops = pipeline.sha256(EXEMPLARS) if dataset.kind != "features" else None
        fitted = FittedLibrary(settings, pipeline.key(LIBRARY), pipeline.file(CONCEPTS), pipeline.file(VECTORS), crops)

    def finish(session: Session) -> None:
        library_id = add_library(session, job, fitted) if fitted else reused and reused.id
        add_results(session, job, report=report, plots=plots, library_id=library_id)
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


def score_stages(
    spec: dict[str, Any], model: Model | None, dataset: Dataset, *, library_key: str | None, device: str = "auto"
) -> list[Stage]:
    """The stages of a score job, each under the digest of everything its output depends on.

    Parameters
    ----------
    spec : the job's request, with the settings of the library that is used
    library_key : artifact key of a library fitted before; None builds one
    device : where to compute; no part of any key
    """
    backbone = model and {"digest": model.digest, "layer": model.layer, "preprocessing": model.preprocessing, "arguments": model.arguments}
    data = {"digest": dataset.digest, "kind": dataset.kind, "split_seed": dataset.split_seed, "test_share": dataset.test_share}
    protocol, seed, library = spec["protocol"], spec["seed"], spec["library"]
    score = {"library": library, "elements": spec["elements"], "protocol": protocol, "seed": seed}
    request = {"score": score, "device": device}

    def key(stage: str, **depends: Any) -> str:
        return digest_of(stage=stage, engine=ENGINE_VERSION, **depends)

    features = key("extract", model=backbone, dataset=data, elements=spec["elements"])
    built = library_key or key("libraries", features=features, library=library, protocol=protocol, seed=seed)
    control = key("control", features=features, concept_count=library["concept_count"], protocol=protocol, seed=seed)
    heads = key("heads", features=features, library=built, protocol=protocol, seed=seed)
    curve = key("curve", heads=heads, control=control)
    images = dataset.kind != "features"
    build = Stage("libraries", built, (FEATURES,), (LIBRARY, ENSEMBLE), request)
    show = Stage(
        "explain",
        key("explain", features=features, library=built),
        (FEATURES, LIBRARY),
        (CONCEPTS, VECTORS, EXEMPLARS),
        needs_sources=images,
    )
    fits = library_key is None
    ensemble = ENSEMBLE if fits else LIBRARY
    return [
        Stage("extract", features, (), (FEATURES,), {"elements": spec["elements"]}, needs_sources=True, sharded=images),
        *([build] if fits else []),
        Stage("control", control, (FEATURES,), (CONTROL,), request),
        Stage("heads", heads, (FEATURES, ensemble), (MEASUREMENT,), request),
        Stage("curve", curve, (FEATURES, ensemble, MEASUREMENT, CONTROL), (REPORT,), request),
        *([show] if fits else []),
        Stage("report", key("report", curve=curve), (REPORT,), tuple(file for _, _, file in PLOTS)),
    ]


def _reused_library(session: Session, owner_id: str, choice: dict[str, Any]) -> ConceptLibrary | None:
    """The library a job names by id; the API has checked that it fits the model."""
    if "id" not in choice:
        return None
    library = session.scalar(select(ConceptLibrary).where(ConceptLibrary.id == choice["id"], ConceptLibrary.owner_id == owner_id))
    if library is None:
        raise StageRefused("not_found", f"There is no concept library {choice['id']}.", "library.id")
    return library
