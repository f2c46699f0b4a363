"""Jobs as they are shown, one class for each kind. As they are requested: iis_schemas.jobs.requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel

from iis_schemas.descriptions import DESCRIBED_EXAMPLE, DescribedView
from iis_schemas.fields import ElementsView, FailureReason
from iis_schemas.jobs.expansions import ExpandedResources
from iis_schemas.jobs.progress import OVERALL_EXAMPLE, STAGES_EXAMPLE, JobProgress, JobStage
from iis_schemas.jobs.summaries import ExplainSummary, FinetuneSummary, ScoreSummary
from iis_schemas.jobs.usage import JobUsage
from iis_schemas.library_views import LibraryView
from iis_schemas.names import (
    FINISHED_STATES,
    ActivationsName,
    JobEventType,
    JobState,
    OptimizerName,
    PrecisionName,
    ProtocolName,
    TrainedPart,
)


class VocabularyView(BaseModel):
    """The version of a concept set that a job uses."""

    id: str = Field(description="cst_…, or the name of a set that comes with the service")
    version: int
    digest: str = Field(description="sha256 over its phrases")


_COMMON_EXAMPLE: dict[str, Any] = {
    "name": "baseline, seed 0",
    **DESCRIBED_EXAMPLE,
    "state": "running",
    "attempt": 1,
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "model_name": "resnet18, epoch 90",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "dataset_name": "digits",
    "deadline_seconds": 86400.0,
    "progress": {
        "stage": "extract",
        "title": "Extracting features",
        "done": 640,
        "total": 1797,
        "eta_seconds": 12.5,
        "overall": OVERALL_EXAMPLE,
    },
    "stages": STAGES_EXAMPLE,
    "queue_position": None,
    "webhook": None,
    "webhook_events": None,
    "error": None,
    "usage": {"queue_seconds": 1.0, "run_seconds": None, "stage_seconds": None},
    "created_at": "2026-01-12T09:30:00Z",
    "queued_at": "2026-01-12T09:30:00Z",
    "running_at": "2026-01-12T09:30:01Z",
    "canceling_at": None,
    "succeeded_at": None,
    "failed_at": None,
    "canceled_at": None,
}
SCORE_JOB_EXAMPLE: dict[str, Any] = {
    **_COMMON_EXAMPLE,
    "id": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "kind": "score",
    "library": {"kind": "cluster", "concept_count": 200, "parts": []},
    "library_dataset": None,
    "vlm": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8z",
    "vocabulary": {"id": "birds", "version": 1, "digest": "38f144eec55882620878a0ea2697677e5ec68cf3f70f26e5d10528fe1fd87562"},
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0, "scales": [4]},
    "protocol": "exact",
    "activations": "calibrated",
    "seed": 0,
    "summary": None,
    "links": {
        "self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
        "events": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/events",
        "result": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/result",
        "curves": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/curves",
        "plots": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/plots",
        "explanations": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/explanations",
        "classes": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/classes",
        "concepts": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/concepts",
        "cancel": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/cancel",
    },
}


_EXPLAIN_AT = "/v1/jobs/job_01jz3w0b2c4d6e8f0g2h4j6k8m"
EXPLAIN_JOB_EXAMPLE: dict[str, Any] = {
    **_COMMON_EXAMPLE,
    "id": "job_01jz3w0b2c4d6e8f0g2h4j6k8m",
    "kind": "explain",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "split": "test",
    "upload": None,
    "kept": 20,
    "sparsity": 0.9,
    "top": 8,
    "contrast": None,
    "summary": None,
    "links": {
        "self": _EXPLAIN_AT,
        "events": f"{_EXPLAIN_AT}/events",
        "result": f"{_EXPLAIN_AT}/result",
        "rows": f"{_EXPLAIN_AT}/rows",
        "rows.jsonl": f"{_EXPLAIN_AT}/rows.jsonl",
        "rows.parquet": f"{_EXPLAIN_AT}/rows.parquet",
        "cancel": f"{_EXPLAIN_AT}/cancel",
        "explained": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}


_FINETUNE_AT = "/v1/jobs/job_01jz3x1c3d5e7f9g1h3j5k7m9n"
FINETUNE_JOB_EXAMPLE: dict[str, Any] = {
    **_COMMON_EXAMPLE,
    "id": "job_01jz3x1c3d5e7f9g1h3j5k7m9n",
    "kind": "finetune",
    "library": {"kind": "cluster", "concept_count": 200},
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0, "scales": [4]},
    "sparsity": 0.1,
    "lambda": 1.0,
    "epochs": 10,
    "optimizer": "adamw",
    "learning_rate": 0.0001,
    "weight_decay": 0.01,
    "batch_size": 64,
    "accumulation_steps": 1,
    "warmup_epochs": 1,
    "trains": "all",
    "rebuild_every": None,
    "patience": None,
    "precision": "auto",
    "seeds": [0, 1, 2],
    "summary": None,
    "progress": {
        "stage": "finetune",
        "title": "Training: treatment, seed 0",
        "part": "treatment, seed 0",
        "done": 640,
        "total": 1797,
        "eta_seconds": 12.5,
    },
    "stages": None,
    "links": {
        "self": _FINETUNE_AT,
        "events": f"{_FINETUNE_AT}/events",
        "result": f"{_FINETUNE_AT}/result",
        "cancel": f"{_FINETUNE_AT}/cancel",
    },
}


class JobView(DescribedView):
    """Fields of jobs of all kinds."""

    id: str
    name: str | None = None
    state: JobState
    attempt: int
    model: str | None
    model_name: str | None = Field(default=None, description="Also where the model was deleted since")
    dataset: str
    dataset_name: str | None = Field(default=None, description="Also where the data set was deleted since")
    deadline_seconds: float
    progress: JobProgress | None
    stages: list[JobStage] | None = Field(
        default=None, description="All stages of the latest attempt, in order; null until a worker has taken the job, and in lists"
    )
    queue_position: int | None = Field(
        default=None,
        description="1 for the job that the next free worker takes; it changes as owners take turns. Null unless queued, after 1000 of your"
        " own jobs, in lists and in the answer to POST",
    )
    webhook: str | None = Field(default=None, description="whk_… that its request named")
    webhook_events: list[JobEventType] | None = Field(default=None, description="Events sent there; null for all")
    error: FailureReason | None
    usage: JobUsage | None = None
    expanded: ExpandedResources | None = Field(default=None, description="Null unless `expand` asks for resources")
    created_at: datetime
    queued_at: datetime
    running_at: datetime | None
    canceling_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    canceled_at: datetime | None
    links: dict[str, str]

    @property
    def finished(self) -> bool:
        """Whether the job has reached its last state."""
        return self.state in FINISHED_STATES


class ScoreJobView(JobView):
    """A job that scores a model on a data set."""

    model_config = ConfigDict(json_schema_extra={"examples": [SCORE_JOB_EXAMPLE]})

    kind: Literal["score"]
    library: LibraryView
    library_dataset: str | None = None  # absent in jobs of the first releases, like the two that follow
    vlm: str | None = None
    vocabulary: VocabularyView | None = None
    elements: ElementsView
    protocol: ProtocolName
    activations: ActivationsName = "layernorm"  # absent in jobs before the second edition
    seed: int
    summary: ScoreSummary | None = Field(default=None, description="Null until the job has succeeded")


class ExplainJobView(JobView):
    """A job that explains the predictions of a scored job for many images."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXPLAIN_JOB_EXAMPLE]})

    kind: Literal["explain"]
    job: str = Field(description="The scored job")
    split: Literal["test"] | None
    upload: str | None
    kept: int
    sparsity: float
    top: int
    contrast: str | None
    summary: ExplainSummary | None = Field(default=None, description="Null until the job has succeeded")


class FinetuneJobView(JobView):
    """A job that fine-tunes a model by interpretability maximisation, with its control."""

    model_config = ConfigDict(serialize_by_alias=True, json_schema_extra={"examples": [FINETUNE_JOB_EXAMPLE]})

    kind: Literal["finetune"]
    library: LibraryView
    elements: ElementsView
    sparsity: float
    weight: float = Field(alias="lambda", description="Of the interpretation's loss; the control has 0")
    epochs: int
    optimizer: OptimizerName
    learning_rate: float
    weight_decay: float
    batch_size: int
    accumulation_steps: int
    warmup_epochs: int
    trains: TrainedPart
    rebuild_every: int | None
    patience: int | None
    precision: PrecisionName
    seeds: list[int]
    summary: FinetuneSummary | None = Field(default=None, description="Null until the job has succeeded")


AnyJobView: TypeAlias = ScoreJobView | ExplainJobView | FinetuneJobView


class AnyJob(RootModel[Annotated[AnyJobView, Field(discriminator="kind")]]):
    """A job of any kind."""

    model_config = ConfigDict(
        serialize_by_alias=True, json_schema_extra={"examples": [SCORE_JOB_EXAMPLE, EXPLAIN_JOB_EXAMPLE, FINETUNE_JOB_EXAMPLE]}
    )
