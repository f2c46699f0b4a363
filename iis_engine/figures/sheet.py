"""A sheet on which texts, pictures and bars are placed in inches from its top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from iis_engine.figures.text import fitted, plain

FOR_COLOUR = "#c23b34"
AGAINST_COLOUR = "#1f5fa8"
QUIET_COLOUR = "#6b6b6b"
MARGIN = 0.35
LINE = 0.19
"""Inches between lines of 9 points."""
BODY, SMALL, HEADING = 9.0, 7.5, 12.0
DOTS_PER_INCH = 144
CROP_PIXELS = 160
"""Longest side of a crop; larger ones are reduced, so that the file stays small."""


class Sheet:
    """A figure of `width` x `height` inches; positions are (left, top, width, height) in inches from the top left."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width, height), facecolor="white")
        self._figure.suppressComposite = True  # an SVG would otherwise hold one picture as large as the page, and take minutes
        self._page = self.axes(0, 0, width, height)  # pictures lie on one pair of axes in inches; a pair for each would take seconds
        self._page.set_autoscale_on(False)
        self._page.set_xlim(0, width)
        self._page.set_ylim(height, 0)
        self._page.set_axis_off()

    @property
    def figure(self) -> Figure:
        """The matplotlib figure."""
        return self._figure

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Empty axes with this frame; ticks and labels lie outside it."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self._figure.add_axes(box)

    def text(self, left: float, top: float, text: str, width: float, *, lines: int = 1, size: float = BODY, **style: Any) -> None:
        """A text at a position, left-aligned or as `ha` says, fitted to a width; never parsed as mathematics."""
        shown = fitted(text, width, size, lines, weight=style.get("weight", "normal"))
        options: dict[str, Any] = {"va": "top", "fontsize": size, "linespacing": 1.15, **style}
        self._figure.text(left / self.width, 1 - top / self.height, shown, None, parse_math=False, **options)

    def picture(self, left: float, top: float, side: float, layers: Sequence[Image.Image | NDArray[np.uint8]]) -> None:
        """Layers of one picture on top of each other, within a square; layers of other sizes are stretched to the first."""
        rows, columns = np.asarray(layers[0]).shape[:2]
        width, height = side * columns / max(rows, columns), side * rows / max(rows, columns)
        above = top + (side - height) / 2
        for layer in layers:
            self._page.imshow(np.asarray(layer), extent=(left, left + width, above + height, above), aspect="auto")

    def crops(self, left: float, top: float, side: float, pictures: Sequence[Image.Image], gap: float = 0.06) -> None:
        """Pictures in a row, each within a square."""
        for place, picture in enumerate(pictures):
            small = picture.copy()
            small.thumbnail((CROP_PIXELS, CROP_PIXELS))
            self.picture(left + place * (side + gap), top, side, [small])

    def signed_bars(self, left: float, top: float, width: float, rows: Sequence[tuple[float, str]], row_height: float) -> None:
        """Horizontal bars from a common zero, positive ones red and negative ones blue, each with a text at its end."""
        axis = self.axes(left, top, width, row_height * len(rows))
        values = [value for value, _ in rows]
        at = np.arange(len(rows)) + 0.5
        axis.barh(at, values, height=0.62, color=[FOR_COLOUR if value > 0 else AGAINST_COLOUR for value in values])
        largest = max(map(abs, values)) or 1.0
        low, high = min(0.0, *values), max(0.0, *values)
        room = 0.75 / width * (high - low or largest) / (1 - 1.5 / width)  # 0.75 inches for a text at either end
        axis.set_xlim(low - room, high + room)
        axis.set_ylim(len(rows), 0)
        axis.axvline(0, color="black", linewidth=0.8)
        for place, (value, text) in zip(at, rows, strict=True):
            side, shift = ("left", 3) if value >= 0 else ("right", -3)
            axis.annotate(text, (value, place), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=SMALL)
        axis.set_axis_off()

    def save(self, path: Path, names: Sequence[str]) -> None:
        """Write a PNG or SVG by the suffix of `path`; the description of an SVG lists all names uncut.

        Raises
        ------
        ValueError
            For another suffix.
        """
        if path.suffix not in {".png", ".svg"}:
            raise ValueError(f"A figure is saved as .png or .svg; the path ends in {path.suffix!r}.")
        description = "; ".join(plain(name) for name in names)
        metadata = {"Date": None, "Description": description} if path.suffix == ".svg" else {"Software": None}
        self._figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)
