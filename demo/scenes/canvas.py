"""Transparent canvas on which objects are drawn: areas, round stems, and how round surfaces face the sun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from demo.scenes.surfaces import Array, Light

CANVAS_PIXELS = 96
V, U = (np.mgrid[:CANVAS_PIXELS, :CANVAS_PIXELS] + 0.5) / CANVAS_PIXELS
"""Coordinates on the canvas from 0 to 1: down and to the right. An object stands on the middle of the lower edge."""


@dataclass(frozen=True)
class Sprite:
    """Colours (96, 96, 3) and opacity (96, 96) of an object, both from 0 to 1."""

    colours: Array
    opacity: Array

    @staticmethod
    def empty() -> Sprite:
        return Sprite(np.zeros((CANVAS_PIXELS, CANVAS_PIXELS, 3)), np.zeros((CANVAS_PIXELS, CANVAS_PIXELS)))

    def over(self, area: Array, colours: Array) -> Sprite:
        """Paint `colours` ((3,) or one per pixel) where `area` (96, 96) is 1."""
        cover = area[..., None]
        return Sprite(self.colours * (1 - cover) + colours * cover, np.maximum(self.opacity, area))


def polygon(points: Sequence[tuple[float, float]], way: float = 1.0) -> Array:
    """Area (96, 96) of a polygon: 1 inside, 0 outside; mirrored left to right where `way` is -1."""
    area = Image.new("L", (CANVAS_PIXELS, CANVAS_PIXELS))
    ImageDraw.Draw(area).polygon([((0.5 + way * (x - 0.5)) * CANVAS_PIXELS, y * CANVAS_PIXELS) for x, y in points], fill=1)
    return np.asarray(area).astype(float)


def pipe(sprite: Sprite, light: Light, colour: Array, start: tuple[float, float], end: tuple[float, float], radius: float) -> Sprite:
    """A ribbed round stem with round ends between two points, upright or level."""
    along = np.array(end) - start
    length_squared = float(along @ along)
    place = np.clip(((U - start[0]) * along[0] + (V - start[1]) * along[1]) / length_squared, 0, 1)
    aside = np.hypot(U - start[0] - place * along[0], V - start[1] - place * along[1]) / radius
    across = (U - start[0] - place * along[0]) / radius
    ribs = 0.12 * np.sin(16 * np.where(abs(along[0]) > abs(along[1]), V - start[1], U - start[0]) / radius)
    return sprite.over((aside < 1).astype(float), colour * light.shade(cylinder_facing(light, across) + ribs))


def cylinder_facing(light: Light, across: Array) -> Array:
    """Cosine to the sun on an upright cylinder; `across` is -1 to 1 from its left to its right edge."""
    normal = np.clip(across, -1, 1)
    return 0.75 * light.side * normal + 0.5 * np.sqrt(1 - normal**2)


def sphere_facing(light: Light, across: Array, down: Array) -> Array:
    """Cosine to the sun on a sphere of radius 1 around the origin."""
    depth = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
    return 0.6 * light.side * np.clip(across, -1, 1) - 0.5 * np.clip(down, -1, 1) + 0.45 * depth


def rotated(x: float, y: float, angle: float) -> tuple[Array, Array]:
    """Coordinates along and across a direction from the point (x, y)."""
    across, down = U - x, V - y
    return across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
