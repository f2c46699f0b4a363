"""Phrases and the scenes of which they are true, as a vocabulary for a text library and as captions for a vision-language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from demo.scenes.scene import CLASSES
from demo.scenes.surfaces import Array

OBJECT_PHRASES: dict[str, tuple[str, ...]] = {
    "a hot-air balloon": ("balloon",),
    "a basket below a striped sphere": ("balloon",),
    "a sailing boat": ("boat",),
    "triangular sails": ("boat",),
    "a lighthouse": ("lighthouse",),
    "a banded tower": ("lighthouse",),
    "a cactus": ("cactus",),
    "a car": ("car",),
    "two black wheels": ("car",),
    "a house": ("house",),
    "a tiled roof": ("house",),
    "a tent": ("tent",),
    "a broad-leaved tree": ("tree",),
    "a round green crown": ("tree",),
    "a pine": ("pine",),
    "a dark green cone": ("pine",),
    "a windmill": ("windmill",),
    "four turning sails": ("windmill",),
    "a tall narrow building": ("lighthouse", "windmill"),
    "a plant": ("cactus", "tree", "pine"),
    "something that moves": ("balloon", "boat", "car"),
    "a place to sleep": ("house", "tent"),
}
PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "the open sea": ("sea",),
    "waves": ("sea",),
    "sand dunes": ("desert",),
    "ripples in the sand": ("desert",),
    "green grass": ("meadow",),
    "wooded hills": ("meadow",),
    "snow on the ground": ("snow",),
    "rocky mountains": ("snow",),
    "a street": ("city",),
    "rows of buildings": ("city",),
    "open country": ("desert", "meadow", "snow"),
}
DECOYS = ("brown fur", "a human face", "printed letters", "a wooden floor", "a plate of food", "red stripes")
"""Phrases that are true of no scene and are not in the training captions."""
PHRASES = (*OBJECT_PHRASES, *PLACE_PHRASES)


def scene_truth(labels: Array) -> np.ndarray[Any, Any]:
    """Truth (n, P) bool of each of `PHRASES` for scenes with `labels` (n,) into `CLASSES`."""
    of_class = [
        [thing in things for things in OBJECT_PHRASES.values()] + [place in places for places in PLACE_PHRASES.values()]
        for thing, place in CLASSES.values()
    ]
    return np.array(of_class, dtype=bool)[labels]
