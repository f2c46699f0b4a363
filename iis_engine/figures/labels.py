"""Placement of labels beside points and at the ends of lines, without overlaps.

adjustText was tried in its place: its labels cover points, error bars and the legend, and differ from run to run at 60 points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from iis_engine.figures.text import POINTS_PER_INCH, fitted, width_of

LABEL_SIZE = 7.0
LABEL_WIDTH = 1.5
"""Inches; longer labels are cut."""
LEADER_COLOUR = "#b0b0b0"
ALL_SHOWN_UP_TO = 24
"""With more points, a point without room for its label has none."""
_LINE_HEIGHT = 1.25 * LABEL_SIZE
_POINT_RADIUS = 4.0
_NEAR = 9.0
_DISTANCES = (6.0, 11.0, 18.0, 27.0, 38.0, 52.0)
_ANGLES = tuple(np.deg2rad(degrees) for degrees in (0, 180, 35, 145, -35, -145, 90, -90, 65, 115, -65, -115))


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """The common area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, other: _Box) -> float:
        """The area outside another box."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(other)


def label_points(
    figure: Figure, axis: Axes, x: Sequence[float], y: Sequence[float], texts: Sequence[str], bars: Sequence[tuple[float, float]] = ()
) -> None:
    """Place each text near its point, with a thin line to it where it is farther away; call it once the figure is laid out.

    Labels avoid each other, all points and their error bars, the legend, and other texts of the axes.

    Parameters
    ----------
    bars : for each point the ends of its horizontal error bar
    """
    if len(x) == 0:
        return
    scale = POINTS_PER_INCH / figure.dpi
    at = axis.transData.transform(np.column_stack([x, y])) * scale
    frame = _pixels(axis, scale)
    taken = [_Box(px - _POINT_RADIUS, py - _POINT_RADIUS, px + _POINT_RADIUS, py + _POINT_RADIUS) for px, py in at]
    for (low, high), height in zip(bars, y, strict=False):
        (left, middle), (right, _) = axis.transData.transform([(low, height), (high, height)]) * scale
        taken.append(_Box(left, middle - 1, right, middle + 1))
    held = [*axis.texts, *([legend] if (legend := axis.get_legend()) is not None else [])]
    taken += [_pixels(artist, scale) for artist in held]
    centre = at.mean(axis=0)
    inwards: list[int] = np.argsort(-np.abs(at - centre).sum(axis=1)).tolist()  # the crowded middle is placed last
    for place in inwards:
        text = fitted(texts[place], LABEL_WIDTH, LABEL_SIZE)
        box, cost = _best_place(at[place], _width(text), taken, taken[place], frame)
        if cost > 0 and len(x) > ALL_SHOWN_UP_TO:
            continue
        taken.append(box)
        _write(axis, (x[place], y[place]), (box.left - at[place, 0], (box.bottom + box.top) / 2 - at[place, 1]), text)


def label_ends(figure: Figure, axis: Axes, x: float, y: Sequence[float], texts: Sequence[str], colours: Sequence[str]) -> None:
    """Place each text to the right of the last point of its line, moved up or down to avoid overlaps; the axes need room there."""
    if len(y) == 0:
        return
    scale = POINTS_PER_INCH / figure.dpi
    heights = axis.transData.transform(np.column_stack([np.full(len(y), x), y]))[:, 1] * scale
    room = (float(axis.get_window_extent().x1) - float(axis.transData.transform((x, y[0]))[0])) * scale - _NEAR
    order: list[int] = np.argsort(heights).tolist()
    placed = _spread(heights[order])
    for place, height in zip(order, placed.tolist(), strict=True):
        text = fitted(texts[place], max(room / POINTS_PER_INCH, 0.5), LABEL_SIZE)
        _write(axis, (x, y[place]), (_NEAR, height - heights[place]), text, colours[place])


def _best_place(at: NDArray[np.float64], width: float, taken: Sequence[_Box], own: _Box, frame: _Box) -> tuple[_Box, float]:
    best, best_cost = own, float("inf")
    for distance in _DISTANCES:
        for angle in _ANGLES:
            x, y = at[0] + distance * np.cos(angle), at[1] + distance * np.sin(angle)
            lean = 0.5 - 0.5 * np.clip(2 * np.cos(angle), -1, 1)  # the text starts, is centred or ends at the leader line
            left, bottom = x - lean * width, y - _LINE_HEIGHT / 2
            box = _Box(left, bottom, left + width, bottom + _LINE_HEIGHT)
            cost = sum(box.overlap(other) for other in taken) + 4 * box.outside(frame)
            if cost < best_cost - 1e-6:
                best, best_cost = box, cost
        if best_cost <= 1e-6:
            return best, 0.0
    return best, best_cost


def _spread(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rising heights, moved least so that neighbours are one line apart: isotonic blocks at their mean height."""
    blocks = [[height, 1] for height in heights.tolist()]  # mean height, members
    merged = list[list[float]]()
    for block in blocks:
        merged.append([block[0], block[1]])
        while len(merged) > 1 and _reach(merged[-2], up=True) > _reach(merged[-1], up=False):
            (low, few), (high, more) = merged[-2:]
            merged[-2:] = [[(low * few + high * more) / (few + more), few + more]]
    return np.concatenate([mean + _LINE_HEIGHT * (np.arange(count) - (count - 1) / 2) for mean, count in merged])


def _reach(block: Sequence[float], *, up: bool) -> float:
    mean, count = block
    return mean + (1 if up else -1) * _LINE_HEIGHT * count / 2


def _write(axis: Axes, at: tuple[float, float], offset: tuple[float, float], text: str, colour: str = "black") -> None:
    far = abs(offset[1]) > _NEAR or abs(offset[0]) > 3 * _NEAR
    beginning = 1 if offset[0] + _width(text) / 2 < 0 else 0  # of the leader line, at the end of the text near the point
    arrow = (
        {"arrowstyle": "-", "color": LEADER_COLOUR, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2, "relpos": (beginning, 0.5)}
        if far
        else None
    )
    axis.annotate(
        text,
        at,
        offset,
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=LABEL_SIZE,
        color=colour,
        arrowprops=arrow,
        annotation_clip=False,
        parse_math=False,
    )


def _width(text: str) -> float:
    return POINTS_PER_INCH * width_of(text, FontProperties(size=LABEL_SIZE))


def _pixels(artist: Artist, scale: float) -> _Box:
    box = artist.get_window_extent()
    return _Box(box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale)
