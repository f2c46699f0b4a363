"""Enumerations of the wire format, each as a Literal, with its values as a tuple where they are listed or compared."""

from __future__ import annotations

from typing import Literal, get_args

LibraryKind = Literal["prototype", "cluster", "end2end", "nmf", "sae", "vectors", "text", "random", "combined"]
TrainableLibraryKind = Literal["prototype", "cluster", "end2end", "random"]
ElementKind = Literal["patches", "segments", "patches_and_segments"]
ProtocolName = Literal["exact", "reference"]
TaskName = Literal["single_label", "multi_label"]
QuantityName = Literal["accuracy", "mean_average_precision"]
ClassQuantityName = Literal["accuracy", "average_precision"]
ActivationsName = Literal["calibrated", "layernorm"]
VerdictCode = Literal[
    "reads_through_concepts", "no_better_than_matched", "worse_than_any", "too_close_to_chance", "too_few_images", "not_comparable"
]
Interpolation = Literal["bilinear", "bicubic", "nearest"]
CropMode = Literal["center", "squash", "border"]
ChannelOrder = Literal["rgb", "bgr"]
PoolingName = Literal["class", "patches", "all", "map"]
OptimizerName = Literal["adamw", "sgd"]
TrainedPart = Literal["head", "last", "all"]
PrecisionName = Literal["auto", "full"]
ArchitectureFamily = Literal["timm", "torchvision", "open_clip", "hf", "transformers", "onnx"]
HeatMapMethod = Literal["feature_map", "tokens", "occlusion"]
Arm = Literal["treatment", "control"]

LIBRARY_KINDS: tuple[LibraryKind, ...] = get_args(LibraryKind)
VISUAL_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "nmf", "sae")
"""Libraries made of visual elements, so that crops show each concept."""
TRAINABLE_LIBRARY_KINDS: tuple[TrainableLibraryKind, ...] = get_args(TrainableLibraryKind)
"""Libraries that depend on the network alone, so that fine-tuning can rebuild them."""
ARCHITECTURE_FAMILIES: tuple[ArchitectureFamily, ...] = get_args(ArchitectureFamily)
FILE_FAMILIES: tuple[ArchitectureFamily, ...] = ("transformers", "onnx")
"""Families whose file describes the whole network, so that they have no names, arguments or tags."""
PROTOCOL_NAMES: tuple[ProtocolName, ...] = get_args(ProtocolName)
ACTIVATIONS_NAMES: tuple[ActivationsName, ...] = get_args(ActivationsName)

JobKind = Literal["score", "explain", "finetune"]
JobExpansion = Literal["model", "dataset", "library_dataset", "vlm", "library"]
JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
CheckState = Literal["pending", "ready", "failed"]
Role = Literal["backbone", "vlm"]
DatasetKind = Literal["images", "features"]
ConceptSetOrigin = Literal["shipped", "uploaded"]

JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
FINISHED_STATES: tuple[JobState, ...] = ("succeeded", "failed", "canceled")
CHECK_STATES: tuple[CheckState, ...] = get_args(CheckState)

PhraseReason = Literal["too_long", "class_name", "repeated", "near_class", "near_phrase"]
"""Why a phrase was left out of a concept set."""
DropReason = Literal[PhraseReason, "clip_cutoff", "interpretability_cutoff", "not_confirmed", "beyond_count"]
"""Why a phrase became no concept of a text library."""

PlotFormat = Literal["png", "svg"]
StudyFigure = Literal["iis_accuracy", "gain_accuracy", "evolution", "concept_counts", "sparsity_grids", "agreement"]
PLOT_FORMATS: tuple[PlotFormat, ...] = get_args(PlotFormat)
STUDY_FIGURES: tuple[StudyFigure, ...] = get_args(StudyFigure)

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

JobEventType = Literal["job.succeeded", "job.failed", "job.canceled"]
EventType = Literal[
    JobEventType,
    "model.ready",
    "model.failed",
    "dataset.ready",
    "dataset.failed",
    "concept_set.ready",
    "concept_set.failed",
    "study.finished",
]
"""Events that webhooks receive."""


def quantity_words(*quantities: str) -> str:
    """The name of the quantity of one or several scores; both names where they differ.

    Parameters
    ----------
    quantities : each a `QuantityName`

    Examples
    --------
    >>> quantity_words("mean_average_precision", "accuracy")
    'accuracy or mean average precision'
    """
    return " or ".join(sorted({quantity.replace("_", " ") for quantity in quantities}))
