"""What a scored job knows of its test images, and how classes and concepts look over all of them. One image is in `explain`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.explanations.explain import TOP_CLASSES, Prediction
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.sparsify import sparsify
from iis_engine.scoring.predictor import Predictor, PredictorFamily

ROWS_AT_ONCE = 4096
NEAR_COSINE = 0.9
TENSORS = ("activations", "labels", "rows", "top_labels", "top_probabilities")


@dataclass(frozen=True)
class TestSet:
    """The test images of a scored job, in the order of the data set.

    Attributes
    ----------
    activations : (n, M) float32, dense
    labels : (n,) int64, true ones
    rows : (n,) int64, which image of the data set's test split each is; ready matrices count their own rows
    top_labels, top_probabilities : (n, up to 5) of h, likeliest first
    names : file names relative to the data set; none for ready matrices
    """

    __test__ = False  # no test class, whatever its name begins with

    activations: Tensor
    labels: Tensor
    rows: Tensor
    top_labels: Tensor
    top_probabilities: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def of(features: FeatureSet, family: PredictorFamily, names: Sequence[str] = ()) -> TestSet:
        """Look at every test image once.

        Parameters
        ----------
        names : of all images of the data set's test split
        """
        rows = features.test_rows if features.test_rows is not None else torch.arange(len(features.y_test))
        tops: list[tuple[Tensor, Tensor]] = []
        for X in features.X_test.split(ROWS_AT_ONCE):
            probabilities = family.baseline_logits(X).softmax(dim=1)
            order = torch.argsort(probabilities, dim=1, descending=True, stable=True)[:, :TOP_CLASSES]
            tops.append((order, probabilities.gather(1, order)))
        return TestSet(
            family.library.activations(features.X_test),
            features.y_test,
            rows,
            torch.cat([labels for labels, _ in tops]),
            torch.cat([probabilities for _, probabilities in tops]),
            tuple(str(names[row]) for row in rows.tolist()) if names else (),
        )

    def representation(self, index: int) -> Prediction:
        """What h says of an image."""
        top = tuple(zip(self.top_labels[index].tolist(), self.top_probabilities[index].tolist(), strict=True))
        return Prediction(*top[0], top)

    def outcomes(self, predictor: Predictor) -> Outcomes:
        """What the predictor says of every image."""
        labels, probabilities = [], []
        for rows in self.activations.split(ROWS_AT_ONCE):
            found = predictor.logits(sparsify(rows, predictor.kept)).softmax(dim=1).max(dim=1)
            labels.append(found.indices)
            probabilities.append(found.values)
        return Outcomes(torch.cat(labels), torch.cat(probabilities))

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        save_file(tensors, path, metadata={"iis": json.dumps({"names": list(self.names)})})

    @staticmethod
    def load(path: Path) -> TestSet:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            names = tuple(json.loads(file.metadata()["iis"])["names"])
            return TestSet(**{name: file.get_tensor(name) for name in TENSORS}, names=names)


@dataclass(frozen=True)
class Outcomes:
    """The predictor's class (n,) and its probability (n,) for each test image."""

    labels: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class ClassProfile:
    """What a class is made of.

    Attributes
    ----------
    images : test images of the class
    baseline_accuracy, accuracy : of h and of the predictor on them
    weights : (M,) float64, centred
    mean_contributions : (M,) float64, over these images, to the logit of this class
    bias : centred
    confused_with : (label, images) that the predictor names instead, most first
    """

    images: int
    baseline_accuracy: float
    accuracy: float
    weights: Tensor
    mean_contributions: Tensor
    bias: float
    confused_with: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ConceptUse:
    """What the predictor makes of every concept, over the test images.

    Attributes
    ----------
    firing_rates : (M,) share of the images that keep the concept
    importances : (M,) mean magnitude of its contribution to the predicted class
    """

    firing_rates: Tensor
    importances: Tensor


def class_profile(tested: TestSet, outcomes: Outcomes, predictor: Predictor, label: int) -> ClassProfile:
    """The profile of one class."""
    own = tested.labels == label
    predicted = outcomes.labels[own]
    total = torch.zeros(len(predictor.library), dtype=torch.float64)
    for rows in tested.activations[own].split(ROWS_AT_ONCE):
        total += sparsify(rows, predictor.kept).double().sum(dim=0)
    weights, images = predictor.weights[:, label], int(own.sum())
    counts = torch.bincount(predicted, minlength=len(predictor.class_names))
    counts[label] = 0
    order = torch.argsort(counts, descending=True, stable=True)
    return ClassProfile(
        images,
        float((tested.top_labels[own, 0] == label).double().mean()),
        float((predicted == label).double().mean()),
        weights,
        weights * total / max(images, 1),
        float(predictor.bias[label]),
        tuple((int(other), int(counts[other])) for other in order if counts[other] > 0),
    )


def class_accuracies(tested: TestSet, outcomes: Outcomes, class_count: int) -> list[tuple[int, float, float]]:
    """For each class its test images, and the accuracies of h and of the predictor on them."""
    images = torch.bincount(tested.labels, minlength=class_count)
    right = [
        torch.bincount(tested.labels[found == tested.labels], minlength=class_count) for found in (tested.top_labels[:, 0], outcomes.labels)
    ]
    shares = [(hits.double() / images.clamp_min(1)).tolist() for hits in right]
    return list(zip(images.tolist(), *shares, strict=True))


def concept_use(tested: TestSet, outcomes: Outcomes, predictor: Predictor) -> ConceptUse:
    """How often concepts fire and how much they carry."""
    fired = torch.zeros(len(predictor.library), dtype=torch.float64)
    carried = torch.zeros_like(fired)
    for rows, labels in zip(tested.activations.split(ROWS_AT_ONCE), outcomes.labels.split(ROWS_AT_ONCE), strict=True):
        sparse = sparsify(rows, predictor.kept).double()
        fired += (sparse != 0).double().sum(dim=0)
        carried += (predictor.weights.T[labels] * sparse).abs().sum(dim=0)
    return ConceptUse(fired / len(tested), carried / len(tested))


def near_duplicates(predictor: Predictor, concepts: Sequence[int]) -> list[list[tuple[int, float]]]:
    """For each of `concepts` the others whose vectors have a cosine of `NEAR_COSINE` or more with its own, nearest first."""
    vectors = predictor.library.vectors.double()
    cosines = vectors[list(concepts)] @ vectors.T
    found: list[list[tuple[int, float]]] = []
    for own, row in zip(concepts, cosines, strict=True):
        near = [
            (other, float(row[other])) for other in torch.argsort(row, descending=True, stable=True).tolist() if row[other] >= NEAR_COSINE
        ]
        found.append([(other, cosine) for other, cosine in near if other != own])
    return found
