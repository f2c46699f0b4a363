"""Initial state of fine-tuning: the validation split, and the library, h and g_cls solved on the representation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from iis_engine import protocols
from iis_engine.backbones.network import Network
from iis_engine.errors import DataError
from iis_engine.features.canonical_order import validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.heads.linear_probe import solve_linear_probe
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.build import build_library
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import kept_count

WEAKEST_STRENGTH = protocols.L2_STRENGTHS[-1]
"""L2 strength of the heads that training starts from, at least: a weaker one gives separable images weights so large that it diverges."""


@dataclass(frozen=True)
class Split:
    """Rows of the training split, (n,) int64 each: those trained on, and the validation rows that select the epoch."""

    fit: Tensor
    validation: Tensor


def split_images(features: FeatureSet, seed: int) -> tuple[Split, FeatureSet]:
    """Split off 10 % of each class for validation (METHOD §3); returns the split, and the features of the rows trained on.

    Raises
    ------
    DataError
        When no class has two images.
    """
    rows = torch.arange(len(features.y_train)) if features.train_rows is None else features.train_rows
    mask = validation_rows(features.y_train, protocols.VALIDATION_SHARE, seed)
    if not bool(mask.any()):
        raise DataError("No class has two training images, so there are none for validation; send more images.")
    split = Split(rows[~mask], rows[mask])
    return split, only_images(features, split.fit)


def only_images(features: FeatureSet, images: Tensor) -> FeatureSet:
    """The features of some training images (rows of the data set), and of the elements cut from them."""
    rows = torch.arange(len(features.y_train)) if features.train_rows is None else features.train_rows
    mask = torch.isin(rows, images)
    kept = replace(features, X_train=features.X_train[mask], y_train=features.y_train[mask], train_rows=rows[mask])
    if features.elements is None:
        return kept
    wanted = set(images.tolist())
    of_them = [place for place, ref in enumerate(features.element_refs) if ref.image in wanted]
    return replace(kept, elements=features.elements[of_them], element_refs=tuple(features.element_refs[place] for place in of_them))


def solve_probe(fit: FeatureSet, seed: int, device: torch.device) -> Tensor:
    """h of the `exact` protocol on the images trained on: (d + 1, C) float32, the last row being the bias."""
    return solve_linear_probe(fit.X_train.to(device), _rows(fit, seed, device), weakest=WEAKEST_STRENGTH).head.float()


def solve_interpretation(fit: FeatureSet, spec: FinetuneSpec, seed: int, device: torch.device) -> tuple[ConceptLibrary, Tensor]:
    """The calibrated library, and g_cls solved at the sparsity of `spec`: (M + 1, C), the last row being the bias."""
    library = build_library(fit, spec.library, seed, device)
    library = calibrate(library, fit.X_train.to(device)).apply(library)
    kept = kept_count(len(library), spec.sparsity)
    source = Source.of(library.activations(fit.X_train.to(device)))
    return library, solve_nodes(source, [kept], _rows(fit, seed, device), weakest=WEAKEST_STRENGTH).weights[0]


def own_classifier(network: Network, layer: str | None, dimension: int, class_count: int) -> nn.Linear | None:
    """The architecture's classifier where it can be h: linear with a bias, on the representation, one output per class; else None."""
    if layer is not None or len(network.head) != 1:
        return None
    head = network.module.get_submodule(network.head[0])
    if not isinstance(head, nn.Linear) or "bias" not in dict(head.named_parameters()):
        return None
    return head if (head.in_features, head.out_features) == (dimension, class_count) else None


def starting_head(fit: FeatureSet, own: nn.Linear | None, seed: int, device: torch.device) -> Tensor:
    """Initial h, (d + 1, C): the architecture's own classifier if it has the same classes, else the solved linear probe.

    An equal number of outputs does not mean the same classes in the same order: the classifier's accuracy on the training images must be
    nearer to that of the probe than to that of always predicting the most frequent class.
    """
    probe = solve_probe(fit, seed, device)
    if own is None:
        return probe
    head = torch.cat([own.weight.detach().T, own.bias.detach()[None]]).to(device)
    X, y = fit.X_train.to(device), fit.y_train.to(device)
    accuracy, probe_accuracy = head_accuracy(head, X, y), head_accuracy(probe, X, y)
    chance = float(torch.bincount(y).max()) / len(y)
    return head if accuracy - chance > probe_accuracy - accuracy else probe


def head_accuracy(head: Tensor, X: Tensor, y: Tensor) -> float:
    """Accuracy of a head (d + 1, C), the last row being the bias, on representations X (n, d) with labels y (n,)."""
    return float(((X @ head[:-1] + head[-1]).argmax(1) == y).float().mean())


def _rows(fit: FeatureSet, seed: int, device: torch.device) -> TrainingRows:
    mask = validation_rows(fit.y_train, protocols.VALIDATION_SHARE, seed)
    return TrainingRows(fit.y_train.to(device), mask.to(device), fit.class_count)
