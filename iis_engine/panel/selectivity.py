"""Selectivity: ARR of the classes less ARR of a control task, random labels of clusters of the representation."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from iis_engine import protocols
from iis_engine.features.canonical_order import validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.linear_probe import Standardisation
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.library import ConceptLibrary

CLUSTERS_PER_CLASS = 5  # a class of the control task is a union of distant clusters, which a head can only memorise
IMAGES_PER_CLUSTER = 10
MOST_CLUSTERS = 1000  # bounds the cost of k-means
LABELLINGS = 2  # random labellings of the clusters, over which the ARR of the control task is averaged
TOLERANCE = 1e-4  # gradient entry at which the accuracy has settled to a test image or two


@dataclass(frozen=True)
class Selectivity:
    """ARR of the classes and of the control task at one node, from heads fitted to the same rows.

    Attributes
    ----------
    kept : k
    clusters : number of clusters, each with a random label
    arr, control_arr : ARR(y), and the mean ARR of the control task over its random labels
    difference : arr - control_arr
    """

    kept: int
    clusters: int
    arr: float
    control_arr: float
    difference: float


def measure_selectivity(features: FeatureSet, library: ConceptLibrary, kept: int, device: torch.device) -> Selectivity:
    """ARR(y) - ARR(control labels), where each k-means cluster of f(x) has a random label, the same in both splits.

    A code that keeps regions of the representation, whatever they mean, retains as much of the control task as of the classes. The
    labels of the clusters have the shares of the classes. h and g_cls select their strengths for each task, as in the score.

    Parameters
    ----------
    features : rows in canonical order; the training rows fit the heads and the clusters
    kept : k of the node

    References
    ----------
    Hewitt and Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.
    """
    X_train, X_test = features.X_train.to(device), features.X_test.to(device)
    standardisation = Standardisation.of(X_train)
    whole = (Source(standardisation(X_train), None), Source(standardisation(X_test), None))
    sparse = (Source.of(library.activations(X_train)), Source.of(library.activations(X_test)))

    def arr(y_train: Tensor, y_test: Tensor) -> float:
        denominator = _accuracy(whole, X_train.shape[1], (y_train, y_test), features.class_count)
        return _accuracy(sparse, kept, (y_train, y_test), features.class_count) / denominator if denominator > 0 else 0.0

    clusters = _clusters(features)
    own = arr(features.y_train, features.y_test)
    control = fmean(arr(*labels) for labels in _control_labels(features, clusters))
    return Selectivity(kept, clusters.n_clusters, own, control, own - control)


def _accuracy(sources: tuple[Source, Source], kept: int, labels: tuple[Tensor, Tensor], class_count: int) -> float:
    """Test accuracy of the head fitted to `kept` activations of the training rows; sources and labels are of both splits."""
    (train, test), (y_train, y_test) = sources, labels
    device = train.activations.device
    validation = validation_rows(y_train, protocols.VALIDATION_SHARE, seed=0)
    data = TrainingRows(y_train.to(device), validation.to(device), class_count)
    logits = predict(test, kept, solve_nodes(train, [kept], data, tolerance=TOLERANCE).weights).squeeze(1)
    return float((logits.argmax(dim=1) == y_test.to(device)).double().mean())


def _clusters(features: FeatureSet) -> KMeans:
    count = min(CLUSTERS_PER_CLASS * features.class_count, len(features.y_train) // IMAGES_PER_CLUSTER, MOST_CLUSTERS)
    means = KMeans(max(2, count), n_init=1, max_iter=50, random_state=0)  # pyright: ignore[reportArgumentType] (typed as str alone)
    return means.fit(_centred(features.X_train, features))


def _control_labels(features: FeatureSet, clusters: KMeans) -> list[tuple[Tensor, Tensor]]:
    """Training and test labels of the control task, for each random labelling of the clusters."""
    count = clusters.n_clusters
    by_class = features.y_train.sort().values  # quantiles of the labels, so that the clusters' labels have the shares of the classes
    labels = by_class[((torch.arange(count) + 0.5) / count * len(by_class)).long()]
    members = [torch.from_numpy(clusters.predict(_centred(X, features))).long() for X in (features.X_train, features.X_test)]
    orders = [torch.randperm(count, generator=torch.Generator().manual_seed(number)) for number in range(LABELLINGS)]
    return [(labels[order][members[0]], labels[order][members[1]]) for order in orders]


def _centred(X: Tensor, features: FeatureSet) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Representations less the training mean, so that a large offset costs no digits."""
    return (X.double() - features.X_train.double().mean(dim=0)).float().numpy()
