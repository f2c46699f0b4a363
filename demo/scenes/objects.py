"""Objects on a transparent canvas: boat, lighthouse, balloon, cactus, tent, car, windmill, tree, house and pine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from demo.scenes.canvas import Sprite, U, V, cylinder_facing, pipe, polygon, rotated, sphere_facing
from demo.scenes.surfaces import Array, Colour, Light, mixed, rough, smooth_step

BRIGHT = ((0.82, 0.13, 0.12), (0.95, 0.72, 0.12), (0.13, 0.33, 0.68), (0.12, 0.50, 0.33), (0.92, 0.42, 0.12), (0.50, 0.22, 0.52))
WHITE = (0.95, 0.94, 0.90)

Draw = Callable[[Light, np.random.Generator], Sprite]


def balloon(light: Light, generator: np.random.Generator) -> Sprite:
    """A hot-air balloon: a striped envelope, lit as a sphere, above a basket."""
    first, second = _two(generator, (*BRIGHT, WHITE))
    down = (V - 0.38) / 0.37
    width = 0.36 * np.sqrt(np.clip(1 - down**2, 1e-6, None)) * np.where(down > 0, 1 - 0.42 * down**2, 1.0)
    across = (U - 0.5) / width
    envelope = ((np.abs(across) < 1) & (np.abs(down) < 0.97)).astype(float)
    longitude = np.arcsin(np.clip(across, -1, 1)) / np.pi + 0.5
    stripes = (longitude * int(generator.integers(6, 9))) % 1
    cloth = mixed(first, second, (stripes < 0.5).astype(float)) * (0.86 + 0.14 * np.sin(np.pi * ((2 * stripes) % 1)))[..., None]
    if generator.random() < 0.5:
        cloth = mixed(cloth, np.broadcast_to(second, cloth.shape), (np.abs(down - 0.1) < 0.12).astype(float))
    facing = sphere_facing(light, across, down)
    sprite = Sprite.empty()
    for side in (-1, 1):
        rope = polygon([(0.5 + 0.13 * side, 0.70), (0.5 + 0.14 * side, 0.70), (0.5 + 0.05 * side, 0.90), (0.5 + 0.04 * side, 0.90)])
        sprite = sprite.over(rope, np.array([0.25, 0.2, 0.15]))
    sprite = sprite.over(envelope, cloth * light.shade(facing))
    basket = polygon([(0.44, 0.88), (0.56, 0.88), (0.55, 0.99), (0.45, 0.99)])
    return sprite.over(basket, np.array([0.50, 0.33, 0.17]) * light.shade(0.4 + 0.3 * np.sign(light.side) * (U - 0.5) / 0.06))


def boat(light: Light, generator: np.random.Generator) -> Sprite:
    """A sailing boat: hull, mast, main sail and jib that the wind bends."""
    way = generator.choice([-1.0, 1.0])
    hull = _bright(generator) if generator.random() < 0.6 else np.array(WHITE)
    sails = np.array(WHITE) if generator.random() < 0.7 else _bright(generator)

    sprite = Sprite.empty().over(polygon([(0.49, 0.02), (0.51, 0.02), (0.51, 0.86), (0.49, 0.86)], way), np.array([0.35, 0.25, 0.16]))
    main = [(0.47, 0.04), (0.40, 0.28), (0.25, 0.55), (0.10, 0.76), (0.47, 0.76)]
    jib = [(0.53, 0.12), (0.64, 0.40), (0.86, 0.76), (0.53, 0.72)]
    belly = 0.55 + 0.35 * np.sin(9 * (U + 0.5 * V)) * np.sign(light.side)
    for sail in (main, jib):
        sprite = sprite.over(polygon(sail, way), sails * light.shade(belly))
    body = polygon([(0.06, 0.81), (0.94, 0.79), (0.82, 0.99), (0.16, 0.99)], way)
    sprite = sprite.over(body, hull * light.shade(0.75 - 2.2 * (V - 0.80)))
    return sprite.over(body * (np.abs(V - 0.84) < 0.015), np.array(WHITE) * light.shade(0.5))


def lighthouse(light: Light, generator: np.random.Generator) -> Sprite:
    """A banded tower with gallery and lantern on a rock."""
    band = np.array(BRIGHT[0] if generator.random() < 0.8 else BRIGHT[2])
    width = 0.085 + 0.065 * V
    across = (U - 0.5) / width
    tower = ((np.abs(across) < 1) & (V > 0.22) & (V < 0.90)).astype(float)
    bands = ((V - 0.22) / 0.68 * 5 + 0.5).astype(int) % 2
    paint = mixed(np.array(WHITE), band, bands.astype(float))
    rock = (rough(generator, U, V, 1.5) * 0.025 + 0.84 + 1.2 * (U - 0.5) ** 2 < V).astype(float)
    stone = np.array([0.36, 0.32, 0.29]) * light.shade(0.45 + 0.5 * rough(generator, U, V, 1.1))
    round_wall = cylinder_facing(light, across)
    sprite = Sprite.empty().over(tower, paint * light.shade(round_wall)).over(rock, stone)
    sprite = sprite.over(polygon([(0.36, 0.20), (0.64, 0.20), (0.62, 0.24), (0.38, 0.24)]), np.array([0.2, 0.2, 0.22]) * light.shade(0.5))
    lantern = polygon([(0.43, 0.09), (0.57, 0.09), (0.57, 0.20), (0.43, 0.20)])
    sprite = sprite.over(lantern, mixed((0.30, 0.38, 0.42), (1.0, 0.93, 0.65), np.exp(-90 * (U - 0.5) ** 2)))
    return sprite.over(polygon([(0.40, 0.09), (0.5, 0.0), (0.60, 0.09)]), band * light.shade(0.4))


def cactus(light: Light, generator: np.random.Generator) -> Sprite:
    """A ribbed column with two arms that turn up."""
    green = mixed((0.20, 0.40, 0.20), (0.36, 0.46, 0.22), generator.random())
    sprite = Sprite.empty()
    for side in (-1, 1):
        bend, top, reach = generator.uniform(0.50, 0.68), generator.uniform(0.18, 0.38), generator.uniform(0.22, 0.30)
        elbow = 0.5 + side * reach
        sprite = pipe(sprite, light, green, (0.5, bend), (elbow, bend), 0.065)
        sprite = pipe(sprite, light, green, (elbow, bend), (elbow, top), 0.07)
    return pipe(sprite, light, green, (0.5, 1.1), (0.5, 0.10), 0.105)


def tent(light: Light, generator: np.random.Generator) -> Sprite:
    """A ridge tent with a dark entrance and one long side."""
    cloth, way = _bright(generator), generator.choice([-1.0, 1.0])

    folds = 0.08 * np.sin(28 * (U + 0.3 * V))
    sprite = Sprite.empty()
    sprite = sprite.over(
        polygon([(0.36, 0.36), (0.82, 0.42), (1.0, 0.97), (0.56, 1.0)], way),
        cloth * light.shade(0.30 + 0.45 * way * light.side + folds),
    )
    sprite = sprite.over(
        polygon([(0.36, 0.36), (0.0, 0.98), (0.56, 1.0)], way), cloth * light.shade(0.30 - 0.45 * way * light.side + folds)
    )
    return sprite.over(polygon([(0.36, 0.48), (0.22, 0.99), (0.40, 1.0)], way), np.array([0.10, 0.08, 0.08]))


def car(light: Light, generator: np.random.Generator) -> Sprite:
    """A car from its side: body, cabin with windows, two wheels."""
    paint, way = _bright(generator) if generator.random() < 0.8 else np.array(WHITE), generator.choice([-1.0, 1.0])

    gloss = 0.75 - 2.6 * np.abs(V - 0.70) + 0.25 * light.side * (U - 0.5)
    cabin = [(0.20, 0.70), (0.30, 0.52), (0.64, 0.52), (0.78, 0.70)]
    body = [(0.02, 0.74), (0.05, 0.69), (0.20, 0.67), (0.78, 0.68), (0.96, 0.73), (0.98, 0.90), (0.02, 0.90)]
    sprite = Sprite.empty().over(polygon(cabin, way), paint * light.shade(0.75))
    sprite = sprite.over(polygon(body, way), paint * light.shade(gloss))
    glass = mixed((0.14, 0.18, 0.22), (0.66, 0.76, 0.84), smooth_step(0.70 - V, 0.0, 0.16))
    for window in (
        [(0.25, 0.68), (0.33, 0.55), (0.46, 0.55), (0.46, 0.68)],
        [(0.49, 0.68), (0.49, 0.55), (0.62, 0.55), (0.73, 0.68)],
    ):
        sprite = sprite.over(polygon(window, way), glass)
    sprite = sprite.over(polygon([(0.92, 0.75), (0.97, 0.76), (0.97, 0.80), (0.92, 0.80)], way), np.array([1.0, 0.95, 0.75]))
    for middle in ((0.23, 0.89), (0.77, 0.89)):
        radius = np.hypot(U - middle[0], V - middle[1])
        sprite = sprite.over((radius < 0.108).astype(float), np.array([0.07, 0.07, 0.08]))
        sprite = sprite.over((radius < 0.055).astype(float), np.array([0.62, 0.63, 0.65]) * light.shade(0.5))
    return sprite


def windmill(light: Light, generator: np.random.Generator) -> Sprite:
    """A tapered tower with a cap and four lattice sails."""
    wall = mixed((0.86, 0.83, 0.76), (0.58, 0.36, 0.26), generator.random())
    across = (U - 0.5) / (0.07 + 0.12 * V)
    tower = ((np.abs(across) < 1) & (V > 0.36)).astype(float)
    bricks = 0.94 + 0.06 * ((V * 40) % 1 > 0.25)
    sprite = Sprite.empty().over(tower, wall * bricks[..., None] * light.shade(cylinder_facing(light, across)))
    sprite = sprite.over(polygon([(0.38, 0.38), (0.42, 0.28), (0.58, 0.28), (0.62, 0.38)]), np.array([0.26, 0.20, 0.17]) * light.shade(0.5))
    sprite = sprite.over(polygon([(0.46, 0.86), (0.54, 0.86), (0.54, 1.0), (0.46, 1.0)]), np.array([0.20, 0.14, 0.10]))
    turned = generator.uniform(0, np.pi / 2)
    for quarter in range(4):
        along, aside = rotated(0.5, 0.33, turned + quarter * np.pi / 2)
        arm = ((along > 0) & (along < 0.33) & (np.abs(aside) < 0.009)).astype(float)
        lattice = ((along > 0.07) & (along < 0.33) & (aside > 0) & (aside < 0.075)).astype(float)
        holes = 1 - 0.45 * (((along * 26) % 1 < 0.35) | ((aside * 26) % 1 < 0.35))
        sprite = sprite.over(lattice, np.array(WHITE) * holes[..., None] * light.shade(0.55)).over(arm, np.array([0.24, 0.17, 0.12]))
    return sprite


def tree(light: Light, generator: np.random.Generator) -> Sprite:
    """A broad-leaved tree: a trunk below a crown of round clumps."""
    leaf = mixed(mixed((0.14, 0.32, 0.10), (0.34, 0.46, 0.12), generator.random()), (0.62, 0.36, 0.10), 0.5 * generator.random() ** 3)
    trunk = polygon([(0.46, 0.62), (0.54, 0.62), (0.57, 1.0), (0.43, 1.0)])
    bark = np.array([0.34, 0.24, 0.16]) * light.shade(0.3 + 0.5 * np.sign(light.side) * (U - 0.5) / 0.07)
    sprite = Sprite.empty().over(trunk, bark)
    leaves = 0.45 * rough(generator, U, V, exponent=0.6)
    edge = 0.09 * rough(generator, U, V, exponent=1.0)
    for _ in range(9):
        angle, reach, radius = generator.uniform(0, 2 * np.pi), generator.uniform(0.05, 0.21), generator.uniform(0.13, 0.19)
        across, down = (U - 0.5 - 1.15 * reach * np.cos(angle)) / radius, (V - 0.36 - 0.85 * reach * np.sin(angle)) / radius
        clump = (np.hypot(across, down) + edge < 1).astype(float)
        sprite = sprite.over(clump, leaf * light.shade(sphere_facing(light, across, down) + leaves - 0.1))
    return sprite


def house(light: Light, generator: np.random.Generator) -> Sprite:
    """A house from its corner: gable wall with a door, long wall with windows, tiled roof, chimney."""
    walls = ((0.93, 0.90, 0.82), (0.88, 0.74, 0.52), (0.78, 0.52, 0.42), (0.66, 0.46, 0.32))
    wall, way = np.array(walls[int(generator.integers(len(walls)))]), generator.choice([-1.0, 1.0])
    roof = mixed((0.62, 0.20, 0.13), (0.36, 0.22, 0.18), generator.random())

    gable, long_side = light.shade(0.30 - 0.45 * way * light.side), light.shade(0.30 + 0.45 * way * light.side)
    sprite = Sprite.empty().over(
        polygon([(0.66, 0.10), (0.76, 0.10), (0.76, 0.40), (0.66, 0.40)], way), np.array([0.50, 0.30, 0.24]) * gable
    )
    sprite = sprite.over(polygon([(0.04, 0.56), (0.23, 0.22), (0.42, 0.56), (0.42, 1.0), (0.04, 0.97)], way), wall * gable)
    sprite = sprite.over(polygon([(0.42, 0.54), (0.97, 0.54), (0.97, 0.95), (0.42, 1.0)], way), wall * long_side)
    tiles = 0.88 + 0.12 * ((V * 34) % 1 > 0.3) * ((U * 30 + (V * 34).astype(int) * 0.5) % 1 > 0.15)
    slope = polygon([(0.20, 0.18), (0.80, 0.20), (1.0, 0.56), (0.44, 0.58)], way)
    sprite = sprite.over(slope, roof * tiles[..., None] * light.shade(0.55 + 0.25 * way * light.side))
    sprite = sprite.over(polygon([(0.20, 0.18), (0.25, 0.20), (0.04, 0.60), (0.0, 0.58)], way), roof * light.shade(0.3))
    dark, frame = np.array([0.13, 0.16, 0.21]), np.array(WHITE)
    sprite = sprite.over(polygon([(0.17, 0.72), (0.30, 0.72), (0.30, 0.99), (0.17, 0.98)], way), np.array([0.30, 0.17, 0.10]) * gable)
    for left in (0.49, 0.67, 0.84):
        sprite = sprite.over(polygon([(left, 0.66), (left + 0.09, 0.66), (left + 0.09, 0.83), (left, 0.84)], way), frame * long_side)
        sprite = sprite.over(polygon([(left + 0.015, 0.68), (left + 0.075, 0.68), (left + 0.075, 0.81), (left + 0.015, 0.82)], way), dark)
    return sprite


def pine(light: Light, generator: np.random.Generator) -> Sprite:
    """A conifer: four tiers of branches with jagged edges and snow on them."""
    needle = mixed((0.07, 0.20, 0.13), (0.14, 0.28, 0.16), generator.random())
    sprite = Sprite.empty().over(
        polygon([(0.46, 0.85), (0.54, 0.85), (0.54, 1.0), (0.46, 1.0)]), np.array([0.28, 0.19, 0.13]) * light.shade(0.4)
    )
    jagged, dusting = rough(generator, 1.2 * U, 0.6 * V, 0.6), rough(generator, U, V, 0.9)
    for tier in (3, 2, 1, 0):
        top, bottom = 0.02 + 0.19 * tier, 0.36 + 0.185 * tier
        fall = (V - top) / (bottom - top)
        across = (U - 0.5) / (0.16 + 0.085 * tier)
        area = ((np.abs(across) + 0.10 * jagged < fall) & (fall + 0.06 * jagged < 1)).astype(float)
        sprite = sprite.over(area, needle * light.shade(0.35 + 0.5 * light.side * across + 0.3 * jagged - 0.4 * (fall > 0.85)))
        snowed = area * smooth_step(dusting + 0.6 * light.side * across - 0.8 * fall, 0.1, 0.5)
        sprite = sprite.over(snowed, np.array([0.93, 0.95, 1.0]) * light.shade(0.6))
    return sprite


OBJECTS: dict[str, Draw] = {
    "balloon": balloon,
    "boat": boat,
    "cactus": cactus,
    "car": car,
    "house": house,
    "lighthouse": lighthouse,
    "pine": pine,
    "tent": tent,
    "tree": tree,
    "windmill": windmill,
}


def _bright(generator: np.random.Generator) -> Array:
    return np.array(BRIGHT[int(generator.integers(len(BRIGHT)))])


def _two(generator: np.random.Generator, colours: Sequence[Colour]) -> tuple[Any, Any]:
    """Two different colours."""
    first, second = generator.choice(len(colours), size=2, replace=False)
    return np.array(colours[first]), np.array(colours[second])
