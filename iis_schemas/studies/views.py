"""Studies as they are shown. As they are requested: iis_schemas.studies.requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.fields import FailureReason
from iis_schemas.names import PLOT_FORMATS, STUDY_FIGURES, JobState, ProtocolName
from iis_schemas.studies.requests import STUDY_BODY, StudyGrid

_AT = "/v1/studies/std_01jz3x0c3d5e7f9g1h3j5k7m9n"
_GRID: dict[str, Any] = {
    **STUDY_BODY,
    "models": [{"label": None, "family": None, "accuracy": None, "epoch": None} | entry for entry in STUDY_BODY["models"]],
    "library_datasets": [None],
    "sparsity_grids": [],
    "protocol": "exact",
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
    "state": "running",
    "jobs": {"total": 16, "queued": 9, "running": 2, "canceling": 0, "succeeded": 5, "failed": 0, "canceled": 0},
    "grid": _GRID,
    "created_at": "2026-01-12T09:30:00Z",
    "extended_at": None,
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


class StudyView(BaseModel):
    """A study: its grid and the states of its jobs. It is finished when all jobs are."""

    model_config = ConfigDict(json_schema_extra={"examples": [STUDY_EXAMPLE]})

    id: str
    name: str
    state: Literal["running", "finished"]
    jobs: JobCounts
    grid: StudyGrid
    created_at: datetime
    extended_at: datetime | None
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
    "iis": 0.921,
    "iis_low": 0.909,
    "iis_high": 0.933,
    "iis_chance_corrected": 0.913,
    "iis_random_mean": 0.842,
    "concept_gain": 0.079,
    "concept_gain_low": 0.061,
    "concept_gain_high": 0.097,
    "iis_log": 0.741,
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
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    chance: float
    near_chance: bool = Field(description="Whether IIS is withheld, or divides by an accuracy that does not differ from chance")
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    iis_chance_corrected: float | None
    iis_random_mean: float | None
    concept_gain: float | None
    concept_gain_low: float | None
    concept_gain_high: float | None
    iis_log: float | None


class TableView(BaseModel):
    """The results of the jobs of a study that have succeeded, in the order of the grid."""

    model_config = ConfigDict(json_schema_extra={"examples": [TABLE_EXAMPLE]})

    study: str
    data: list[TableRow]
    links: dict[str, str]


_CSV_LINES = (list(TableRow.model_fields), ["" if ROW_EXAMPLE[name] is None else str(ROW_EXAMPLE[name]) for name in TableRow.model_fields])
CSV_EXAMPLE = "".join(f"{','.join(line)}\r\n" for line in _CSV_LINES)
ESTIMATE_EXAMPLE: dict[str, Any] = {
    "jobs": 16,
    "reused": 4,
    "images": 7188,
    "bytes": 29442048,
    "seconds": 412.5,
    "basis": "Your last 20 finished jobs took 0.021 seconds for an image or crop and 9.8 seconds for the rest of a job; one worker runs"
    " one job at a time.",
}


class EstimateView(BaseModel):
    """The estimated cost of a study."""

    model_config = ConfigDict(json_schema_extra={"examples": [ESTIMATE_EXAMPLE]})

    jobs: int = Field(description="Cells of the grid")
    reused: int = Field(description="Of them, those with an existing job of yours")
    images: int | None = Field(description="Images and crops that networks have to see; null where a data set is not counted")
    bytes: int | None = Field(description="Of the features that are kept; null while a model is not registered, whose width is unknown")
    seconds: float | None = Field(description="On one worker; null before a job of yours has finished")
    basis: str = Field(description="The basis of the estimate, in a sentence")
