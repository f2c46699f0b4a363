"""Extract the features of several layers of one network in one pass over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from iis_engine.backbones.layer_sweep import LayerSweep
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import ElementSpec


def extract_layers(
    backbones: Sequence[TorchBackbone],
    dataset: ImageDataset,
    elements: ElementSpec | None,
    *,
    shard_folder: Path,
    progress: ProgressCallback = no_progress,
) -> list[FeatureSet]:
    """Compute the features of each backbone; each result equals that of `extract_features` on the backbone alone.

    Parameters
    ----------
    backbones : the first with a named layer, the others from its `at_layer`

    Raises
    ------
    OutOfMemory, DataError
        As `extract_features` does; one layer whose representation is not finite refuses all.
    """
    return split_layers(extract_features(LayerSweep(backbones), dataset, elements, shard_folder=shard_folder, progress=progress), backbones)


def split_layers(features: FeatureSet, backbones: Sequence[TorchBackbone]) -> list[FeatureSet]:
    """Split the features of a `LayerSweep` over these backbones into those of each."""
    widths = [one.num_features for one in backbones]
    columns = zip(
        features.X_train.split(widths, dim=1),
        features.X_test.split(widths, dim=1),
        [None] * len(widths) if features.elements is None else features.elements.split(widths, dim=1),
        strict=True,
    )
    return [_with_columns(features, train, test, cut) for train, test, cut in columns]


def _with_columns(features: FeatureSet, train: Tensor, test: Tensor, elements: Tensor | None) -> FeatureSet:
    return replace(
        features,
        X_train=train.contiguous(),
        X_test=test.contiguous(),
        elements=None if elements is None else elements.contiguous(),
    )
