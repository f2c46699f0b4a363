"""Results of fine-tuning: the runs of each arm, their differences, and the training history."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import Arm
from iis_schemas.results.reports import REPORT_EXAMPLE, Report, TunedReport

AT = "/v1/jobs/job_01jz3x1c3d5e7f9g1h3j5k7m9n"
MODEL_AT = "/v1/models/mdl_01jz3y2d4e6f8g0h2j4k6m8n0p"
_RUN: dict[str, Any] = {
    "seed": 0,
    "best_epoch": 7,
    "epochs": 10,
    "stopped_early": False,
    "validation_accuracy": 0.931,
    "report": REPORT_EXAMPLE | {"accuracy_trained": 0.926},
}
_EPOCH: dict[str, Any] = {
    "epoch": 1,
    "loss": 0.91,
    "loss_representation": 0.42,
    "loss_interpretation": 0.49,
    "validation_accuracy": 0.902,
    "validation_accuracy_interpretation": 0.871,
    "learning_rate": 0.0001,
    "seconds": 4.2,
}
_DIFFERENCE: dict[str, Any] = {
    "values": [0.001, 0.004, 0.007],
    "mean": 0.004,
    "low": -0.0035,
    "high": 0.0115,
    "sentence": "No difference beyond noise: IIS with interpretability maximisation minus IIS in the control is +0.0040, 95 % interval"
    " -0.0035 to +0.0115 over 3 seeds.",
}
FINETUNE_EXAMPLE: dict[str, Any] = {
    "kind": "finetune",
    "job": "job_01jz3x1c3d5e7f9g1h3j5k7m9n",
    "model": "mdl_01jz3y2d4e6f8g0h2j4k6m8n0p",
    "probe": REPORT_EXAMPLE,
    "treatment": [_RUN],
    "control": [_RUN],
    "means": {
        "accuracy": {"probe": 0.924, "treatment": 0.928, "control": 0.927},
        "iis": {"probe": 0.916, "treatment": 0.921, "control": 0.917},
        "accuracy_trained": {"probe": 0.924, "treatment": 0.926, "control": 0.925},
    },
    "differences": {
        name: {f"{pair}": _DIFFERENCE for pair in ("treatment_minus_control", "treatment_minus_probe", "control_minus_probe")}
        for name in ("accuracy", "iis", "accuracy_trained")
    },
    "history": [{"arm": "treatment", "seed": 0, "epochs": [_EPOCH]}],
    "words": [_DIFFERENCE["sentence"]],
    "warnings": [],
    "created_at": "2026-01-12T09:55:12Z",
    "links": {
        "self": f"{AT}/result",
        "job": AT,
        "model": MODEL_AT,
        "checkpoint": f"{MODEL_AT}/checkpoint",
        "parent": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    },
}


class EpochView(BaseModel):
    """One epoch, with losses and validation accuracies."""

    epoch: int = Field(description="From 1")
    loss: float | None = Field(description="Representation plus lambda times interpretation, mean over the epoch")
    loss_representation: float | None
    loss_interpretation: float | None
    validation_accuracy: float | None = Field(description="Of the head on the whole representation")
    validation_accuracy_interpretation: float | None = Field(description="Of the head on the kept concepts")
    learning_rate: float | None
    seconds: float | None


class HistoryView(BaseModel):
    """The epochs of one run."""

    arm: Arm
    seed: int
    epochs: list[EpochView]


class RunView(BaseModel):
    """One fine-tuned network, scored like any other."""

    seed: int
    best_epoch: int = Field(description="The epoch whose weights were kept: the best on validation images")
    epochs: int = Field(description="Number of epochs")
    stopped_early: bool
    validation_accuracy: float | None = Field(description="At the best epoch")
    report: TunedReport = Field(description="Under the exact protocol")


class DifferenceView(BaseModel):
    """One arm minus another, paired by seed."""

    values: list[float | None] = Field(description="By seed")
    mean: float | None
    low: float | None = Field(description="Of a 95 % interval by Student's t over the seeds; null where the values do not vary")
    high: float | None
    sentence: str


class DifferencesView(BaseModel):
    """The pairs of arms. Evidence for a gain: the 95 % interval of treatment minus control excludes 0."""

    treatment_minus_control: DifferenceView
    treatment_minus_probe: DifferenceView
    control_minus_probe: DifferenceView


class MeansView(BaseModel):
    """One measure of the original network, and its means over the seeds of each arm; null where one is withheld."""

    probe: float | None
    treatment: float | None
    control: float | None


class ComparedMeans(BaseModel):
    accuracy: MeansView = Field(description="Of the representation with a newly solved head, on test images")
    iis: MeansView
    accuracy_trained: MeansView | None = Field(
        default=None, description="With the head that was trained; the probe's is solved. Null in results that did not measure it"
    )


class ComparedDifferences(BaseModel):
    accuracy: DifferencesView
    iis: DifferencesView
    accuracy_trained: DifferencesView | None = None


class FinetuneView(BaseModel):
    """The result of fine-tuning, compared with the same training with lambda = 0 and with the original network."""

    model_config = ConfigDict(json_schema_extra={"examples": [FINETUNE_EXAMPLE]})

    kind: Literal["finetune"] = "finetune"
    job: str
    model: str = Field(description="The registered model: the treatment run that is best on validation images")
    probe: Report = Field(description="The report of the original network")
    treatment: list[RunView] = Field(description="With the requested lambda, one run for each seed")
    control: list[RunView] = Field(description="The same with lambda = 0")
    means: ComparedMeans
    differences: ComparedDifferences
    history: list[HistoryView]
    words: list[str] = Field(description="The differences as sentences")
    warnings: list[str]
    created_at: datetime
    links: dict[str, str]
