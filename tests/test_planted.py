"""The planted images have their attributes, and both models have learned them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn.functional import normalize

from demo import language_model as demo_language
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.specs import BackboneSpec, Preprocessing, VisionLanguageSpec
from iis_engine.vision_language.model import load_vision_language_model
from support.planted import ARCHITECTURE, ARGUMENTS, CLASS_NAMES, DECOYS, IMAGES_PER_CLASS, PHRASES, PREPROCESSING, Planted, draw


def features_of(planted: Planted, backbone: Backbone, folder: Path) -> tuple[FeatureSet, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Features, and whether each phrase is true of each training and each test image."""
    dataset = read_image_folder(planted.images)

    def truth(images: Any) -> np.ndarray[Any, Any]:
        return np.array([[phrase in planted.true_of(image.path) for phrase in PHRASES] for image in images])

    return extract_features(backbone, dataset, None, shard_folder=folder), truth(dataset.train), truth(dataset.test)


@pytest.mark.slow
def test_each_image_has_one_attribute_of_each_kind_and_classes_are_balanced(planted: Planted) -> None:
    dataset = read_image_folder(planted.images)
    assert dataset.class_names == tuple(sorted(CLASS_NAMES))
    for split, per_class in IMAGES_PER_CLASS.items():
        assert [len(list((planted.images / split / name).iterdir())) for name in CLASS_NAMES] == [per_class] * len(CLASS_NAMES)
    for image in (*dataset.train, *dataset.test):
        true = planted.true_of(image.path)
        assert [len(true & set(kind)) for kind in np.split(np.array(PHRASES), 4)] == [1, 1, 1, 1]
        shape = dataset.class_names[image.label].split()[1]
        assert f"a {shape}" in true


def test_the_same_seed_draws_the_same_images() -> None:
    assert np.array_equal(draw(16, seed=3).images, draw(16, seed=3).images)
    assert not np.array_equal(draw(16, seed=3).images, draw(16, seed=4).images)


@pytest.mark.slow
def test_the_vision_language_model_separates_phrases_and_rejects_decoys(planted: Planted, tmp_path: Path) -> None:
    spec = VisionLanguageSpec(demo_language.ARCHITECTURE, demo_language.ARGUMENTS)
    model = load_vision_language_model(spec, planted.language, device="cpu")
    features, _, truth = features_of(planted, model.images, tmp_path)
    seen = normalize(features.X_test, dim=1)
    cosines = (seen @ model.embed_text(PHRASES).T).numpy()
    assert min(roc_auc_score(truth[:, column], cosines[:, column]) for column in range(len(PHRASES))) > 0.75

    def top5(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.sort(values, axis=0)[-5:].mean(axis=0)

    decoys = (seen @ model.embed_text(DECOYS).T).numpy()
    assert top5(cosines).min() > 0.25 > top5(decoys).max()  # the default clip_cutoff


@pytest.mark.slow
@pytest.mark.parametrize("kind", range(4), ids=("colour", "shape", "texture", "place"))
def test_a_linear_probe_of_the_backbone_reads_each_attribute(planted: Planted, tmp_path: Path, kind: int) -> None:
    spec = BackboneSpec(ARCHITECTURE, ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    features, train, test = features_of(planted, load_backbone(spec, planted.backbone, device="cpu"), tmp_path)
    of_kind = slice(4 * kind, 4 * kind + 4)
    probe = LogisticRegression(max_iter=1000).fit(features.X_train.numpy(), train[:, of_kind].argmax(axis=1))
    assert probe.score(features.X_test.numpy(), test[:, of_kind].argmax(axis=1)) > 0.9
