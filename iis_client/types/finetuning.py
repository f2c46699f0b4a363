"""Fine-tuning as typed dictionaries: the JSON itself. Reports are in iis_client.types.scores."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from iis_client.types.scores import Elements, JobState, Progress, Reason, Report

Arm = Literal["treatment", "control"]
Pair = Literal["treatment_minus_control", "treatment_minus_probe", "control_minus_probe"]


class FinetuneLibrary(TypedDict):
    """The concept library whose interpretation is trained."""

    kind: Literal["prototype", "cluster", "end2end", "random"]
    concept_count: NotRequired[int]


FinetuneJob = TypedDict(
    "FinetuneJob",
    {
        "id": str,
        "kind": Literal["finetune"],
        "state": JobState,
        "attempt": int,
        "model": str,
        "dataset": str,
        "library": FinetuneLibrary,
        "elements": Elements,
        "sparsity": float,
        "lambda": float,
        "epochs": int,
        "optimizer": str,
        "learning_rate": float,
        "weight_decay": float,
        "batch_size": int,
        "accumulation_steps": int,
        "warmup_epochs": int,
        "trains": str,
        "rebuild_every": int | None,
        "patience": int | None,
        "precision": str,
        "seeds": list[int],
        "progress": Progress | None,
        "error": Reason | None,
        "created_at": str,
        "links": dict[str, str],
    },
)
"""A job of kind finetune, with its whole schedule."""


class Epoch(TypedDict):
    """One pass over the training images; what is no finite number is None."""

    epoch: int
    loss: float | None
    loss_representation: float | None
    loss_interpretation: float | None
    validation_accuracy: float | None
    validation_accuracy_interpretation: float | None
    learning_rate: float | None
    seconds: float | None


class FinetuneHistory(TypedDict):
    """The epochs of one run."""

    arm: Arm
    seed: int
    epochs: list[Epoch]


class TunedReport(Report):
    """The score of a fine-tuned network; its accuracy with the head that was trained is left out where it was not measured."""

    accuracy_trained: NotRequired[float]


class FinetuneRun(TypedDict):
    """One fine-tuned network and its score; its weights are those of `best_epoch`."""

    seed: int
    best_epoch: int
    epochs: int
    stopped_early: bool
    validation_accuracy: float | None
    report: TunedReport


class Difference(TypedDict):
    """One arm minus another, paired by seed, with a 95 % interval over the seeds and the same as a sentence."""

    values: list[float | None]
    mean: float | None
    low: float | None
    high: float | None
    sentence: str


class ComparedMeans(TypedDict):
    """Each measure of the network as it was (probe) and its means over the seeds of the arms; None where it was not measured."""

    accuracy: dict[str, float | None]
    iis: dict[str, float | None]
    accuracy_trained: dict[str, float | None] | None


class ComparedDifferences(TypedDict):
    """Each measure's pairs of arms; None where it was not measured."""

    accuracy: dict[Pair, Difference]
    iis: dict[Pair, Difference]
    accuracy_trained: dict[Pair, Difference] | None


class FinetuneResult(TypedDict):
    """What fine-tuning changed; `model` is the best treatment run, registered."""

    kind: Literal["finetune"]
    job: str
    model: str
    probe: Report
    treatment: list[FinetuneRun]
    control: list[FinetuneRun]
    means: ComparedMeans
    differences: ComparedDifferences
    history: list[FinetuneHistory]
    words: list[str]
    warnings: list[str]
    created_at: str
    links: dict[str, str]
