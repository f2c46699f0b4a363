"""Figures for papers: an explanation, a class profile, a gallery of concepts, from dictionaries of the service's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from iis_engine.figures.sheet import AGAINST_COLOUR, BODY, FOR_COLOUR, HEADING, LINE, MARGIN, QUIET_COLOUR, SMALL, Sheet
from iis_engine.figures.text import concept_name, quantity_words

Crops = Mapping[int, Sequence[Image.Image]]
"""Pictures of exemplars by the number of their concept, best first."""

SHEET_WIDTH = 11.0
TOP_CLASSES = 5
MAPS_MAX = 6
CROPS_UNDER_MAP = 3
CROPS_IN_PROFILE = 5
GALLERY_COLUMNS = 4
GALLERY_CROPS = 5
GALLERY_MAX = 200
"""Most concepts in one gallery; few programs open a larger picture."""

_BAR_ROW, _TALL_ROW = 0.27, 0.56
_NAMES_WIDTH = 3.4
_INNER = SHEET_WIDTH - 2 * MARGIN


def explanation_sheet(
    explanation: dict[str, Any], image: Image.Image | None, overlays: Mapping[int, NDArray[np.uint8]], exemplars: Crops, path: Path
) -> None:
    """Save the figure of one explanation, see `draw_explanation`.

    Parameters
    ----------
    path : a .png or .svg file
    """
    bars = [*explanation["supporting"], *explanation["opposing"]]
    sheet = draw_explanation(explanation, image, overlays, exemplars)
    sheet.save(path, [explanation["explained"]["class"], *map(concept_name, bars)])


def draw_explanation(
    explanation: dict[str, Any], image: Image.Image | None, overlays: Mapping[int, NDArray[np.uint8]], exemplars: Crops
) -> Sheet:
    """One explanation: both predictions, signed contributions, faithfulness, and heat maps of the concepts with the largest ones.

    Parameters
    ----------
    explanation : the service's answer to `GET /v1/jobs/{job}/explanations/{image}`
    image : the network's input; None for ready features
    overlays : RGBA layers (H, W, 4) of `heatmaps.overlay` by the number of the concept; may be empty
    """
    bars = [*explanation["supporting"], *explanation["opposing"]]
    ranked = sorted(bars, key=lambda entry: -abs(entry["contribution"]))
    mapped = [entry for entry in ranked if entry["concept"] in overlays or exemplars.get(entry["concept"])][:MAPS_MAX]
    first, second = 1.05, 3.55
    third = second + 0.35 + _BAR_ROW * max(1, len(bars)) + 2 * LINE
    map_side = _INNER / MAPS_MAX - 0.15
    has_maps = any(entry["concept"] in overlays for entry in mapped)
    has_crops = any(exemplars.get(entry["concept"]) for entry in mapped)
    tiles = (0.85 + has_maps * (map_side + LINE) + has_crops * 0.6) if mapped else 0.0
    sheet = Sheet(SHEET_WIDTH, third + tiles + MARGIN)
    _heading(sheet, explanation)
    left, picture_side = MARGIN, 2.05
    if image is not None:
        sheet.picture(left, first, picture_side, [image])
        left += picture_side + 0.3
    column = (SHEET_WIDTH - MARGIN - left - 0.95) / 3
    kept = f"interpretation, {explanation['kept']} of {explanation['concept_count']} concepts"
    for title, key in (("whole representation", "representation"), (kept, "interpretation")):
        _prediction(sheet, left, first, column, title, explanation[key])
        left += column + 0.25
    _faithfulness(sheet, left + 0.45, first, column, explanation)
    _contributions(sheet, second, bars, explanation)
    if mapped:
        _tiles(sheet, third, map_side, mapped, image, overlays, exemplars)
        note = str(explanation["heatmaps"].get("note") or "") if has_maps else ""
        sheet.text(MARGIN, sheet.height - MARGIN - LINE + 0.1, note, _INNER, size=SMALL, color=QUIET_COLOUR)
    return sheet


def class_profile(profile: dict[str, Any], exemplars: Crops, path: Path) -> None:
    """Concepts for and against a class: signed weights, names and crops.

    Parameters
    ----------
    profile : the service's answer to `GET /v1/jobs/{job}/classes/{class}`
    path : a .png or .svg file
    """
    entries = [*profile["supporting"], *profile["opposing"]]
    with_crops = any(exemplars.get(entry["concept"]) for entry in entries)
    row, top = (_TALL_ROW if with_crops else _BAR_ROW), 1.2
    sheet = Sheet(SHEET_WIDTH, top + row * max(1, len(entries)) + LINE + MARGIN)
    sheet.text(MARGIN, 0.25, profile["class"], _INNER, size=HEADING, weight="bold")
    sheet.text(MARGIN, 0.5, _profile_facts(profile), _INNER, color=QUIET_COLOUR)
    crops_width = CROPS_IN_PROFILE * (_TALL_ROW - 0.02) if with_crops else 0.0
    bars_left, mean_width = MARGIN + _NAMES_WIDTH + 0.1, 0.9
    bars_width = _INNER - _NAMES_WIDTH - 0.1 - crops_width - mean_width - 0.2
    sheet.text(bars_left, top - LINE, "weight of the concept for the class", bars_width, size=SMALL, color=QUIET_COLOUR)
    means_right = bars_left + bars_width + mean_width
    sheet.text(means_right, top - LINE, "mean contribution", 1.1, size=SMALL, color=QUIET_COLOUR, ha="right")
    if entries:
        sheet.signed_bars(bars_left, top, bars_width, [(entry["weight"], f"{entry['weight']:+.2f}") for entry in entries], row)
    else:
        sheet.text(MARGIN, top, "No concept has a weight for this class.", _INNER)
    for place, entry in enumerate(entries):
        middle = top + row * (place + 0.5)
        lines = 2 if with_crops else 1
        sheet.text(MARGIN + _NAMES_WIDTH, middle, concept_name(entry), _NAMES_WIDTH, lines=lines, ha="right", va="center_baseline")
        sheet.text(means_right, middle, f"{entry['mean_contribution']:+.2f}", 0.9, size=SMALL, ha="right", va="center_baseline")
        pictures = exemplars.get(entry["concept"], ())[:CROPS_IN_PROFILE]
        sheet.crops(means_right + 0.2, top + row * place + 0.03, _TALL_ROW - 0.08, pictures)
    sheet.save(path, [profile["class"], *map(concept_name, entries)])


def concept_gallery(concepts: Sequence[dict[str, Any]], exemplars: Crops, path: Path) -> None:
    """A grid of up to `GALLERY_MAX` concepts, each with its name, crops, and the share of test images that keep it.

    Parameters
    ----------
    concepts : `data` of the service's answer to `GET /v1/jobs/{job}/concepts`
    path : a .png or .svg file
    """
    shown = concepts[:GALLERY_MAX]
    cell = _INNER / GALLERY_COLUMNS
    side = (cell - 0.2) / GALLERY_CROPS - 0.06
    with_crops = any(exemplars.get(concept["concept"]) for concept in shown)
    row, top = 0.75 + with_crops * (side + 0.1), 0.75
    rows = max(1, -(-len(shown) // GALLERY_COLUMNS))
    sheet = Sheet(SHEET_WIDTH, top + row * rows + MARGIN)
    counted = f"{len(shown)} of {len(concepts)} concepts" if len(shown) < len(concepts) else f"{len(shown)} concepts"
    sheet.text(MARGIN, 0.25, counted if shown else "No concepts.", _INNER, size=HEADING, weight="bold")
    for place, concept in enumerate(shown):
        left, at = MARGIN + cell * (place % GALLERY_COLUMNS), top + row * (place // GALLERY_COLUMNS)
        sheet.text(left, at, concept_name(concept), cell - 0.2, lines=2)
        rate = "never kept" if concept["never_fires"] else f"kept in {concept['firing_rate']:.1%} of test images"
        sheet.text(left, at + 2 * LINE - 0.02, rate, cell - 0.2, size=SMALL, color=QUIET_COLOUR)
        sheet.crops(left, at + 3 * LINE, side, exemplars.get(concept["concept"], ())[:GALLERY_CROPS])
    sheet.save(path, [concept_name(concept) for concept in shown])


def _heading(sheet: Sheet, explanation: dict[str, Any]) -> None:
    image = explanation["image"]
    true = image["label"] or ", ".join(image.get("labels") or ())
    label = f", labelled {true}" if true else ""
    name = image["name"] or f"Image {image['id']}"  # ready features have no file names
    sheet.text(MARGIN, 0.25, f"{name}{label}", _INNER, size=HEADING, weight="bold")
    contrast = explanation["contrast"]
    question = f"Why {explanation['explained']['class']}" + (f" rather than {contrast['class']}?" if contrast else "?")
    sheet.text(MARGIN, 0.52, question, _INNER, color=QUIET_COLOUR)


def _profile_facts(profile: dict[str, Any]) -> str:
    accuracy = profile["accuracy"]
    quantity = quantity_words(profile)
    heads = (("representation", "the whole representation"), ("interpretation", "its interpretation"))
    of_heads = (f"{'–' if accuracy[key] is None else format(accuracy[key], '.1%')} by {head}" for key, head in heads)
    facts = f"{quantity} {', '.join(of_heads)}"
    confused = ", ".join(f"{other['class']} ({other['count']})" for other in profile["confused_with"])
    return f"{facts}; confused with {confused}" if confused else facts


def _prediction(sheet: Sheet, left: float, top: float, width: float, title: str, prediction: dict[str, Any]) -> None:
    sheet.text(left, top - 0.05, title, width, color=QUIET_COLOUR)
    rows = prediction["top"][:TOP_CLASSES]
    axis = sheet.axes(left, top + 0.2, width, 0.36 * TOP_CLASSES)
    axis.barh(np.arange(len(rows)) + 0.5, [entry["probability"] for entry in rows], height=0.82, color="#c9d8ea")
    axis.set_xlim(0, 1)
    axis.set_ylim(TOP_CLASSES, 0)
    axis.set_axis_off()
    for place, entry in enumerate(rows):
        middle = top + 0.2 + 0.36 * (place + 0.5)
        weight = "bold" if entry["index"] == prediction["index"] else "normal"
        sheet.text(left + 0.06, middle, entry["class"], width - 0.75, va="center_baseline", weight=weight)
        sheet.text(left + width - 0.03, middle, f"{entry['probability']:.1%}", 0.7, va="center_baseline", ha="right", weight=weight)


def _faithfulness(sheet: Sheet, left: float, top: float, width: float, explanation: dict[str, Any]) -> None:
    found = explanation["faithfulness"]
    sheet.text(left - 0.35, top - 0.05, "probability when concepts are …", width + 0.35, color=QUIET_COLOUR)
    axis = sheet.axes(left, top + 0.2, width, 1.55)
    for key, name, colour in (("deletion", "deleted", FOR_COLOUR), ("sufficiency", "alone kept", AGAINST_COLOUR)):
        axis.plot(found["counts"], found[key], color=colour, marker="o", markersize=2.5, linewidth=1.4, label=name)
        axis.plot(found["counts"], found[f"{key}_random"], color=colour, linestyle=":", linewidth=1.2, label=f"{name}, at random")
    axis.set_ylim(-0.03, 1.03)
    axis.tick_params(labelsize=SMALL, length=2, pad=2)
    axis.set_xlabel("most important concepts", fontsize=SMALL, labelpad=1)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.grid(alpha=0.25)
    axis.legend(loc="upper center", bbox_to_anchor=(0.42, -0.2), ncols=2, fontsize=6.5, frameon=False, handlelength=1.6, columnspacing=1.0)


def _contributions(sheet: Sheet, top: float, bars: list[dict[str, Any]], explanation: dict[str, Any]) -> None:
    sheet.text(MARGIN, top, "contributions of concepts to the logit", _INNER, color=QUIET_COLOUR)
    top += 0.3
    left = MARGIN + _NAMES_WIDTH + 0.1
    for place, entry in enumerate(bars):
        middle = top + _BAR_ROW * (place + 0.5)
        sheet.text(MARGIN + _NAMES_WIDTH, middle, concept_name(entry), _NAMES_WIDTH, ha="right", va="center_baseline")
    if bars:
        values = [(entry["contribution"], f"{entry['contribution']:+.2f}") for entry in bars]
        sheet.signed_bars(left, top, _INNER - _NAMES_WIDTH - 0.1, values, _BAR_ROW)
    else:
        sheet.text(MARGIN, top, "No concept contributes.", _INNER)
    listed = sum(entry["contribution"] for entry in bars)
    parts = (("listed", listed), ("all others", explanation["remainder"]), ("bias", explanation["bias"]))
    terms = ", ".join(f"{name} {value:+.2f}" for name, value in parts)
    below = top + _BAR_ROW * max(1, len(bars)) + 0.05
    sheet.text(left, below, f"{terms}: logit {explanation['logit']:+.2f}", _INNER - _NAMES_WIDTH, size=SMALL, color=QUIET_COLOUR)


def _tiles(
    sheet: Sheet,
    top: float,
    side: float,
    entries: list[dict[str, Any]],
    image: Image.Image | None,
    overlays: Mapping[int, NDArray[np.uint8]],
    exemplars: Crops,
) -> None:
    has_maps = any(entry["concept"] in overlays for entry in entries)
    for place, entry in enumerate(entries):
        left, concept = MARGIN + place * (side + 0.15), entry["concept"]
        sheet.text(left, top + 0.1, concept_name(entry), side, lines=2, size=BODY)
        colour = FOR_COLOUR if entry["contribution"] > 0 else AGAINST_COLOUR
        sheet.text(left, top + 0.1 + 2 * LINE, f"{entry['contribution']:+.2f}", side, size=SMALL, color=colour)
        below = top + 0.1 + 3 * LINE
        if concept in overlays:
            # On a grey image, so that its colours are not mistaken for the map's.
            layers = [overlays[concept]] if image is None else [image.convert("L").convert("RGB"), overlays[concept]]
            sheet.picture(left, below, side, layers)
        crop = (side - 2 * 0.06) / CROPS_UNDER_MAP
        sheet.crops(left, below + has_maps * (side + 0.08), crop, exemplars.get(concept, ())[:CROPS_UNDER_MAP])
