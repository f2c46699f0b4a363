"""The score job: its stages with their dependencies, and the transaction that ends it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import ConceptLibrary, Dataset, Json, Model
from iis_engine.protocols import CONTROL_SEEDS
from worker.jobs.access import is_downloaded
from worker.jobs.artifacts import stage_key
from worker.jobs.attempt import Attempt
from worker.jobs.feature_keys import data_of, features_key
from worker.jobs.inputs import Sources, fetch_vocabulary
from worker.jobs.layer_sweep import with_awaited_layers
from worker.jobs.model_checks import checked_model
from worker.jobs.pipeline import Pipeline
from worker.jobs.progress.expected import list_stages
from worker.jobs.results import FittedLibrary, StoredPredictors, add_library, add_results
from worker.jobs.score_request import ScoreRequest
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import (
    CLASSES,
    CONCEPTS,
    EMBEDDINGS,
    ENSEMBLE,
    EXEMPLARS,
    FEATURES,
    IMAGES_FOLDER,
    ISOTROPIC,
    LEFT_OUT,
    LIBRARY,
    MATCHED,
    MATCHED_LIBRARIES,
    MEASUREMENT,
    NAMES,
    PANEL,
    PHRASES,
    PLOTS,
    PREDICTORS,
    REPORT,
    TEST_SET,
    VECTORS,
)

FITTING = frozenset({"materialise", "extract", "embed_phrases", "libraries", "name", "explain"})
"""Stages that fit a library of visual elements and cut its exemplars."""


class _BySeed(TypedDict):
    """Properties of a stage that measures curves of library seeds."""

    independent: bool
    sharded: bool
    seeds: int


def run_score(attempt: Attempt) -> None:
    """Run the stages whose outputs are not stored yet, then write results and `succeeded` in one transaction."""
    job, rows = attempt.rows.job, attempt.rows
    dataset = rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
    model = rows.model and checked_model(attempt, rows.model)
    reused = attempt.write(lambda session: _reused_library(session, job.owner_id, job.spec["library"]))
    settings = job.spec["library"] if reused is None else reused.settings | {"concept_count": reused.concept_count}
    request = ScoreRequest(
        spec=job.spec | {"library": settings},
        model=model,
        dataset=dataset,
        vlm=rows.vlm,
        library_key=reused and reused.artifact_key,
        library_dataset=rows.library_dataset,
        vectors_sha256=_vectors_sha256(attempt),
    )
    stages = score_stages(request, device=attempt.runtime.settings.device)
    library_stages = _stages_on_library_dataset(attempt, request)
    library_workspace = attempt.workspace if library_stages is None else attempt.library_workspace()
    list_stages(attempt, (library_stages or [], library_workspace), (stages, attempt.workspace))
    library_pipeline = None if library_stages is None else _fit_on_library_dataset(attempt, library_stages, library_workspace)
    given = {} if reused is None else {LIBRARY: reused.artifact_key}
    if library_pipeline is not None:
        given = {name: library_pipeline.key(name) for name in (LIBRARY, ENSEMBLE, *([NAMES] if request.has_names else []))}
    stages = with_awaited_layers(attempt, request, stages)
    sources = Sources(attempt, {"vocabulary": partial(fetch_vocabulary, attempt), "vectors": partial(_fetch_vectors, attempt)})
    pipeline = Pipeline(attempt, stages, given=given, fetch=sources.fetch, made_by=library_pipeline)
    pipeline.run()
    report, panel = pipeline.file(REPORT), pipeline.file(PANEL)
    plots = [(name, format_, pipeline.sha256(file)) for name, format_, file in PLOTS]
    fitted = None
    if reused is None:
        fitting = library_pipeline or pipeline
        crops = fitting.sha256(EXEMPLARS) if dataset.kind != "features" else None
        fitted = FittedLibrary(
            settings=settings,
            artifact_key=fitting.key(LIBRARY),
            concepts=fitting.file(CONCEPTS),
            dropped=fitting.file(LEFT_OUT),
            vectors=fitting.file(VECTORS),
            exemplars_sha256=crops,
        )
    predictors = None
    if job.spec["protocol"] == "exact":
        predictors = StoredPredictors(predictors_key=pipeline.key(PREDICTORS), test_set_key=pipeline.key(TEST_SET))

    def finish(session: Session) -> None:
        library_id = add_library(session, job, fitted) if fitted else reused and reused.id
        add_results(session, job, report=report, panel=panel, plots=plots, library_id=library_id, predictors=predictors)
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


def score_stages(request: ScoreRequest, *, device: str = "auto") -> list[Stage]:
    """The stages of a score job, each with the digest of everything that its outputs depend on; no key depends on the device."""
    spec, dataset, model = request.spec, request.dataset, request.model
    cut_from = data_of(request.fitting.dataset)
    protocol, library, measured_as = spec["protocol"], spec["library"], request.measured_as
    score = {"library": library, "elements": spec["elements"], **measured_as}
    measure = {"score": score, "device": device}
    images = (IMAGES_FOLDER,) if dataset.kind != "features" else ()
    image_source = ("dataset",) if images else ()

    features = features_key(model, dataset, spec["elements"])
    fitted_on = features_key(model, request.fitting.dataset, spec["elements"])
    text_stages = _text_stages(request.fitting, cut_from)
    text_keys = [stage.key for stage in text_stages]
    words = {"words": text_keys if request.has_words else None}
    built = request.library_key or stage_key("libraries", features=fitted_on, library=request.made_of, **words, **measured_as)
    # Phrases and own vectors are counted once they are fitted or read; the parts of a combined library are normalised apart.
    count = None if "text" in request.origins or library["kind"] == "combined" else library["concept_count"]
    sized_by = {"library": built} if count is None else {"concept_count": count}
    isotropic = stage_key("isotropic", features=features, **measured_as, **sized_by)
    matched = stage_key("matched", features=features, library=built, **words, **measured_as)
    heads = stage_key("heads", features=features, library=built, **measured_as)
    name = stage_key("name", features=fitted_on, library=built, words=text_keys)
    names, named = ((NAMES,), {"named": True}) if request.has_names else ((), {"named": False})
    panel = stage_key("panel", heads=heads, matched=matched)
    curve = stage_key("curve", heads=heads, panel=panel, isotropic=isotropic, matched=matched, names=name if request.has_names else None)
    show = stage_key("explain", features=fitted_on, library=built, names=name if request.has_names else None)

    fits = request.library_key is None and request.library_dataset is None
    ensemble = ENSEMBLE if request.library_key is None else LIBRARY
    source = (EMBEDDINGS, PHRASES, CLASSES) if request.has_words else ()
    stages = [materialise_stage(dataset)] if images else []
    stages.append(
        Stage(
            "extract",
            features,
            images,
            (FEATURES,),
            arguments={"elements": spec["elements"]},
            sources=("model", "dataset"),
            network=is_downloaded(model),
            sharded=bool(images),
            divisible=bool(images),
        )
    )
    if fits:
        stages += text_stages
        asked = measure | {"words": request.has_words}
        given = ("vectors",) if request.vectors_sha256 is not None else ()
        stages.append(Stage("libraries", built, (FEATURES, *source), (LIBRARY, ENSEMBLE), arguments=asked, sources=given))
    if fits and request.has_names:
        named_from = (FEATURES, LIBRARY, PHRASES, *images)
        stages.append(Stage("name", name, named_from, (NAMES,), sources=("vlm", "dataset"), network=is_downloaded(request.vlm)))
    sized = (LIBRARY,) if count is None else ()

    def by_seed(seeds: int) -> _BySeed:
        divisible = protocol == "exact" and seeds > 1
        return {"independent": True, "sharded": divisible, "seeds": seeds if divisible else 0}

    stages += [
        Stage(
            "isotropic", isotropic, (FEATURES, *sized), (ISOTROPIC,), arguments=measure | {"concept_count": count}, **by_seed(CONTROL_SEEDS)
        ),
        Stage(
            "matched",
            matched,
            (FEATURES, ensemble, *source),
            (MATCHED_LIBRARIES, MATCHED),
            arguments=measure | {"words": request.has_words},
            **by_seed(CONTROL_SEEDS),
        ),
        Stage("heads", heads, (FEATURES, ensemble), (MEASUREMENT,), arguments=measure, **by_seed(request.library_seeds)),
        Stage("panel", panel, (FEATURES, ensemble, MATCHED_LIBRARIES, MEASUREMENT), (PANEL,), arguments=measure),
        Stage("curve", curve, (FEATURES, ensemble, MEASUREMENT, ISOTROPIC, MATCHED, PANEL, *names), (REPORT,), arguments=measure | named),
    ]
    if fits:
        shown = (CONCEPTS, LEFT_OUT, VECTORS, EXEMPLARS)
        stages.append(Stage("explain", show, (FEATURES, LIBRARY, *names, *images), shown, arguments=named, sources=image_source))
    if protocol == "exact":  # `reference` stores no heads
        names_of = {"dataset": dataset.id} if images else None  # another data set may hold the same images under other names
        kept = stage_key("predictors", heads=heads, names_of=names_of)
        read = (FEATURES, LIBRARY, MEASUREMENT, *images)
        stages.append(Stage("predictors", kept, read, (PREDICTORS, TEST_SET), sources=image_source))
    return [*stages, Stage("report", stage_key("report", curve=curve), (REPORT,), tuple(file for _, _, file in PLOTS))]


def _stages_on_library_dataset(attempt: Attempt, request: ScoreRequest) -> list[Stage] | None:
    """Stages that fit the library on the data set given for it, under the keys of a job on that data set; None where none is given."""
    if request.library_dataset is None:
        return None
    return [stage for stage in score_stages(request.fitting, device=attempt.runtime.settings.device) if stage.name in FITTING]


def _fit_on_library_dataset(attempt: Attempt, stages: list[Stage], workspace: StageWorkspace) -> Pipeline:
    sources = Sources(attempt, {"vocabulary": partial(fetch_vocabulary, attempt)}, workspace)
    pipeline = Pipeline(attempt, stages, given={}, fetch=sources.fetch, workspace=workspace)
    pipeline.run()
    return pipeline


def materialise_stage(dataset: Dataset) -> Stage:
    """Unpack or download the images of a data set."""
    key = stage_key("materialise", dataset=data_of(dataset))
    return Stage("materialise", key, (), (IMAGES_FOLDER,), sources=("dataset",), stored=False, network=is_downloaded(dataset))


def phrases_stage(vlm: Model, vocabulary_digest: str) -> Stage:
    """Text embeddings of a vocabulary. They depend on no data set: validating a concept set computes them for all jobs."""
    key = stage_key("embed_phrases", vlm=vlm.digest, vocabulary=vocabulary_digest)
    return Stage("embed_phrases", key, (), (PHRASES,), sources=("vlm", "vocabulary"), network=is_downloaded(vlm))


def classes_stage(vlm: Model, class_names: list[str]) -> Stage:
    """Text embeddings of class names; they depend on no vocabulary."""
    key = stage_key("embed_classes", vlm=vlm.digest, class_names=class_names)
    names = {"class_names": class_names}
    return Stage("embed_classes", key, (), (CLASSES,), arguments=names, sources=("vlm",), network=is_downloaded(vlm))


def _text_stages(request: ScoreRequest, data: Json) -> list[Stage]:
    """Stages of a vision-language model: embeddings of phrases, and of images and classes where text concepts are fitted."""
    vlm = request.vlm
    if vlm is None or not (request.has_words or request.has_names):
        return []
    phrases = phrases_stage(vlm, request.spec["vocabulary"]["digest"])
    if not request.has_words:
        return [phrases]
    key = stage_key("embed_images", vlm=vlm.digest, dataset=data)
    downloads, sources = is_downloaded(vlm), ("vlm", "dataset")
    images = Stage("embed_images", key, (IMAGES_FOLDER,), (EMBEDDINGS,), sources=sources, network=downloads, sharded=True, divisible=True)
    return [images, phrases, classes_stage(vlm, (request.dataset.info or {})["class_names"])]


def _vectors_sha256(attempt: Attempt) -> str | None:
    spec = attempt.rows.job.spec
    return attempt.rows.uploads[spec["upload"]].sha256 if spec["library"].get("kind") == "vectors" else None


def _fetch_vectors(attempt: Attempt, _: Path) -> Json:
    return {"file": str(attempt.fetch_upload(attempt.rows.job.spec["upload"]))}


def _reused_library(session: Session, owner_id: str, choice: Json) -> ConceptLibrary | None:
    """The library that a job names by id; the API has checked that it belongs to the model."""
    if "id" not in choice:
        return None
    library = session.scalar(select(ConceptLibrary).where(ConceptLibrary.id == choice["id"], ConceptLibrary.owner_id == owner_id))
    if library is None:
        raise StageRefused("not_found", f"There is no concept library {choice['id']}.", "library.id")
    return library
