"""The test images of a scored job, and statistics of classes and concepts over them. Single images are in `explain`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.explanations.explain import TOP_CLASSES, Prediction
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.average_precision import average_precisions
from iis_engine.heads.sparsify import sparsify
from iis_engine.scoring.predictor import Predictor, PredictorFamily

ROWS_AT_ONCE = 4096
NEAR_COSINE = 0.9
MULTI_LABEL_TENSORS = ("label_matrix", "baseline_precisions")
HISTOGRAM_BINS = 20
TENSORS = ("activations", "labels", "rows", "top_labels", "top_probabilities")


@dataclass(frozen=True)
class TestSet:
    """The test images of a scored job, in the order of the data set.

    Attributes
    ----------
    activations : (n, M) float32, dense
    labels : (n,) int64, true labels
    rows : (n,) int64, place of each image in the test split of the data set; rows of the matrix for ready features
    top_labels, top_probabilities : (n, up to 5) of h, most probable first
    names : file names relative to the data set; empty for ready features
    label_matrix : (n, C) uint8, all labels of multi-label data, whose `labels` are the rarest ones; None for single-label data
    baseline_precisions : (C,) float64, average precision of h for each label of multi-label data, nan without a positive image
    """

    __test__ = False  # not a test class of pytest

    activations: Tensor
    labels: Tensor
    rows: Tensor
    top_labels: Tensor
    top_probabilities: Tensor
    names: tuple[str, ...] = ()
    label_matrix: Tensor | None = None
    baseline_precisions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def of(features: FeatureSet, family: PredictorFamily, names: Sequence[str] = ()) -> TestSet:
        """Read the test images of a feature set.

        Parameters
        ----------
        names : of all images of the data set's test split
        """
        rows = features.test_rows if features.test_rows is not None else torch.arange(len(features.y_test))
        tops: list[tuple[Tensor, Tensor]] = []
        for X in features.X_test.split(ROWS_AT_ONCE):
            probabilities = family.baseline_probabilities(X)
            order = torch.argsort(probabilities, dim=1, descending=True, stable=True)[:, :TOP_CLASSES]
            tops.append((order, probabilities.gather(1, order)))
        return TestSet(
            activations=family.library.activations(features.X_test),
            labels=features.y_test,
            rows=rows,
            top_labels=torch.cat([labels for labels, _ in tops]),
            top_probabilities=torch.cat([probabilities for _, probabilities in tops]),
            names=tuple(str(names[row]) for row in rows.tolist()) if names else (),
            label_matrix=features.labels_test,
            baseline_precisions=(
                None if features.labels_test is None else average_precisions(family.baseline_logits(features.X_test), features.labels_test)
            ),
        )

    def labels_of(self, index: int) -> list[int]:
        """The true labels of an image: one in single-label data."""
        if self.label_matrix is None:
            return [int(self.labels[index])]
        return self.label_matrix[index].nonzero().flatten().tolist()

    def has_label(self, label: int) -> Tensor:
        """(n,) bool, the images with a label."""
        return self.labels == label if self.label_matrix is None else self.label_matrix[:, label] > 0

    def representation(self, index: int) -> Prediction:
        """The prediction of h for an image."""
        top = tuple(zip(self.top_labels[index].tolist(), self.top_probabilities[index].tolist(), strict=True))
        return Prediction(*top[0], top)

    def outcomes(self, predictor: Predictor) -> Outcomes:
        """The predictions of `predictor` for all images."""
        labels, probabilities = [], []
        for rows in self.activations.split(ROWS_AT_ONCE):
            predicted = predictor.probabilities(sparsify(rows, predictor.kept)).max(dim=1)
            labels.append(predicted.indices)
            probabilities.append(predicted.values)
        return Outcomes(torch.cat(labels), torch.cat(probabilities))

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        tensors |= {name: tensor.contiguous() for name in MULTI_LABEL_TENSORS if (tensor := getattr(self, name)) is not None}
        save_file(tensors, path, metadata={"iis": json.dumps({"names": list(self.names)})})

    @staticmethod
    def load(path: Path) -> TestSet:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            names = tuple(json.loads(file.metadata()["iis"])["names"])
            stored = [*TENSORS, *(name for name in MULTI_LABEL_TENSORS if name in set(file.keys()))]
            return TestSet(**{name: file.get_tensor(name) for name in stored}, names=names)


@dataclass(frozen=True)
class Outcomes:
    """The predictor's class (n,) and its probability (n,) for each test image; the most probable label of multi-label data."""

    labels: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class ClassProfile:
    """Accuracies, concept weights and confusions of one class.

    Attributes
    ----------
    images : test images of the class
    baseline_accuracy, accuracy : of h and of the predictor on them; for a label of multi-label data their average precision; None without
        a test image
    weights : (M,) float64, centred; those of a label are not
    mean_contributions : (M,) float64, mean over these images, to the logit of this class
    bias : centred
    confused_with : (label, images) of wrong predictions, most frequent first; none for a label, as labels do not exclude each other
    """

    images: int
    baseline_accuracy: float | None
    accuracy: float | None
    weights: Tensor
    mean_contributions: Tensor
    bias: float
    confused_with: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ConceptUse:
    """Use of every concept over the test images.

    Attributes
    ----------
    firing_rates : (M,) share of images that keep the concept
    importances : (M,) mean magnitude of its contribution to the predicted class
    """

    firing_rates: Tensor
    importances: Tensor


def class_profile(test_set: TestSet, outcomes: Outcomes, predictor: Predictor, label: int) -> ClassProfile:
    """The profile of one class."""
    own = test_set.has_label(label)
    predicted = outcomes.labels[own]
    total = torch.zeros(len(predictor.library), dtype=torch.float64)
    for rows in test_set.activations[own].split(ROWS_AT_ONCE):
        total += sparsify(rows, predictor.kept).double().sum(dim=0)
    weights, images = predictor.weights[:, label], int(own.sum())
    counts = torch.bincount(predicted, minlength=len(predictor.class_names))
    counts[label] = 0
    if test_set.label_matrix is not None:
        counts.zero_()
    _, baseline_accuracy, accuracy = class_accuracies(test_set, outcomes, predictor)[label]
    order = torch.argsort(counts, descending=True, stable=True)
    return ClassProfile(
        images=images,
        baseline_accuracy=baseline_accuracy,
        accuracy=accuracy,
        weights=weights,
        mean_contributions=weights * total / max(images, 1),
        bias=float(predictor.bias[label]),
        confused_with=tuple((int(other), int(counts[other])) for other in order if counts[other] > 0),
    )


def class_accuracies(test_set: TestSet, outcomes: Outcomes, predictor: Predictor) -> list[tuple[int, float | None, float | None]]:
    """For each class its test images, and the accuracies of h and of the predictor on them; average precisions of labels.

    Both are None for a class or label without a test image: they are undefined there, and mAP leaves such a label out.
    """
    if test_set.label_matrix is not None and test_set.baseline_precisions is not None:
        logits = torch.cat([predictor.logits(sparsify(rows, predictor.kept)) for rows in test_set.activations.split(ROWS_AT_ONCE)])
        of_h, of_g = _without_nan(test_set.baseline_precisions), _without_nan(average_precisions(logits, test_set.label_matrix))
        counts: list[int] = test_set.label_matrix.sum(dim=0, dtype=torch.int64).tolist()
        return list(zip(counts, of_h, of_g, strict=True))
    class_count = len(predictor.class_names)
    images = torch.bincount(test_set.labels, minlength=class_count)
    of_h, of_g = (
        _without_nan(torch.bincount(test_set.labels[found == test_set.labels], minlength=class_count).double() / images)
        for found in (test_set.top_labels[:, 0], outcomes.labels)
    )
    return list(zip(images.tolist(), of_h, of_g, strict=True))


def _without_nan(values: Tensor) -> list[float | None]:
    """The values, with None in the place of nan."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def confusion_counts(labels: Tensor, predicted: Tensor, class_count: int) -> list[list[int]]:
    """Test images by true class (rows) and predicted class (columns)."""
    return torch.bincount(labels * class_count + predicted, minlength=class_count**2).view(class_count, class_count).tolist()


def activation_histogram(activations: Tensor) -> tuple[list[float], list[int]]:
    """Histogram of one concept's activations: the edges of bins of equal width from the smallest to the largest, and their counts.

    Parameters
    ----------
    activations : (n,) float32
    """
    counts, edges = torch.histogram(activations.double().cpu(), HISTOGRAM_BINS)
    return edges.tolist(), counts.long().tolist()


def levels_of_activation(activations: Tensor, images: int) -> dict[str, list[int]]:
    """Images by level of one concept's activation: the highest, those around the median, and the lowest, each in decreasing order.

    The levels share no image; with fewer than three times `images` there are fewer in each.
    """
    order = activations.argsort(descending=True, stable=True).tolist()
    each = min(images, len(order) // 3)
    start = (len(order) - each) // 2
    return {"high": order[:each], "middle": order[start : start + each], "low": order[len(order) - each :]}


def concept_use(test_set: TestSet, outcomes: Outcomes, predictor: Predictor) -> ConceptUse:
    """Firing rates and importances of all concepts."""
    fired = torch.zeros(len(predictor.library), dtype=torch.float64)
    carried = torch.zeros_like(fired)
    for rows, labels in zip(test_set.activations.split(ROWS_AT_ONCE), outcomes.labels.split(ROWS_AT_ONCE), strict=True):
        sparse = sparsify(rows, predictor.kept).double()
        fired += (sparse != 0).double().sum(dim=0)
        carried += (predictor.weights.T[labels] * sparse).abs().sum(dim=0)
    return ConceptUse(fired / len(test_set), carried / len(test_set))


def near_duplicates(predictor: Predictor, concepts: Sequence[int]) -> list[list[tuple[int, float]]]:
    """For each of `concepts` the others with a cosine of at least `NEAR_COSINE`, nearest first: (concept, cosine)."""
    vectors = predictor.library.vectors.double()
    cosines = vectors[list(concepts)] @ vectors.T
    found: list[list[tuple[int, float]]] = []
    for own, row in zip(concepts, cosines, strict=True):
        near = [
            (other, float(row[other])) for other in torch.argsort(row, descending=True, stable=True).tolist() if row[other] >= NEAR_COSINE
        ]
        found.append([(other, cosine) for other, cosine in near if other != own])
    return found
