"""Answers of the tools: what a language model needs of a job, a report, a concept and an explanation, without addresses of parts."""

from __future__ import annotations

from typing import Any

from iis_client.answers import ImageExplanation, Result
from iis_schemas.concept_libraries import ConceptView
from iis_schemas.explanations.images import ClassProbability, ContributionView
from iis_schemas.explanations.profiles import ConceptUseView
from iis_schemas.jobs.views import JobView
from iis_schemas.results.concept_metrics import ConceptMetricsView

MAX_EXEMPLARS = 3


def job_answer(job: JobView, base_url: str) -> dict[str, Any]:
    """State and progress of a job."""
    progress, error = job.progress, job.error
    shown = progress is not None and not job.finished
    return {
        "job": job.id,
        "name": job.name,
        "state": job.state,
        "finished": job.finished,
        "model": job.model_name,
        "dataset": job.dataset_name,
        "progress": None if progress is None or not shown else progress.model_dump(mode="json", exclude_none=True),
        "error": None if error is None else error.message,
        "page": f"{base_url}/jobs/{job.id}",
    }


def report_answer(result: Result, base_url: str) -> dict[str, Any]:
    """The report without the panel and the points of the controls."""
    report = result.report.model_dump(mode="json", exclude={"panel", "solver"})
    for control in report["controls"].values():
        if control is not None:
            del control["points"]
    return {"job": result.job, "library_id": result.library, **report, "page": f"{base_url}/jobs/{result.job}"}


def concept_answer(concept: ConceptView, use: ConceptUseView | None, metrics: ConceptMetricsView | None) -> dict[str, Any]:
    """A concept with its use by the predictor and its metrics."""
    return {
        "index": concept.index,
        "name": concept.label,
        "origin": concept.origin,
        "importance": None if use is None else use.importance,
        "firing_rate": None if use is None else use.firing_rate,
        "purity": None if metrics is None else metrics.class_purity,
        "top_class": None if metrics is None else metrics.top_class,
        "near_duplicates": None if metrics is None else metrics.near_duplicates,
        "exemplars": [exemplar.image for exemplar in concept.exemplars[:MAX_EXEMPLARS] if exemplar.image is not None],
    }


def explanation_answer(explanation: ImageExplanation, base_url: str) -> dict[str, Any]:
    """Predictions, contributions and counterfactual of one image."""
    counterfactual = explanation.counterfactual
    image = explanation.image
    return {
        "job": explanation.job,
        "image": {"id": image.id, "name": image.name, "true_class": image.label, "true_labels": image.labels},
        "kept": explanation.kept,
        "concept_count": explanation.concept_count,
        "prediction_of_the_representation": _prediction(explanation.representation),
        "prediction_from_the_concepts": _prediction(explanation.interpretation),
        "supporting": [_contribution(each) for each in explanation.supporting],
        "opposing": [_contribution(each) for each in explanation.opposing],
        "bias": explanation.bias,
        "logit": explanation.logit,
        "counterfactual": None if counterfactual is None else counterfactual.model_dump(mode="json", by_alias=True),
        "page": f"{base_url}/jobs/{explanation.job}/images/{image.id}",
    }


def _prediction(prediction: ClassProbability) -> dict[str, Any]:
    return {"class": prediction.class_, "probability": prediction.probability}


def _contribution(share: ContributionView) -> dict[str, Any]:
    return {"concept": share.concept, "name": share.label, "activation": share.activation, "contribution": share.contribution}
