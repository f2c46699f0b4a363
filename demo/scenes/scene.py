"""Scenes of one object in one place, as a camera sees them, with the mask of the object; class folders of them, and true phrases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from demo.scenes.objects import OBJECTS, Sprite
from demo.scenes.places import PLACES
from demo.scenes.surfaces import SIDE_PIXELS, Array, Light, X, Y, mixed

PLACE_WORDS = {"sea": "at sea", "desert": "in the desert", "meadow": "in a meadow", "snow": "in the snow", "city": "in the city"}
OBJECTS_IN: dict[str, tuple[str, ...]] = {
    "sea": ("balloon", "boat", "lighthouse", "windmill"),
    "desert": ("balloon", "cactus", "car", "house", "tent", "windmill"),
    "meadow": ("balloon", "car", "house", "pine", "tent", "tree", "windmill"),
    "snow": ("balloon", "car", "house", "pine", "tent", "tree", "windmill"),
    "city": ("balloon", "car", "house", "pine", "tent", "tree"),
}
CLASSES: dict[str, tuple[str, str]] = {
    f"{thing} {PLACE_WORDS[place]}": (thing, place) for place, things in OBJECTS_IN.items() for thing in things
}
"""Object and place of each class. Neither alone decides the class, except for the three objects that are in one place only."""

SIZES: dict[str, tuple[float, float]] = {
    "balloon": (0.34, 0.52),
    "boat": (0.36, 0.56),
    "cactus": (0.36, 0.52),
    "car": (0.34, 0.50),
    "house": (0.36, 0.54),
    "lighthouse": (0.50, 0.68),
    "pine": (0.46, 0.66),
    "tent": (0.32, 0.46),
    "tree": (0.44, 0.64),
    "windmill": (0.46, 0.64),
}
"""Smallest and largest side of each object's canvas, as shares of the image's side."""
IN_THE_AIR = ("balloon",)
JPEG_QUALITY = 92
TRAIN_PER_CLASS, TEST_PER_CLASS = 30, 20
SEED = 0


@dataclass(frozen=True)
class Scene:
    """A photograph-like image with its parts.

    Attributes
    ----------
    image : (96, 96, 3) uint8
    mask : (96, 96) bool, where the object is; all other pixels show the place, with the object's shadow or reflection
    """

    image: Array
    mask: Array


@dataclass(frozen=True)
class Scenes:
    """Scenes with their classes.

    Attributes
    ----------
    images : (n, 96, 96, 3) uint8
    masks : (n, 96, 96) bool, where the object is
    labels : (n,) into the order of `CLASSES`
    """

    images: Array
    masks: Array
    labels: Array


def draw_scene(thing: str | None, place: str, seed: tuple[int, ...]) -> Scene:
    """Draw an object in a place; without `thing`, the same place, light and camera without the object. The same seed draws the same."""
    of_place, of_thing, of_camera = (np.random.default_rng((*seed, part)) for part in range(3))
    light, horizon = Light.drawn(of_place), float(of_place.uniform(0.40, 0.56))
    view = PLACES[place](light, horizon, of_place)
    mask = np.zeros((SIDE_PIXELS, SIDE_PIXELS), dtype=bool)
    if thing is not None:
        view, opacity = _with_object(view, thing, place, light, horizon, of_thing)
        mask = opacity > 0.5
    return Scene(_photographed(view, of_camera), mask)


def draw_scenes(per_class: int, seed: int = SEED) -> Scenes:
    """Draw `per_class` scenes of each class, class by class."""
    scenes = [draw_scene(*parts, (seed, label, number)) for label, parts in enumerate(CLASSES.values()) for number in range(per_class)]
    labels = np.repeat(np.arange(len(CLASSES)), per_class)
    return Scenes(np.stack([scene.image for scene in scenes]), np.stack([scene.mask for scene in scenes]), labels)


def write_scenes(scenes: Scenes, folder: Path) -> None:
    """Write class folders of JPEG files, in the order of the scenes: `boat at sea/0001.jpg`, …"""
    names = list(CLASSES)
    for number, (image, label) in enumerate(zip(scenes.images, scenes.labels, strict=True)):
        path = folder / names[label] / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=JPEG_QUALITY)


def _with_object(view: Array, thing: str, place: str, light: Light, horizon: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """The view with an object, and the object's opacity (96, 96)."""
    smallest, largest = SIZES[thing]
    x, size = generator.uniform(0.24, 0.76), generator.uniform(smallest, largest)
    if thing in IN_THE_AIR:
        foot = max(size, horizon + generator.uniform(-0.12, 0.08))
    else:
        near = generator.uniform(0.15, 0.75)
        foot, size = horizon + (1 - horizon) * near, size * (0.78 + 0.4 * near)
    sprite = OBJECTS[thing](light, generator)
    side = round(size * SIDE_PIXELS)
    left, top = round(x * SIDE_PIXELS - side / 2), round(foot * SIDE_PIXELS) - side
    if place == "sea" and thing not in IN_THE_AIR:
        view = _with_reflection(view, sprite, side, (left, top + side), generator)
    elif thing not in IN_THE_AIR:
        view = _with_shadow(view, sprite, side, (left, top + side), light)
    colours, opacity = _placed(sprite, (side, side), (left, top))
    return mixed(view, colours, opacity), opacity


def _placed(sprite: Sprite, size: tuple[int, int], corner: tuple[int, int]) -> tuple[Array, Array]:
    """A sprite resized to (width, height), with its upper left corner at a pixel of the image: colours and opacity of the whole image."""
    levels = np.dstack([sprite.colours.clip(0, 1), sprite.opacity])
    small = Image.fromarray((levels * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    whole = Image.new("RGBA", (SIDE_PIXELS, SIDE_PIXELS))
    whole.paste(small, corner)
    values = np.asarray(whole).astype(float) / 255
    return values[..., :3], values[..., 3]


def _with_shadow(view: Array, sprite: Sprite, side: int, foot: tuple[int, int], light: Light) -> Array:
    """Darken the ground away from the sun: the outline, laid flat and sheared."""
    height = max(2, round(0.22 * side))
    _, opacity = _placed(Sprite(sprite.colours, sprite.opacity[::-1]), (side, height), (foot[0], foot[1] - height // 4))
    rows = np.arange(SIDE_PIXELS)
    shift = np.round(-1.3 * light.side * (rows - foot[1] + height // 4)).astype(int)
    columns = (rows[None] - np.where(rows >= foot[1] - height // 4, shift, 0)[:, None]).clip(0, SIDE_PIXELS - 1)
    cast = np.take_along_axis(opacity, columns, axis=1)
    return view * (1 - (0.15 + 0.35 * light.strength) * cast[..., None])


def _with_reflection(view: Array, sprite: Sprite, side: int, foot: tuple[int, int], generator: np.random.Generator) -> Array:
    """Mirror the object in the water, shorter and broken by waves."""
    height = max(2, round(0.5 * side))
    colours, opacity = _placed(Sprite(sprite.colours[::-1], sprite.opacity[::-1]), (side, height), (foot[0], foot[1] - 2))
    shift = np.round(generator.normal(0, 1.2, SIDE_PIXELS)).astype(int)
    columns = (np.arange(SIDE_PIXELS)[None] + shift[:, None]).clip(0, SIDE_PIXELS - 1)
    opacity = np.take_along_axis(opacity, columns, axis=1) * np.clip(1 - (np.arange(SIDE_PIXELS) - foot[1]) / height, 0, 1)[:, None]
    return mixed(view, np.take_along_axis(colours, columns[..., None], axis=1) * 0.8, 0.4 * opacity)


def _photographed(view: Array, generator: np.random.Generator) -> Array:
    """Pixels (96, 96, 3) uint8 of a camera: exposure, white balance, darker corners, blur and noise."""
    vignette = 1 - generator.uniform(0.1, 0.45) * ((X - 0.5) ** 2 + (Y - 0.5) ** 2)
    exposed = view * vignette[..., None] * generator.uniform(0.86, 1.12) * generator.uniform(0.96, 1.04, size=3)
    toned = np.clip(exposed, 0, 1) ** generator.uniform(0.88, 1.15)
    sharp = Image.fromarray((toned * 255).astype(np.uint8))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 0.7)))).astype(float)
    noise = generator.normal(size=blurred.shape) * generator.uniform(1.5, 5.0) * np.sqrt(0.3 + blurred / 255)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)
