"""Drawn scenes: reproducible, with each part where its mask says; and concepts of a network trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from demo.scenes.network import ARCHITECTURE, ARGUMENTS, PREPROCESSING, network_input, save_untrained, train_scene_network
from demo.scenes.objects import OBJECTS
from demo.scenes.places import PLACES
from demo.scenes.scene import CLASSES, Scenes, draw_scene
from iis_engine import BackboneSpec, Preprocessing, load_backbone
from iis_engine.libraries.cluster import build_cluster


def test_the_same_seed_draws_the_same_scenes() -> None:
    names = [next(name for name, (_, of) in CLASSES.items() if of == place) for place in PLACES]
    first, again, other = (_scenes_of(names, 1, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.masks, again.masks)
    assert all(not np.array_equal(image, changed) for image, changed in zip(first.images, other.images, strict=True))


@pytest.mark.parametrize("name", CLASSES)
def test_the_object_is_where_its_mask_says_and_the_place_is_unchanged_elsewhere(name: str) -> None:
    thing, place = CLASSES[name]
    scene, empty = (draw_scene(part, place, (5, 0)) for part in (thing, None))
    changed = np.abs(scene.image.astype(int) - empty.image.astype(int)).max(axis=2) > 24
    rows, columns = np.nonzero(scene.mask)
    assert 0.02 < scene.mask.mean() < 0.35
    assert not empty.mask.any()
    assert changed[scene.mask].mean() > 0.6
    beside = np.ones_like(scene.mask)
    beside[max(0, rows.min() - 3) : rows.max() + 40, max(0, columns.min() - 30) : columns.max() + 30] = False  # shadow or reflection
    assert changed[beside].mean() < 0.01


def test_every_object_and_place_occurs_and_most_objects_in_several_places() -> None:
    assert {thing for thing, _ in CLASSES.values()} == set(OBJECTS)
    assert {place for _, place in CLASSES.values()} == set(PLACES)
    places = {thing: {place for of, place in CLASSES.values() if of == thing} for thing in OBJECTS}
    assert sum(len(found) > 1 for found in places.values()) >= 5


@pytest.mark.slow
def test_clusters_of_a_trained_network_are_objects_and_places_and_those_of_an_untrained_one_are_less_so(tmp_path: Path) -> None:
    names = [name for name, (_, place) in CLASSES.items() if place in ("sea", "desert")]
    train, test = (_scenes_of(names, per_class, seed) for per_class, seed in ((24, 0), (8, 1)))
    trained = _purity(train_scene_network(train, tmp_path / "trained.safetensors", epochs=24), train, test)
    untrained = _purity(save_untrained(tmp_path / "untrained.safetensors"), train, test)
    assert trained > 0.8
    assert trained > untrained + 0.2


def _purity(checkpoint: Path, train: Scenes, test: Scenes) -> float:
    """Mean share of both parts, object and place, that the four test scenes which activate a cluster most have in common."""
    spec = BackboneSpec(f"timm:{ARCHITECTURE}", ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    backbone = load_backbone(spec, checkpoint, device="cpu")
    seen, unseen = (backbone.embed(network_input(scenes.images)) for scenes in (train, test))
    centre = seen.mean(dim=0)
    library = build_cluster(normalize(seen - centre, dim=1), torch.arange(len(seen)), 10, seed=0)
    activations = ((unseen - centre) @ library.vectors.T).numpy()
    parts = np.array(list(CLASSES.values()))[test.labels][np.argsort(-activations, axis=0)[:4]]  # (4, clusters, object and place)
    return float(np.mean([np.unique(column, return_counts=True)[1].max() / 4 for column in parts.reshape(4, -1).T]))


def _scenes_of(names: Sequence[str], per_class: int, seed: int) -> Scenes:
    labels = np.repeat([list(CLASSES).index(name) for name in names], per_class)
    scenes = [draw_scene(*CLASSES[list(CLASSES)[label]], (seed, number)) for number, label in enumerate(labels)]
    return Scenes(np.stack([scene.image for scene in scenes]), np.stack([scene.mask for scene in scenes]), labels)
