"""Drawn scenes: reproducible, with each part where its mask says; and concepts of a network trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import iis_engine
from demo.scenes.network import ARCHITECTURE, ARGUMENTS, PREPROCESSING, train_scene_network
from demo.scenes.objects import OBJECTS
from demo.scenes.places import PLACES
from demo.scenes.scene import CLASSES, Scenes, draw_scene, write_scenes
from iis_engine import BackboneSpec, LibrarySpec, Preprocessing, load_backbone


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
def test_concepts_of_a_network_trained_on_scenes_are_its_objects_and_places_and_lie_where_these_are(tmp_path: Path) -> None:
    names = [name for name, (_, place) in CLASSES.items() if place in ("sea", "desert")]
    train, test = (_scenes_of(names, per_class, seed) for per_class, seed in ((24, 0), (8, 1)))
    checkpoint = train_scene_network(train, tmp_path / "scenes.safetensors")
    write_scenes(train, tmp_path / "scenes" / "train")
    write_scenes(test, tmp_path / "scenes" / "test")
    spec = BackboneSpec(f"timm:{ARCHITECTURE}", ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    found = iis_engine.score(load_backbone(spec, checkpoint, device="cpu"), tmp_path / "scenes", library=LibrarySpec("cluster", 20))
    assert found.report.accuracy_representation > 0.8

    activations = found.predictors.library.activations(found.features.X_test).numpy()
    parts = np.array([CLASSES[found.predictors.class_names[int(label)]] for label in found.features.y_test])  # object and place
    most_active = parts[np.argsort(-activations, axis=0)[:4]]  # (4, concepts, 2)
    assert (most_active == most_active[0]).all(axis=0).any(axis=1).mean() > 0.8

    pointed = []
    for image, mask in zip(test.images[::2], test.masks[::2], strict=True):
        explanation = found.explain(Image.fromarray(image))
        concept = int(explanation.explanation.contributions.argmax())
        heat = explanation.heat_map(concept).numpy() * np.sign(float(explanation.explanation.activations[concept]))
        row, column = (int((place + 0.5) * mask.shape[0] / heat.shape[0]) for place in np.unravel_index(heat.argmax(), heat.shape))
        pointed.append(mask[max(0, row - 6) : row + 7, max(0, column - 6) : column + 7].any())
    assert np.mean(pointed) > 0.6  # an object covers 8 % of an image


def _scenes_of(names: Sequence[str], per_class: int, seed: int) -> Scenes:
    labels = np.repeat([list(CLASSES).index(name) for name in names], per_class)
    scenes = [draw_scene(*CLASSES[list(CLASSES)[label]], (seed, number)) for number, label in enumerate(labels)]
    return Scenes(np.stack([scene.image for scene in scenes]), np.stack([scene.mask for scene in scenes]), labels)
