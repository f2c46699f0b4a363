"""Studies as they are shown. As they are requested: iis_schemas.studies.requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.descriptions import DESCRIBED_EXAMPLE, DescribedView
from iis_schemas.fields import FailureReason
from iis_schemas.names import PLOT_FORMATS, STUDY_FIGURES, JobState, ProtocolName, QuantityName, VerdictCode
from iis_schemas.studies.requests import STUDY_BODY, StudyGrid

_AT = "/v1/studies/std_01jz3x0c3d5e7f9g1h3j5k7m9n"
_GRID: dict[str, Any] = {
    **STUDY_BODY,
    "models": [{"label": None, "family": None, "accuracy": None, "epoch": None} | entry for entry in STUDY_BODY["models"]],
    "library_datasets": [None],
    "sparsity_grids": [],
    "protocol": "exact",
    "activations": "calibrated",
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0, "scales": [4]},
    "vlm": None,
    "vocabulary": None,
    "evolution": False,
    "deadline_seconds": None,
}
_GRID.pop("name")
_FIGURE_LINKS = {f"figures/{name}.{suffix}": f"{_AT}/figures/{name}.{suffix}" for name in STUDY_FIGURES for suffix in PLOT_FORMATS}
STUDY_EXAMPLE: dict[str, Any] = {
    "id": "std_01jz3x0c3d5e7f9g1h3j5k7m9n",
    "name": "ResNets on digits",
    **DESCRIBED_EXAMPLE,
    "state": "running",
    "jobs": {"total": 16, "queued": 9, "running": 2, "canceling": 0, "succeeded": 5, "failed": 0, "canceled": 0},
    "grid": _GRID,
    "created_at": "2026-01-12T09:30:00Z",
    "extended_at": None,
    "webhook": None,
    "links": {
        "self": _AT,
        **{name: f"{_AT}/{name}" for name in ("cells", "table", "table.csv", "table.parquet", "analysis", "extend", "cancel")},
        **_FIGURE_LINKS,
        "page": "/studies/std_01jz3x0c3d5e7f9g1h3j5k7m9n",
    },
}


class JobCounts(BaseModel):
    """The number of jobs of a study in each state."""

    total: int
    queued: int
    running: int
    canceling: int
    succeeded: int
    failed: int
    canceled: int


class StudyView(DescribedView):
    """A study: its grid and the states of its jobs. It is finished when all jobs are."""

    model_config = ConfigDict(json_schema_extra={"examples": [STUDY_EXAMPLE]})

    id: str
    name: str
    state: Literal["running", "finished"]
    jobs: JobCounts
    grid: StudyGrid
    created_at: datetime
    extended_at: datetime | None
    webhook: str | None = Field(default=None, description="whk_… that its request named")
    links: dict[str, str]


_CELL: dict[str, Any] = {
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "label": "ResNet-18",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "dataset_name": "digits",
    "library": "cluster",
    "concept_count": 200,
    "library_dataset": None,
    "library_dataset_name": None,
    "seed": 0,
}


class _Place(BaseModel):
    """A place in the grid."""

    job: str
    model: str = Field(description="Of ready features the data set, which is the representation")
    label: str
    dataset: str = Field(description="`features` where data sets of ready features represent one and the same data")
    dataset_name: str
    library: str
    concept_count: int = Field(description="M as requested")
    library_dataset: str | None
    library_dataset_name: str | None
    seed: int


class CellView(_Place):
    """A cell of the grid with its job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"number": 0, **_CELL, "state": "succeeded", "error": None, "created": True, "links": {"job": f"/v1/jobs/{_CELL['job']}"}}
            ]
        }
    )

    number: int
    state: JobState
    error: FailureReason | None
    created: bool = Field(description="Whether the study created the job; otherwise it reuses an earlier job with the same request")
    links: dict[str, str]


_NUMBERS: dict[str, Any] = {
    "accuracy": 0.928,
    "accuracy_low": 0.911,
    "accuracy_high": 0.945,
    "chance": 0.102,
    "near_chance": False,
    "verdict": "reads_through_concepts",
    "iis": 0.921,
    "iis_low": 0.909,
    "iis_high": 0.933,
    "few_concepts_mean": 0.755,
    "few_concepts_mean_low": 0.729,
    "few_concepts_mean_high": 0.781,
    "iis_isotropic": 0.842,
    "iis_isotropic_low": 0.829,
    "iis_isotropic_high": 0.855,
    "iis_matched": 0.861,
    "iis_matched_low": 0.848,
    "iis_matched_high": 0.874,
    "gain_isotropic": 0.079,
    "gain_isotropic_low": 0.061,
    "gain_isotropic_high": 0.097,
    "gain_matched": 0.06,
    "gain_matched_low": 0.043,
    "gain_matched_high": 0.077,
    "few_gain_isotropic": 0.113,
    "few_gain_isotropic_low": 0.081,
    "few_gain_isotropic_high": 0.145,
    "few_gain_matched": 0.089,
    "few_gain_matched_low": 0.06,
    "few_gain_matched_high": 0.118,
    "iis_chance_corrected": 0.913,
    "iis_chance_corrected_low": 0.901,
    "iis_chance_corrected_high": 0.925,
    "iis_log": 0.741,
    "iis_log_low": 0.722,
    "iis_log_high": 0.76,
    "balanced_accuracy": 0.926,
    "balanced_iis": 0.919,
    "balanced_few_mean": 0.751,
    "concepts_used": 61.4,
    "overlap": 0.09,
    "positive_share": 0.63,
    "effective_rank": 48.2,
    "effective_rank_matched": 47.6,
    "mono_score": 0.41,
    "mono_score_matched": 0.22,
    "class_purity": 0.58,
    "class_purity_matched": 0.31,
    "stability": 0.27,
    "selectivity": 0.18,
    "anec": 0.882,
    "anec_matched": 0.815,
    "ncc": 21.3,
}
ROW_EXAMPLE: dict[str, Any] = {
    **_CELL,
    "family": "ResNet",
    "given_accuracy": None,
    "epoch": None,
    "architecture": "timm:resnet18",
    "network": "timm:resnet18(in_chans=1) at layer4",
    "untrained": False,
    "protocol": "exact",
    "edition": 2,
    "quantity": "accuracy",
    **_NUMBERS,
}
TABLE_EXAMPLE: dict[str, Any] = {
    "study": "std_01jz3x0c3d5e7f9g1h3j5k7m9n",
    "data": [ROW_EXAMPLE],
    "links": {"self": f"{_AT}/table", "csv": f"{_AT}/table.csv", "parquet": f"{_AT}/table.parquet", "study": _AT},
}


class TableRow(_Place):
    """The result of one job of a study. `_low` and `_high` bound 95 %."""

    family: str | None
    given_accuracy: float | None
    epoch: float | None
    architecture: str | None
    network: str | None = Field(description="Architecture, arguments and layer; trained and untrained networks of the same are compared")
    untrained: bool
    protocol: ProtocolName
    edition: int = Field(description="Of the activations. Numbers of two editions do not compare")
    quantity: QuantityName = Field(
        default="accuracy", description="What every accuracy of the row is; of multi-label data mean average precision"
    )
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    chance: float
    near_chance: bool = Field(description="Whether IIS is withheld, or divides by an accuracy that does not differ from chance")
    verdict: VerdictCode | None = Field(description="Null in results of the first edition")
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    few_concepts_mean: float | None = Field(description="Mean accuracy at 5 to 30 concepts kept per image")
    few_concepts_mean_low: float | None
    few_concepts_mean_high: float | None
    iis_isotropic: float | None = Field(description="IIS of isotropic directions")
    iis_isotropic_low: float | None
    iis_isotropic_high: float | None
    iis_matched: float | None = Field(description="IIS of directions with the library's own mean and covariance")
    iis_matched_low: float | None
    iis_matched_high: float | None
    gain_isotropic: float | None = Field(description="iis minus iis_isotropic")
    gain_isotropic_low: float | None
    gain_isotropic_high: float | None
    gain_matched: float | None = Field(description="iis minus iis_matched")
    gain_matched_low: float | None
    gain_matched_high: float | None
    few_gain_isotropic: float | None = Field(description="few_concepts_mean minus that of isotropic directions")
    few_gain_isotropic_low: float | None
    few_gain_isotropic_high: float | None
    few_gain_matched: float | None = Field(description="few_concepts_mean minus that of matched directions")
    few_gain_matched_low: float | None
    few_gain_matched_high: float | None
    iis_chance_corrected: float | None
    iis_chance_corrected_low: float | None
    iis_chance_corrected_high: float | None
    iis_log: float | None
    iis_log_low: float | None
    iis_log_high: float | None
    balanced_accuracy: float | None = Field(description="Mean recall over the classes, of the representation")
    balanced_iis: float | None = Field(description="IIS from mean recall over the classes")
    balanced_few_mean: float | None = Field(description="few_concepts_mean from mean recall over the classes")
    concepts_used: float | None = Field(description="Concepts in effect used by the sparse code, between those kept and all")
    overlap: float | None = Field(description="Mean Jaccard overlap of the kept sets of two images")
    positive_share: float | None = Field(description="Share of kept activations that are positive")
    effective_rank: float | None = Field(description="Of the centred concept vectors; matched directions: `effective_rank_matched`")
    effective_rank_matched: float | None
    mono_score: float | None = Field(description="Median over the concepts; of matched directions: `mono_score_matched`")
    mono_score_matched: float | None
    class_purity: float | None = Field(description="Median over the concepts; of matched directions: `class_purity_matched`")
    class_purity_matched: float | None
    stability: float | None = Field(description="Cosine of matched concepts between library seeds minus that of matched directions")
    selectivity: float | None = Field(description="ARR of the classes minus ARR of random labels of clusters, at one node")
    anec: float | None = Field(description="Mean accuracy at 5 to 30 non-zero weights per class")
    anec_matched: float | None
    ncc: float | None = Field(description="Concepts that make up .95 of a class score, mean over images and classes")


class TableView(BaseModel):
    """The results of the jobs of a study that have succeeded, in the order of the grid."""

    model_config = ConfigDict(json_schema_extra={"examples": [TABLE_EXAMPLE]})

    study: str
    data: list[TableRow]
    links: dict[str, str]


_CSV_LINES = (list(TableRow.model_fields), ["" if ROW_EXAMPLE[name] is None else str(ROW_EXAMPLE[name]) for name in TableRow.model_fields])
CSV_EXAMPLE = "".join(f"{','.join(line)}\r\n" for line in _CSV_LINES)
