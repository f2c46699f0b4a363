"""Metrics of the concepts of a scored job, on its test images."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_AT = "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k"
METRICS_EXAMPLE: dict[str, Any] = {
    "concept": 12,
    "mono_score": 0.31,
    "class_purity": 0.85,
    "top_class": "7",
    "firing_rate": 0.06,
    "nearest_concept": 40,
    "nearest_cosine": 0.72,
    "near_duplicates": 0,
}
CONCEPT_METRICS_EXAMPLE: dict[str, Any] = {
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "data": [METRICS_EXAMPLE],
    "links": {"self": f"{_AT}/concept-metrics", "csv": f"{_AT}/concept-metrics?format=csv", "job": _AT},
}
CONCEPT_METRICS_CSV_EXAMPLE = (
    "concept,mono_score,class_purity,top_class,firing_rate,nearest_concept,nearest_cosine,near_duplicates\r\n"
    "12,0.31,0.85,7,0.06,40,0.72,0\r\n"
)


class ConceptMetricsView(BaseModel):
    """Metrics of one concept; docs/metrics.md has their formulas."""

    concept: int = Field(description="Index in the library")
    mono_score: float | None = Field(description="Similarity of the images that activate it; null where it is not defined")
    class_purity: float = Field(description="Share of the most frequent class among its top images")
    top_class: str
    firing_rate: float = Field(description="Share of the test images that keep it")
    nearest_concept: int
    nearest_cosine: float
    near_duplicates: int


class ConceptMetricsListView(BaseModel):
    """Metrics of every concept of the library that a job was scored with."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONCEPT_METRICS_EXAMPLE]})

    job: str
    data: list[ConceptMetricsView] = Field(description="In the order of the library; empty in results of the first edition")
    links: dict[str, str]
