"""Cluster library: the M centroids of k-means over the visual elements."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary, nearest_elements

MOST_ELEMENTS = 20_000  # of the authors
DECIMALS = 12  # of a centroid, so that the last digits, which depend on the order of threads, do not reach the concepts


def build_cluster(units: Tensor, numbers: Tensor, concept_count: int, seed: int) -> ConceptLibrary:
    """Lloyd's k-means (scikit-learn, k-means++ start) on at most 20,000 unit element vectors (E, d); unit centroids."""
    from sklearn.cluster import KMeans  # other libraries do without scikit-learn

    units, numbers = units[:MOST_ELEMENTS], numbers[:MOST_ELEMENTS]
    clusters = KMeans(n_clusters=concept_count, random_state=seed)  # default start: k-means++, once
    centroids = clusters.fit(units.double().numpy()).cluster_centers_
    vectors = torch.nn.functional.normalize(torch.from_numpy(centroids.round(DECIMALS) + 0.0), dim=1).float()
    return ConceptLibrary("cluster", vectors, ("cluster",) * concept_count, nearest_elements(vectors, units, numbers))
