"""Figures of a report: ARR and accuracy over sparsity, each with its 95 % band and both controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from iis_engine.figures.text import quantity_words

PLOT_NAMES = ("arr", "accuracy")
PLOT_SUFFIXES = (".png", ".svg")
LIBRARY_COLOUR = "#1f5fa8"
CONTROL_COLOUR = "#8a8a8a"
MATCHED_COLOUR = "#c08a1e"
REFERENCE_COLOUR = "#b5482a"


def save_plot(report: dict[str, Any], name: str, *paths: Path) -> None:
    """Draw figure `name` of a report's dictionary and save it in the format of each path's suffix, one of `PLOT_SUFFIXES`.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in PLOT_NAMES:
        raise ValueError(f"{name!r} is not a figure; choose one of {', '.join(PLOT_NAMES)}.")
    figure = arr_figure(report) if name == "arr" else accuracy_figure(report)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # already laid out; another layout takes as long as drawing
    for path in paths:
        # Fixed metadata: the same report gives the same bytes.
        figure.savefig(path, dpi=144, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def arr_figure(report: dict[str, Any]) -> Figure:
    """ARR against sparsity, and against the number of kept concepts on a logarithmic axis, each with 95 % band and both controls."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    by_sparsity, by_kept = figure.subplots(1, 2, sharey=True)
    for axis, x in ((by_sparsity, "sparsity"), (by_kept, "kept")):
        _draw(axis, report, x, "arr")
        axis.axhline(1, color=REFERENCE_COLOUR, linewidth=0.8, linestyle=":")
        axis.grid(alpha=0.25)
    by_kept.set_xscale("log")
    by_kept.invert_xaxis()
    by_kept.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    by_kept.xaxis.set_minor_locator(NullLocator())
    by_kept.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    by_sparsity.set_xlabel("sparsity s (share of concepts zeroed)")
    by_kept.set_xlabel("kept concepts k (logarithmic)")
    by_sparsity.set_ylabel(f"{quantity_words(report)} retention rate ARR")
    by_sparsity.set_ylim(bottom=0)
    by_sparsity.legend(loc="lower left", frameon=False)
    figure.suptitle(_title(report), fontsize=11)
    return figure


def accuracy_figure(report: dict[str, Any]) -> Figure:
    """Sparsity against accuracy, with the whole representation's accuracy and chance as lines."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    _draw(axis, report, "sparsity", "accuracy")
    low, high = report["accuracy_representation_low"], report["accuracy_representation_high"]
    axis.axhspan(low, high, color=REFERENCE_COLOUR, alpha=0.12, linewidth=0)
    axis.axhline(report["accuracy_representation"], color=REFERENCE_COLOUR, linewidth=1, label="whole representation")
    axis.axhline(report["chance"], color="black", linewidth=0.8, linestyle=":", label="chance")
    axis.set_xlabel("sparsity s (share of concepts zeroed)")
    axis.set_ylabel(quantity_words(report))
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.25)
    axis.legend(loc="lower left", frameon=False)
    figure.suptitle(_title(report), fontsize=11)
    return figure


def _draw(axis: Any, report: dict[str, Any], x: str, y: str) -> None:
    controls = report["controls"]
    curves = (
        (controls["isotropic"]["points"], "any directions (isotropic)", CONTROL_COLOUR, ":"),
        (controls["matched"]["points"], "matched directions", MATCHED_COLOUR, "--"),
        (report["points"], report["library"]["kind"], LIBRARY_COLOUR, "-"),
    )
    for every_point, label, colour, style in curves:
        points = [p for p in every_point if x != "kept" or p["kept"] > 0]
        at = np.asarray([p[x] for p in points])
        axis.fill_between(at, [p[f"{y}_low"] for p in points], [p[f"{y}_high"] for p in points], color=colour, alpha=0.18, linewidth=0)
        axis.plot(at, [p[y] for p in points], style, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)


def _title(report: dict[str, Any]) -> str:
    if report["iis"] is None:
        score = "IIS withheld: no better than chance"
    else:
        matched = report["controls"]["matched"]["iis"]
        score = f"IIS {report['iis']:.3f} [{report['iis_low']:.3f}, {report['iis_high']:.3f}], matched {matched:.3f}"
    return f"{score}  ({report['protocol']} protocol, {quantity_words(report)} {report['accuracy_representation']:.3f})"
