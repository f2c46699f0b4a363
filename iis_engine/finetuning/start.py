"""Where fine-tuning starts: the library, h and g_cls as they are solved on a representation, and the images set aside. No training here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from iis_engine import protocols
from iis_engine.backbones.network import Network
from iis_engine.errors import DataError
from iis_engine.features.canonical_order import validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.linear_probe import solve_linear_probe
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.build import build_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import kept_count
from iis_engine.specs import FinetuneSpec


@dataclass(frozen=True)
class Split:
    """Places in the training split: images that are trained on, and images that choose the epoch."""

    fit: Tensor  # (n,) int64
    validation: Tensor


def split_images(features: FeatureSet, seed: int) -> tuple[Split, FeatureSet]:
    """Set 10 % of each class aside (METHOD §3), and leave in the features what is trained on.

    Raises
    ------
    DataError
        When no class has an image to spare.
    """
    rows = torch.arange(len(features.y_train)) if features.train_rows is None else features.train_rows
    mask = validation_rows(features.y_train, protocols.VALIDATION_SHARE, seed)
    if not bool(mask.any()):
        raise DataError("No class has two training images, so none can be set aside for validation; send more images.")
    split = Split(rows[~mask], rows[mask])
    return split, only_images(features, split.fit)


def only_images(features: FeatureSet, images: Tensor) -> FeatureSet:
    """The features of some training images, and of the elements that were cut from them."""
    rows = torch.arange(len(features.y_train)) if features.train_rows is None else features.train_rows
    mask = torch.isin(rows, images)
    kept = replace(features, X_train=features.X_train[mask], y_train=features.y_train[mask], train_rows=rows[mask])
    if features.elements is None:
        return kept
    wanted = set(images.tolist())
    of_them = [place for place, ref in enumerate(features.element_refs) if ref.image in wanted]
    return replace(kept, elements=features.elements[of_them], element_refs=tuple(features.element_refs[place] for place in of_them))


def solve_probe(fit: FeatureSet, seed: int, device: torch.device) -> Tensor:
    """The linear probe of the `exact` protocol on the images that are trained on: (d + 1, C) float32, the last row being the bias."""
    return solve_linear_probe(fit.X_train.to(device), _rows(fit, seed, device)).head.float()


def solve_interpretation(fit: FeatureSet, spec: FinetuneSpec, seed: int, device: torch.device) -> tuple[ConceptLibrary, Tensor]:
    """The library of a representation and the solved g_cls at the sparsity asked for: (M + 1, C), the last row being the bias."""
    library = build_library(fit, spec.library, seed, device)
    kept = kept_count(len(library), spec.sparsity)
    source = Source.of(library.activations(fit.X_train.to(device)))
    return library, solve_nodes(source, [kept], _rows(fit, seed, device)).weights[0]


def own_classifier(network: Network, layer: str | None, dimension: int, class_count: int) -> nn.Linear | None:
    """The architecture's classifier where it can stand for h: linear with a bias, on the representation alone, one output a class."""
    if layer is not None or len(network.head) != 1:
        return None
    head = network.module.get_submodule(network.head[0])
    if not isinstance(head, nn.Linear) or "bias" not in dict(head.named_parameters()):
        return None
    return head if (head.in_features, head.out_features) == (dimension, class_count) else None


def starting_head(fit: FeatureSet, own: nn.Linear | None, seed: int, device: torch.device) -> Tensor:
    """Where h starts, (d + 1, C): the architecture's own classifier if it knows these classes, else the solved linear probe.

    As many outputs as classes do not make them the same classes in the same order: its accuracy on the training images must be nearer to
    the probe's than to that of always naming the commonest class.
    """
    probe = solve_probe(fit, seed, device)
    if own is None:
        return probe
    head = torch.cat([own.weight.detach().T, own.bias.detach()[None]]).to(device)
    X, y = fit.X_train.to(device), fit.y_train.to(device)
    accuracy, reached = head_accuracy(head, X, y), head_accuracy(probe, X, y)
    chance = float(torch.bincount(y).max()) / len(y)
    return head if accuracy - chance > reached - accuracy else probe


def head_accuracy(head: Tensor, X: Tensor, y: Tensor) -> float:
    """The share of rows whose class a head (d + 1, C) names, the last row of which is its bias."""
    return float(((X @ head[:-1] + head[-1]).argmax(1) == y).float().mean())


def _rows(fit: FeatureSet, seed: int, device: torch.device) -> TrainingRows:
    mask = validation_rows(fit.y_train, protocols.VALIDATION_SHARE, seed)
    return TrainingRows(fit.y_train.to(device), mask.to(device), fit.class_count)
