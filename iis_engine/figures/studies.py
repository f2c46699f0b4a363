"""Figures of a study in the form of the paper's, from the sections of `studies.analysis.analyse`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from iis_engine.errors import DataError
from iis_engine.figures.labels import label_ends, label_points
from iis_engine.figures.report import CONTROL_COLOUR, LIBRARY_COLOUR, REFERENCE_COLOUR
from iis_engine.figures.text import fitted, plain, quantity_words

STUDY_FIGURES = ("iis_accuracy", "gain_accuracy", "evolution", "concept_counts", "sparsity_grids", "agreement")
GAIN_LABELS = {
    "few_gain_matched": "few-concept gain over matched",
    "gain_matched": "gain in IIS over matched",
    "gain_isotropic": "gain in IIS over isotropic",
}
PANELS_MAX = 24
COLUMNS = 3
PANEL_WIDTH, PANEL_HEIGHT = 4.6, 3.7
END_LABEL_SHARE = 0.42
"""Room for labels at the ends of lines, as a share of the panel's width."""
COLOURS = ("#1f5fa8", "#b5482a", "#3f8f4f", "#7a4fa3", "#c28a1c", "#2a9d9d", "#c2517f", "#5b5b5b", "#8c6d31", "#6b8fd6")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")

Label = Callable[[], None]
Draw = Callable[[Figure, Axes, dict[str, Any]], Label | None]
"""Draw a section into its panel; return a function that places the labels once all panels are laid out."""


def save_study_figure(analysis: dict[str, Any], name: str, path: Path) -> None:
    """Draw a figure and save it as PNG or SVG by the suffix of `path`; the same analysis gives the same bytes."""
    figure = draw_study_figure(analysis, name)
    with mpl.rc_context({"svg.hashsalt": "iis"}):
        figure.savefig(path, dpi=144, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def draw_study_figure(analysis: dict[str, Any], name: str) -> Figure:
    """Figure `name` of `STUDY_FIGURES` from an analysis.

    Raises
    ------
    DataError
        When the study has no data for this figure.
    """
    if name not in STUDY_FIGURES:
        raise ValueError(f"{name!r} is not a figure; choose one of {', '.join(STUDY_FIGURES)}.")
    section, draw = _DRAWN[name]
    found = analysis[section]
    if name == "iis_accuracy":
        found = [each for each in found if each["points"]]
    if name == "gain_accuracy":
        found = [each | {"gain": gain} for each in found for gain in _measured_gains(each["points"])]
    return _panels(found, draw, _NOTHING[name])


_NOTHING = {
    "iis_accuracy": "No job of the study has an IIS yet, so there is no point to draw.",
    "gain_accuracy": "No job of the study has a gain over a control yet, so there is no point to draw.",
    "evolution": "This study is not an evolution: create one with evolution true and the run's checkpoints in order.",
    "concept_counts": "The finished jobs of the study have one number of concepts; give several in concept_counts.",
    "sparsity_grids": "The study has no sparsity grids; give some in sparsity_grids.",
    "agreement": "The finished jobs of the study have one library; give several in libraries.",
}


def _panels(sections: Sequence[dict[str, Any]], draw: Draw, nothing: str) -> Figure:
    """One panel per section; titles name only what differs."""
    if not sections:
        raise DataError(nothing, code="figure_absent")
    shown = sections[:PANELS_MAX]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(PANEL_WIDTH * columns, PANEL_HEIGHT * rows + 0.3), layout="constrained")
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    labels = list[Label | None]()
    for axis, section, title in zip(axes, shown, _titles(shown), strict=False):
        axis.set_title(fitted(title, PANEL_WIDTH - 0.6, 9.0, 2), fontsize=9, parse_math=False)
        labels.append(draw(figure, axis, section))
    if len(shown) < len(sections):
        figure.suptitle(f"the first {len(shown)} of {len(sections)}", fontsize=8)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for write in labels:
        if write is not None:
            write()
    return figure


def _titles(sections: Sequence[dict[str, Any]]) -> Iterator[str]:
    several = len({section.get("concept_count") for section in sections}) > 1
    editions = len({section["edition"] for section in sections}) > 1
    for section in sections:
        title = " on ".join(plain(section[name]) for name in ("library", "dataset_name") if section.get(name))
        if several and section.get("concept_count"):
            title += f", M = {section['concept_count']}"
        if section["library_dataset"] is not None:
            title += f", cut from {plain(section['library_dataset_name'] or '')}"
        if editions:
            title += f", edition {section['edition']}"
        yield title


def _iis_accuracy(figure: Figure, axis: Axes, relation: dict[str, Any]) -> Label:
    """IIS against accuracy (Figures 3 and 4)."""
    return _against_accuracy(figure, axis, relation, "iis", "IIS", relation["accuracy"]["spearman"])


def _gain_accuracy(figure: Figure, axis: Axes, relation: dict[str, Any]) -> Label:
    """One gain over a control against accuracy; at 0 the library keeps no more than the control."""
    gain = relation["gain"]
    measured = [point for point in relation["points"] if point[gain] is not None]
    axis.axhline(0, color=CONTROL_COLOUR, linewidth=0.8)
    return _against_accuracy(figure, axis, relation | {"points": measured}, gain, GAIN_LABELS[gain], relation["accuracy"]["gains"][gain])


def _measured_gains(points: Sequence[dict[str, Any]]) -> list[str]:
    """The gains over matched directions; that over isotropic ones where no point has these."""
    found = [gain for gain in GAIN_LABELS if any(point[gain] is not None for point in points)]
    return [gain for gain in found if gain != "gain_isotropic"] or found


def _against_accuracy(figure: Figure, axis: Axes, relation: dict[str, Any], name: str, label: str, rho: dict[str, Any]) -> Label:
    """A number of the points against accuracy with both intervals, a colour and marker for each family."""
    points = relation["points"]
    families = list(dict.fromkeys(point["family"] for point in points))
    for number, family in enumerate(families):
        own = [point for point in points if point["family"] == family]
        x, y = ([point[side]["value"] for point in own] for side in ("accuracy", name))
        style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "markersize": 4}
        style |= {"xerr": _error_bars(own, "accuracy"), "yerr": _error_bars(own, name)}
        axis.errorbar(x, y, linestyle="none", elinewidth=0.7, alpha=0.85, label=plain(family or "other"), **style)
    axis.margins(0.12, 0.14)
    axis.grid(alpha=0.25)
    axis.set_xlabel(f"{quantity_words(relation)} of the representation")
    axis.set_ylabel(label)
    axis.text(0.02, 0.98, _rho(rho), transform=axis.transAxes, va="top", fontsize=8)
    if families != [None] and len(families) > 1:
        axis.legend(loc="lower right", fontsize=6, frameon=False)
    x, y = ([point[side]["value"] for point in points] for side in ("accuracy", name))
    bars = [(point["accuracy"]["low"], point["accuracy"]["high"]) for point in points]
    return partial(label_points, figure, axis, x, y, [point["label"] for point in points], bars)


def _evolution(figure: Figure, axis: Axes, run: dict[str, Any]) -> None:
    """IIS and accuracy over epochs, the checkpoints near chance shaded (Figures 5 and 6)."""
    points = run["points"]
    for place, first, last in _near_chance_spans(points):
        axis.axvspan(first, last, color=CONTROL_COLOUR, alpha=0.18, linewidth=0, label="no better than chance" if place == 0 else None)
    for name, label, colour in (("accuracy", quantity_words(run), REFERENCE_COLOUR), ("iis", "IIS", LIBRARY_COLOUR)):
        values = [point[name] if name == "accuracy" or not point["near_chance"] else None for point in points]
        x = [point["epoch"] for point in points]
        y, low, high = (np.asarray([np.nan if value is None else value[end] for value in values]) for end in ("value", "low", "high"))
        axis.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axis.plot(x, y, "-o", color=colour, markersize=3.5, linewidth=1.4, label=label)
    axis.set_ylim(0, max(1.02, axis.get_ylim()[1]))
    axis.set_xlabel("epoch" if run["epochs_given"] else "checkpoint")
    axis.grid(alpha=0.25)
    axis.legend(loc="lower right", fontsize=7, frameon=False)


def _near_chance_spans(points: Sequence[dict[str, Any]]) -> list[tuple[int, float, float]]:
    """Spans of consecutive checkpoints near chance, to half way to their neighbours: (number, first, last)."""
    epochs = [point["epoch"] for point in points]
    edges = [epochs[0], *((a + b) / 2 for a, b in pairwise(epochs)), epochs[-1]]
    spans = list[tuple[int, float, float]]()
    for place, point in enumerate(points):
        if not point["near_chance"]:
            continue
        if spans and spans[-1][2] == edges[place]:
            spans[-1] = (spans[-1][0], spans[-1][1], edges[place + 1])
        else:
            spans.append((len(spans), edges[place], edges[place + 1]))
    return spans


def _concept_counts(figure: Figure, axis: Axes, section: dict[str, Any]) -> Label:
    """IIS over M, a line for each model (Table 2)."""
    lines = [
        (model["label"], [(value["concept_count"], value["iis"]["value"]) for value in model["values"]]) for model in section["models"]
    ]
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(section["concept_counts"]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axis.set_xlabel("number of concepts M")
    axis.set_ylabel("IIS")
    counts = section["concept_counts"]
    span = counts[-1] / counts[0]
    return _lines(figure, axis, lines, counts[0] / span**0.04, counts[-1] * span**END_LABEL_SHARE)


def _sparsity_grids(figure: Figure, axis: Axes, section: dict[str, Any]) -> Label:
    """The area under ARR over each grid, a line for each model; the paper's grid first (Table 3)."""
    grids = [section["default"], *(grid["sparsities"] for grid in section["grids"])]
    lines = list[tuple[str, list[tuple[float, float]]]]()
    for number, model in enumerate(section["models"]):
        areas = [model["default"], *(grid["models"][number]["area"] for grid in section["grids"])]
        lines.append((model["label"], [(place, area) for place, area in enumerate(areas) if area is not None]))
    axis.set_xticks(range(len(grids)), [_grid_name(grid) for grid in grids], fontsize=6.5)
    axis.set_ylabel("area under ARR")
    axis.set_xlabel("sparsity grid")
    return _lines(figure, axis, lines, -0.25, len(grids) - 1 + END_LABEL_SHARE * max(1, len(grids) - 1))


def _grid_name(grid: Sequence[float]) -> str:
    if len(grid) <= 3:
        return ", ".join(f"{s:g}" for s in grid)
    return f"{grid[0]:g}, {grid[1]:g}, …\n{grid[-1]:g} ({len(grid)})"


def _lines(figure: Figure, axis: Axes, lines: Sequence[tuple[str, list[tuple[float, float]]]], first: float, last: float) -> Label:
    """A line for each model with its label at its end."""
    ends = list[tuple[float, float, str, str]]()
    for number, (label, points) in enumerate(lines):
        if not points:
            continue
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        axis.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=3.5, linewidth=1.2)
        ends.append((*points[-1], label, colour))
    axis.set_xlim(first, last)
    axis.margins(y=0.1)
    axis.grid(alpha=0.25)

    def write() -> None:
        for x in dict.fromkeys(end[0] for end in ends):
            here = [end for end in ends if end[0] == x]
            label_ends(figure, axis, x, [end[1] for end in here], [end[2] for end in here], [end[3] for end in here])

    return write


def _agreement(figure: Figure, axis: Axes, section: dict[str, Any]) -> None:
    """Spearman's rho of IIS between every two libraries as a matrix."""
    libraries = section["libraries"]
    values = np.full((len(libraries), len(libraries)), np.nan)
    texts = {(place, place): "1" for place in range(len(libraries))}
    np.fill_diagonal(values, 1.0)
    for pair in section["pairs"]:
        places, rho = (libraries.index(pair["a"]), libraries.index(pair["b"])), pair["spearman"]["value"]
        for row, column in (places, places[::-1]):
            values[row, column] = np.nan if rho is None else rho
            texts[row, column] = f"too few\n(n = {pair['n']})" if rho is None else f"{rho:.2f}\n(n = {pair['n']})"
    image = axis.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), text in texts.items():
        dark = abs(np.nan_to_num(values[row, column])) > 0.6
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    names = [fitted(library, 1.2, 7.0) for library in libraries]
    axis.set_xticks(range(len(names)), names, fontsize=7, rotation=30, ha="right", parse_math=False)
    axis.set_yticks(range(len(names)), names, fontsize=7, parse_math=False)
    figure.colorbar(image, ax=axis, shrink=0.8, label="Spearman's rho of IIS")


def _rho(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return f"rho undefined, n = {estimate['n']}"
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.2f}, {estimate['high']:.2f}]"
    return f"rho {estimate['value']:.2f}{interval}, n = {estimate['n']}"


def _error_bars(points: Sequence[dict[str, Any]], name: str) -> list[list[float]]:
    """Distances (2, n) from each value down and up to the ends of its interval."""
    return [
        [max(0.0, point[name]["value"] - point[name]["low"]) for point in points],
        [max(0.0, point[name]["high"] - point[name]["value"]) for point in points],
    ]


_DRAWN: dict[str, tuple[str, Draw]] = {
    "iis_accuracy": ("relation", _iis_accuracy),
    "gain_accuracy": ("relation", _gain_accuracy),
    "evolution": ("evolution", _evolution),
    "concept_counts": ("concept_counts", _concept_counts),
    "sparsity_grids": ("sparsity_grids", _sparsity_grids),
    "agreement": ("agreement", _agreement),
}
