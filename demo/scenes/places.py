"""Places without objects: sea, desert, meadow, snow and city, each under a sky."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.scenes.surfaces import SIDE_PIXELS, Array, Ground, Light, X, Y, mixed, ridge, rough, smooth_step

Place = Callable[[Light, float, np.random.Generator], Array]

HAZE = (0.80, 0.85, 0.91)


def sky(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Gradient to the zenith, glow around the sun, and clouds that shrink towards the horizon."""
    height = np.clip((horizon - Y) / horizon, 0.0, 1.0)
    zenith = mixed(mixed((0.52, 0.58, 0.66), (0.22, 0.45, 0.82), light.strength), (0.36, 0.40, 0.62), light.warmth)
    low = mixed((0.82, 0.88, 0.94), (0.99, 0.76, 0.55), light.warmth)
    colours = mixed(low, zenith, height**0.6)
    sun = np.exp(-8.0 * ((X - 0.5 - 0.45 * light.side) ** 2 + (height - 0.3) ** 2))
    colours = mixed(colours, (1.0, 0.95, 0.85), 0.5 * light.strength * sun)
    ceiling = 0.25 / (height + 0.15)
    clouds = rough(generator, (X - 0.5) * ceiling, ceiling, exponent=1.7)
    cover = smooth_step(clouds, generator.uniform(-0.3, 1.6), 2.2) * smooth_step(height, 0.0, 0.25)
    cloud = mixed((0.72, 0.74, 0.78), mixed((1.0, 1.0, 1.0), (1.0, 0.86, 0.74), light.warmth), 0.4 + 0.6 * light.strength)
    return mixed(colours, cloud, 0.9 * cover)


def sea(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Water whose waves reflect the sky, and glitter below the sun."""
    above, ground = sky(light, horizon, generator), Ground.below(horizon)
    waves = rough(generator, 0.10 * ground.across, 0.30 * ground.along, exponent=0.9) * ground.detail
    waves = waves + 0.6 * rough(generator, 0.25 * ground.across, 0.9 * ground.along, exponent=0.7) * ground.detail
    deep = mixed(mixed((0.05, 0.26, 0.34), (0.03, 0.20, 0.42), generator.random()), (0.20, 0.20, 0.30), 0.6 * light.warmth)
    mirrored = mixed((0.70, 0.79, 0.87), (0.92, 0.70, 0.55), light.warmth)
    water = mixed(deep, mirrored, np.clip(0.16 + 0.45 * (1 - ground.near) ** 3 + 0.10 * waves, 0, 1))
    column = np.exp(-(((X - 0.5 - 0.45 * light.side) / (0.06 + 0.16 * ground.near)) ** 2))
    water = mixed(water, (1.0, 0.96, 0.86), light.strength * column * smooth_step(waves, 0.6, 1.8))
    foam = smooth_step(waves, 1.7, 2.6) * ground.near * 0.7
    return _meet(above, mixed(water, (0.93, 0.96, 0.97), foam), horizon)


def desert(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Dunes, one behind the other, with a lit and a shaded side and ripples in the sand."""
    image, ground = sky(light, horizon, generator), Ground.below(horizon)
    sand = mixed((0.86, 0.68, 0.42), (0.80, 0.54, 0.32), generator.random())
    ripples = np.sin(60 * ground.along + 9 * ground.across + 2 * rough(generator, 0.2 * ground.across, 0.2 * ground.along, 1.6))
    grain = rough(generator, X, Y, exponent=0.3)
    for layer, base in enumerate((horizon - 0.05, horizon + 0.02, horizon + 0.18)):
        crest = base + ridge(generator, ((1.1, 0.04), (2.3, 0.02))) * (0.7 + 0.4 * layer)
        slope = np.gradient(crest, 1 / SIDE_PIXELS)
        below = Y - crest[None]
        facing = np.clip(0.5 + 1.6 * light.side * slope[None] * np.exp(-3 * below), 0, 1)
        dune = sand * light.shade(facing + 0.05 * grain + 0.07 * layer * ripples * ground.detail)
        dune = mixed(dune, HAZE, np.full_like(X, 0.30 - 0.13 * layer))
        image = mixed(image, dune, smooth_step(below, -0.005, 0.008))
    return image


def meadow(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Grass with patches and flowers before wooded hills."""
    image, ground = sky(light, horizon, generator), Ground.below(horizon)
    crest = horizon - 0.06 + ridge(generator, ((0.8, 0.03), (2.1, 0.015), (9.0, 0.004)))
    hills = mixed((0.16, 0.30, 0.16), HAZE, 0.45) * light.shade(0.4 + 0.25 * rough(generator, 1.2 * X, 2.0 * Y, 0.8))
    image = mixed(image, hills, smooth_step(Y - crest[None], -0.004, 0.006))
    blades = rough(generator, 0.9 * ground.across, 0.25 * ground.along, exponent=0.5) * ground.detail
    patches = rough(generator, 0.10 * ground.across, 0.06 * ground.along, exponent=1.5)
    grass = mixed((0.22, 0.42, 0.10), (0.52, 0.60, 0.20), np.clip(0.45 + 0.22 * patches, 0, 1))
    grass = grass * light.shade(0.45 + 0.30 * blades)
    flowers = smooth_step(rough(generator, 0.7 * ground.across, 0.5 * ground.along, 0.2), 2.4, 2.8) * ground.near
    petals = ((0.95, 0.90, 0.35), (0.96, 0.94, 0.96), (0.85, 0.25, 0.25))[int(generator.integers(3))]
    return _meet(image, mixed(mixed(grass, petals, flowers), HAZE, 0.35 * (1 - ground.near) ** 6), horizon)


def snow(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Rocky mountains with white tops behind a snow field."""
    image, ground = sky(light, horizon, generator), Ground.below(horizon)
    teeth = np.abs(ridge(generator, ((1.3, 0.12), (2.9, 0.06)))) + np.abs(ridge(generator, ((6.1, 0.02), (13.0, 0.012))))
    crest = horizon - 0.10 - teeth
    slope = np.gradient(crest, 1 / SIDE_PIXELS)[None]
    craggy = rough(generator, 0.7 * X + 0.3 * Y, 0.7 * Y, exponent=1.0)
    facing = np.clip(0.4 + 0.35 * light.side * slope + 0.30 * craggy, -0.2, 1)
    white = smooth_step(0.16 - (Y - crest[None]) + 0.05 * craggy, 0.0, 0.05)
    mountain = mixed((0.33, 0.34, 0.39), (0.95, 0.96, 1.0), white) * light.shade(facing)
    image = mixed(image, mixed(mountain, HAZE, 0.22), smooth_step(Y - crest[None], -0.004, 0.006))
    drifts = rough(generator, 0.10 * ground.across, 0.10 * ground.along, exponent=1.7)
    field = np.array([0.93, 0.95, 1.0]) * light.shade(0.62 + 0.22 * drifts + 0.05 * rough(generator, X, Y, 0.2))
    return _meet(image, field, horizon)


def city(light: Light, horizon: float, generator: np.random.Generator) -> Array:
    """Two rows of buildings with windows behind a street with lane marks."""
    image, ground = sky(light, horizon, generator), Ground.below(horizon)
    for layer, (lowest, highest) in enumerate(((0.22, 0.45), (0.08, 0.28))):
        left = -generator.uniform(0, 0.1)
        while left < 1:
            width, height = generator.uniform(0.10, 0.24), generator.uniform(lowest, highest)
            image = _building(image, light, (left, left + width), (horizon - height, horizon + 0.01), 0.45 - 0.35 * layer, generator)
            left += width + generator.uniform(0.0, 0.02)
    asphalt = np.array([0.36, 0.36, 0.38]) * light.shade(0.4 + 0.10 * rough(generator, 0.8 * ground.across, 0.8 * ground.along, 0.3))
    street = mixed(asphalt, (0.62, 0.60, 0.58) * light.shade(0.5), (ground.near < 0.13).astype(float))
    lane = (np.abs(ground.across - generator.uniform(-0.3, 0.3)) < 0.03) & ((ground.along * 1.4 + generator.random()) % 1 < 0.5)
    street = mixed(street, (0.92, 0.90, 0.82), 0.85 * (lane & (ground.near > 0.16)))
    return _meet(image, street, horizon)


PLACES: dict[str, Place] = {"sea": sea, "desert": desert, "meadow": meadow, "snow": snow, "city": city}


def _building(
    image: Array, light: Light, sides: tuple[float, float], ends: tuple[float, float], haze: float, generator: np.random.Generator
) -> Array:
    """A block with rows of windows, over the image behind it; a strip of its other face is turned from the sun or to it."""
    walls = ((0.66, 0.52, 0.44), (0.60, 0.60, 0.62), (0.76, 0.70, 0.60), (0.46, 0.50, 0.56), (0.55, 0.38, 0.33))
    wall = np.array(walls[int(generator.integers(len(walls)))]) * generator.uniform(0.85, 1.1)
    rows = slice(max(0, round(ends[0] * SIDE_PIXELS)), round(ends[1] * SIDE_PIXELS))
    columns = slice(max(0, round(sides[0] * SIDE_PIXELS)), min(SIDE_PIXELS, round(sides[1] * SIDE_PIXELS)))
    x, y = X[rows, columns], Y[rows, columns]
    across, down = (x - sides[0]) / (sides[1] - sides[0]), y - ends[0]
    face = np.where(across < 0.75, 0.35 - 0.35 * light.side, 0.35 + 0.45 * light.side)
    surface = wall * light.shade(face + 0.08 * rough(generator, x, y, 0.6))
    pitch = generator.uniform(0.045, 0.06)
    column, row = (x - sides[0]) / pitch, down / pitch
    panes = (column % 1 > 0.3) & (column % 1 < 0.8) & (row % 1 > 0.3) & (row % 1 < 0.85) & (row > 0.4)
    lit = generator.random((12, 12))[row.astype(int) % 12, column.astype(int) % 12]
    glass = mixed((0.16, 0.20, 0.27), (0.75, 0.82, 0.88), lit**3)
    view = image.copy()
    view[rows, columns] = mixed(mixed(surface, glass, 0.9 * panes), HAZE, haze)
    return view


def _meet(above: Array, below: Array, horizon: float) -> Array:
    """Join sky and ground at the horizon within a pixel."""
    return mixed(above, below, smooth_step(Y - horizon, -0.5 / SIDE_PIXELS, 0.5 / SIDE_PIXELS))
