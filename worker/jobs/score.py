"""The score job: its stages, what each depends on, and the transaction that ends it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import ConceptLibrary, Dataset, Model
from iis_engine.specs import VISUAL_KINDS
from worker.jobs.artifacts import stage_key
from worker.jobs.attempt import Attempt
from worker.jobs.inputs import Sources, read_vocabulary
from worker.jobs.pipeline import Pipeline, Stage
from worker.jobs.results import FittedLibrary, KeptPredictors, add_library, add_results
from worker.sandbox.process import StageRefused
from worker.stages.files import (
    CLASSES,
    CONCEPTS,
    CONTROL,
    EMBEDDINGS,
    ENSEMBLE,
    EXEMPLARS,
    FEATURES,
    LEFT_OUT,
    LIBRARY,
    MEASUREMENT,
    NAMES,
    PHRASES,
    PLOTS,
    PREDICTORS,
    REPORT,
    TEST_SET,
    VECTORS,
)

FITTING = frozenset({"extract", "embed_phrases", "libraries", "name", "explain"})
"""Stages that make a library of visual elements and show it."""


def run_score(attempt: Attempt) -> None:
    """Run the stages that are not held already, then write results and `succeeded` together."""
    job, rows = attempt.rows.job, attempt.rows
    dataset = rows.dataset
    if dataset is None:
        raise StageRefused("dataset_missing", "The job names no data set.", "dataset")
    reused = attempt.write(lambda session: _reused_library(session, job.owner_id, job.spec["library"]))
    settings = job.spec["library"] if reused is None else reused.settings | {"concept_count": reused.concept_count}
    request = ScoreRequest(
        job.spec | {"library": settings}, rows.model, dataset, rows.vlm, reused and reused.artifact_key, rows.library_dataset
    )
    elsewhere = _fit_elsewhere(attempt, request)
    given = {} if reused is None else {LIBRARY: reused.artifact_key}
    if elsewhere is not None:
        given = {name: elsewhere.key(name) for name in (LIBRARY, ENSEMBLE, *([NAMES] if request.has_names else []))}
    stages = score_stages(request, device=attempt.runtime.settings.device)
    pipeline = Pipeline(attempt, stages, given=given, fetch=Sources(attempt, read_vocabulary).fetch, elsewhere=elsewhere)
    pipeline.run()
    report = pipeline.file(REPORT)
    plots = [(name, format_, pipeline.sha256(file)) for name, format_, file in PLOTS]
    fitted = None
    if reused is None:
        fitting = elsewhere or pipeline
        crops = fitting.sha256(EXEMPLARS) if dataset.kind != "features" else None
        files = (fitting.file(name) for name in (CONCEPTS, LEFT_OUT, VECTORS))
        fitted = FittedLibrary(settings, fitting.key(LIBRARY), *files, exemplars_sha256=crops)

    keys = (pipeline.key(name) for name in (PREDICTORS, TEST_SET))
    predictors = KeptPredictors(*keys) if job.spec["protocol"] == "exact" else None

    def finish(session: Session) -> None:
        library_id = add_library(session, job, fitted) if fitted else reused and reused.id
        add_results(session, job, report=report, plots=plots, library_id=library_id, predictors=predictors)
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


@dataclass(frozen=True)
class ScoreRequest:
    """What a score job asks for.

    Attributes
    ----------
    spec : the job's request, with the settings of the library that is used
    library_key : artifact key of a library fitted before; None builds one
    library_dataset : whose images a library is cut from and fitted on in place of the scored ones
    """

    spec: dict[str, Any]
    model: Model | None
    dataset: Dataset
    vlm: Model | None = None
    library_key: str | None = None
    library_dataset: Dataset | None = None

    @property
    def fitting(self) -> ScoreRequest:
        """The request that fits the library: this one, or the same on the data set that it is cut from."""
        return self if self.library_dataset is None else replace(self, dataset=self.library_dataset, library_dataset=None)

    @property
    def origins(self) -> set[str]:
        """The kinds of concepts in the library."""
        library = self.spec["library"]
        return {part["kind"] for part in library.get("parts") or [library]}

    @property
    def has_words(self) -> bool:
        """Whether text concepts are to be fitted."""
        return "text" in self.origins and self.library_key is None

    @property
    def has_names(self) -> bool:
        """Whether visual concepts are to be named."""
        return self.vlm is not None and bool(self.origins & set(VISUAL_KINDS)) and self.library_key is None


def score_stages(asked: ScoreRequest, *, device: str = "auto") -> list[Stage]:
    """The stages of a score job, each under the digest of everything its output depends on; the device is no part of any key."""
    spec, dataset, model = asked.spec, asked.dataset, asked.model
    backbone = model and backbone_of(model)
    data, cut_from = data_of(dataset), data_of(asked.fitting.dataset)
    protocol, seed, library = spec["protocol"], spec["seed"], spec["library"]
    score = {"library": library, "elements": spec["elements"], "protocol": protocol, "seed": seed}
    images = dataset.kind != "features"
    request = {"score": score, "device": device}

    features = stage_key("extract", model=backbone, dataset=data, elements=spec["elements"])
    fitted_on = stage_key("extract", model=backbone, dataset=cut_from, elements=spec["elements"])
    words = _word_stages(asked.fitting, cut_from)
    words_keys = [stage.key for stage in words]
    built = asked.library_key or stage_key(
        "libraries", features=fitted_on, library=library, protocol=protocol, seed=seed, words=words_keys if asked.has_words else None
    )
    # How many concepts a text library keeps is known when it stands.
    count = None if "text" in asked.origins else library["concept_count"]
    sized_by = {"library": built} if count is None else {"concept_count": count}
    control = stage_key("control", features=features, protocol=protocol, seed=seed, **sized_by)
    heads = stage_key("heads", features=features, library=built, protocol=protocol, seed=seed)
    name = stage_key("name", features=fitted_on, library=built, words=words_keys)
    names, named = ((NAMES,), {"named": True}) if asked.has_names else ((), {"named": False})
    curve = stage_key("curve", heads=heads, control=control, names=name if asked.has_names else None)
    show = stage_key("explain", features=fitted_on, library=built, names=name if asked.has_names else None)

    fits = asked.library_key is None and asked.library_dataset is None
    ensemble = ENSEMBLE if asked.library_key is None else LIBRARY
    source = (EMBEDDINGS, PHRASES, CLASSES) if asked.has_words else ()
    stages = [Stage("extract", features, (), (FEATURES,), {"elements": spec["elements"]}, ("model", "dataset"), sharded=images)]
    if fits:
        stages += words
        stages.append(Stage("libraries", built, (FEATURES, *source), (LIBRARY, ENSEMBLE), request | {"words": asked.has_words}))
    if fits and asked.has_names:
        stages.append(Stage("name", name, (FEATURES, LIBRARY, PHRASES), (NAMES,), {}, ("vlm", "dataset")))
    sized = (LIBRARY,) if count is None else ()
    stages += [
        Stage("control", control, (FEATURES, *sized), (CONTROL,), request | {"concept_count": count}),
        Stage("heads", heads, (FEATURES, ensemble), (MEASUREMENT,), request),
        Stage("curve", curve, (FEATURES, ensemble, MEASUREMENT, CONTROL, *names), (REPORT,), request | named),
    ]
    if fits:
        shown = (CONCEPTS, LEFT_OUT, VECTORS, EXEMPLARS)
        stages.append(Stage("explain", show, (FEATURES, LIBRARY, *names), shown, named, ("dataset",) if images else ()))
    if protocol == "exact":  # the heads of `reference` are kept by nobody
        names_of = {"dataset": asked.dataset.id} if images else None  # another data set may hold the same images under other names
        kept = stage_key("predictors", heads=heads, names_of=names_of)
        stages.append(
            Stage("predictors", kept, (FEATURES, LIBRARY, MEASUREMENT), (PREDICTORS, TEST_SET), {}, ("dataset",) if images else ())
        )
    return [*stages, Stage("report", stage_key("report", curve=curve), (REPORT,), tuple(file for _, _, file in PLOTS))]


def backbone_of(model: Model) -> dict[str, Any]:
    """What decides a network's representation."""
    return {"digest": model.digest, "layer": model.layer, "preprocessing": model.preprocessing, "arguments": model.arguments}


def _fit_elsewhere(attempt: Attempt, request: ScoreRequest) -> Pipeline | None:
    """Cut and fit the library on another data set as a job on that one does, under the same keys; None where the job has its own."""
    if request.library_dataset is None:
        return None
    place = attempt.library_place()
    stages = [stage for stage in score_stages(request.fitting, device=attempt.runtime.settings.device) if stage.name in FITTING]
    pipeline = Pipeline(attempt, stages, given={}, fetch=Sources(attempt, read_vocabulary, place).fetch, place=place)
    pipeline.run()
    return pipeline


def data_of(dataset: Dataset) -> dict[str, Any]:
    """What decides a data set's images and their split."""
    return {"digest": dataset.digest, "kind": dataset.kind, "split_seed": dataset.split_seed, "test_share": dataset.test_share}


def phrases_stage(vlm_digest: str | None, vocabulary_digest: str) -> Stage:
    """The text embeddings of a vocabulary; they depend on no data set, so a check of the vocabulary makes them for all jobs."""
    key = stage_key("embed_phrases", vlm=vlm_digest, vocabulary=vocabulary_digest)
    return Stage("embed_phrases", key, (), (PHRASES,), {}, ("vlm", "vocabulary"))


def classes_stage(vlm_digest: str | None, class_names: list[str]) -> Stage:
    """The text embeddings of class names; they depend on no vocabulary."""
    key = stage_key("embed_classes", vlm=vlm_digest, class_names=class_names)
    return Stage("embed_classes", key, (), (CLASSES,), {"class_names": class_names}, ("vlm",))


def _word_stages(asked: ScoreRequest, data: dict[str, Any]) -> list[Stage]:
    """What a vision-language model says: of images and classes where text concepts are fitted, of phrases wherever they are used."""
    if asked.vlm is None or not (asked.has_words or asked.has_names):
        return []
    phrases = phrases_stage(asked.vlm.digest, asked.spec["vocabulary"]["digest"])
    if not asked.has_words:
        return [phrases]
    images = stage_key("embed_images", vlm=asked.vlm.digest, dataset=data)
    classes = classes_stage(asked.vlm.digest, (asked.dataset.info or {})["class_names"])
    return [Stage("embed_images", images, (), (EMBEDDINGS,), {}, ("vlm", "dataset"), sharded=True), phrases, classes]


def _reused_library(session: Session, owner_id: str, choice: dict[str, Any]) -> ConceptLibrary | None:
    """The library a job names by id; the API has checked that it fits the model."""
    if "id" not in choice:
        return None
    library = session.scalar(select(ConceptLibrary).where(ConceptLibrary.id == choice["id"], ConceptLibrary.owner_id == owner_id))
    if library is None:
        raise StageRefused("not_found", f"There is no concept library {choice['id']}.", "library.id")
    return library
