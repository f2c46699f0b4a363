"""Which library recovers the known concepts of a trained network? Networks trained on drawn coloured shapes, scored and compared.

    python -m benchmarks.recovery

prints the tables of docs/validation.md. A class is a shape in a warm or a cold colour. One network is trained on colours and shapes, one
on texture and place, which say nothing about the class, and one is untrained; so the first must score highest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.coloured_shapes import (
    ARCHITECTURE,
    ARGUMENTS,
    CLASS_NAMES,
    PHRASES,
    PREPROCESSING,
    draw,
    new_network,
    save_network,
    train_network,
    true_phrases,
    write_images,
)
from benchmarks.timing import machine
from benchmarks.validation import HEAD, score_ensemble, table_row
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset, LabelledImage
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.controls import isotropic, matched
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.panel.concept_metrics import class_purity
from iis_engine.protocols import CONTROL_SEED_OFFSET
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import measure_library
from iis_engine.scoring.sparse_curves import Estimate, read_curves
from iis_engine.specs import BackboneSpec, ElementSpec, LibraryKind, LibrarySpec, Preprocessing, ScoreSpec

TRAINED_ON = 1536
IMAGES_PER_CLASS = {"train": 100, "test": 150}
COLOURS_AND_SHAPES, TEXTURES_AND_PLACES = slice(0, 8), slice(8, 16)
GROUPS = (slice(0, 4), slice(4, 8))  # of the known attributes: one colour and one shape are true of each image
CONCEPTS = 32
KINDS: tuple[LibraryKind, ...] = ("cluster", "end2end", "nmf", "prototype", "random")
WHOLE_IMAGES = ElementSpec(scales=(1,), images_per_class=40)


@dataclass(frozen=True)
class KnownConcepts:
    """Features of images whose attributes are known.

    Attributes
    ----------
    train, test : (n, 8) bool, the colour and the shape of each image
    probes : (8, d) unit weights of a logistic regression of each attribute on the training features
    """

    features: FeatureSet
    train: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    test: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    probes: Tensor


@dataclass(frozen=True)
class Recovery:
    """How well the concepts of a library are the known attributes, each (L,) over its seeds.

    Attributes
    ----------
    cosine : of the probe directions with their best distinct concepts (Hungarian matching), mean over attributes
    auc : of the best distinct concepts' activations on the test images for the attribute, mean over attributes
    purity : share of the most frequent colour or shape, whichever is larger, among a concept's top images, mean over concepts
    """

    cosine: tuple[float, ...]
    auc: tuple[float, ...]
    purity: tuple[float, ...]

    def means(self) -> tuple[float, float, float]:
        return float(np.mean(self.cosine)), float(np.mean(self.auc)), float(np.mean(self.purity))


def networks(folder: Path) -> dict[str, Path]:
    """Checkpoints by name."""
    seen = draw(TRAINED_ON, seed=0)
    return {
        "colours and shapes": train_network(seen, folder / "concepts.safetensors", phrases=COLOURS_AND_SHAPES, classes=False),
        "texture and place": train_network(seen, folder / "others.safetensors", phrases=TEXTURES_AND_PLACES, classes=False),
        "untrained": save_network(new_network(), folder / "untrained.safetensors"),
    }


def backbone_of(checkpoint: Path) -> Backbone:
    """The network of a checkpoint."""
    spec = BackboneSpec(ARCHITECTURE, ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    return load_backbone(spec, checkpoint, device="cpu")


def known_concepts(checkpoint: Path, dataset: ImageDataset, folder: Path) -> KnownConcepts:
    """Features of the images, the attributes of each, and the probe of each attribute."""
    features = extract_features(backbone_of(checkpoint), dataset, WHOLE_IMAGES, shard_folder=folder)
    train, test = (_truth(images) for images in (dataset.train, dataset.test))
    X = features.X_train.double()
    scaled = ((X - X.mean(dim=0)) / X.std()).numpy()
    weights = [LogisticRegression(max_iter=2000).fit(scaled, train[:, place]).coef_[0] for place in range(train.shape[1])]
    return KnownConcepts(features, train, test, normalize(torch.from_numpy(np.stack(weights)), dim=1))


def recovered(known: KnownConcepts, libraries: Sequence[ConceptLibrary]) -> Recovery:
    """The recovery of every library."""
    each = [_recovered(known, library) for library in libraries]
    cosine, auc, purity = zip(*each, strict=True)
    return Recovery(cosine, auc, purity)


def _recovered(known: KnownConcepts, library: ConceptLibrary) -> tuple[float, float, float]:
    X_train, X_test = known.features.X_train, known.features.X_test
    activations = calibrate(library, X_train).apply(library).activations(X_test)
    auc = np.array([[roc_auc_score(true, column) for column in activations.numpy().T] for true in known.test.T])
    purities = [class_purity(activations, torch.from_numpy(known.test[:, group].argmax(axis=1)), 4)[0] for group in GROUPS]
    cosines = (known.probes @ normalize(library.vectors.double(), dim=1).T).numpy()
    return _best_distinct(cosines), _best_distinct(auc), float(torch.stack(purities).amax(dim=0).mean())


def _best_distinct(scores: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Mean of the scores (attributes, concepts) over the best assignment of distinct concepts."""
    return float(scores[linear_sum_assignment(-scores)].mean())


def _truth(images: Sequence[LabelledImage]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    truth = np.zeros((len(images), len(PHRASES)), dtype=bool)
    for row, image in enumerate(images):
        truth[row, true_phrases(image.path)] = True
    return truth[:, COLOURS_AND_SHAPES]


def order(checkpoints: Mapping[str, Path], dataset: ImageDataset, folder: Path) -> Iterator[str]:
    """Rows of the first table: the cluster score of each network, without controls."""
    for name, checkpoint in checkpoints.items():
        features = extract_features(backbone_of(checkpoint), dataset, WHOLE_IMAGES, shard_folder=folder / f"shards of {name}")
        spec = ScoreSpec(LibrarySpec("cluster", CONCEPTS), WHOLE_IMAGES)
        measured = measure_library(features, build_libraries(features, spec, device="cpu"), spec, device="cpu")
        (curve,) = read_curves([measured], ["library"], "exact")
        yield f"| {name} | {curve.baseline.accuracy:.3f} | {_with_interval(curve.few())} | {_with_interval(curve.iis())} |"


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def compare(known: KnownConcepts) -> Iterator[tuple[str, str]]:
    """Rows of the other two tables, by library: scores, and recovery beside that of matched and of isotropic directions."""
    dimension = known.features.X_train.shape[1]
    for kind in KINDS:
        spec = ScoreSpec(LibrarySpec(kind, CONCEPTS), WHOLE_IMAGES)
        libraries = build_libraries(known.features, spec, device="cpu")
        report = score_ensemble(known.features, libraries, spec)
        controls = [matched(library, CONTROL_SEED_OFFSET + seed) for seed, library in enumerate(libraries.libraries)]
        anything = [isotropic(libraries.primary.origins, dimension, CONTROL_SEED_OFFSET + seed) for seed in range(len(controls))]
        means = [recovered(known, each).means() for each in (libraries.libraries, controls, anything)]
        columns = [" / ".join(f"{value:.3f}" for value in column) for column in zip(*means, strict=True)]
        yield table_row(kind, report), f"| {kind} | {' | '.join(columns)} |"


def main() -> None:
    """Train the networks and print the tables."""
    torch.set_num_threads(1)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed, (split, per_class) in enumerate(IMAGES_PER_CLASS.items(), start=1):
            write_images(draw(per_class * len(CLASS_NAMES), seed), folder / "images" / split)
        dataset, checkpoints = read_image_folder(folder / "images"), networks(folder)
        print("\nNetworks\n| network | accuracy of h | few | IIS |")
        for row in order(checkpoints, dataset, folder):
            print(row, flush=True)
        known = known_concepts(checkpoints["colours and shapes"], dataset, folder / "shards")
        scores, recoveries = zip(*compare(known), strict=True)
        print("\nScores\n" + HEAD + "\n" + "\n".join(scores))
        print("\nRecovery (library / matched / isotropic)\n| library | cosine with the probe | AUC | purity |\n" + "\n".join(recoveries))


if __name__ == "__main__":
    main()
