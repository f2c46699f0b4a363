"""Figures for papers, drawn from answers that the API has dressed in names. The drawing itself: `iis_engine.figures.explanations`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from worker.handlers.image import heat_maps_of
from worker.handlers.subject import Subject
from worker.stages.serialisation import text_form

MAPPED = 8  # concepts of a sheet whose heat maps may be drawn


def sheet(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """One image explained: {figure}."""
    from iis_engine.explanations.heatmaps import overlay
    from iis_engine.figures.explanations import explanation_sheet

    explanation, view, layers = about["explanation"], None, {}
    if subject.model is not None:
        view, (maps, values), size = subject.view, heat_maps_of(subject), subject.backbone.input_size
        entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda one: -abs(one["contribution"]))
        layers = {one["concept"]: overlay(values[one["concept"]], size) for one in entries[:MAPPED]}
        explanation |= {"heatmaps": explanation["heatmaps"] | {"exact": maps.exact, "method": maps.method, "note": maps.note}}
    crops = _crops(subject, (*explanation["supporting"], *explanation["opposing"]))
    return _drawn(about, lambda path: explanation_sheet(explanation, view, layers, crops, path))


def class_figure(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """What a class is made of: {figure}."""
    from iis_engine.figures.explanations import class_profile

    profile = about["profile"]
    crops = _crops(subject, (*profile["supporting"], *profile["opposing"]))
    return _drawn(about, lambda path: class_profile(profile, crops, path))


def gallery(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Concepts side by side: {figure}."""
    from iis_engine.figures.explanations import concept_gallery

    crops = _crops(subject, about["concepts"])
    return _drawn(about, lambda path: concept_gallery(about["concepts"], crops, path))


def _drawn(about: dict[str, Any], draw: Callable[[Path], None]) -> dict[str, Any]:
    path: Path = about["workspace"] / f"figure.{about['format']}"
    try:
        draw(path)
        return {"figure": text_form(path.read_bytes())}
    finally:
        path.unlink(missing_ok=True)


def _crops(subject: Subject, entries: Iterable[dict[str, Any]]) -> dict[int, list[Any]]:
    """The crops that show each concept, as pictures."""
    from PIL import Image

    if "exemplars" not in subject.files:
        return {}
    with ZipFile(subject.files["exemplars"]) as archive:
        held = set(archive.namelist())
        return {
            one["concept"]: [
                Image.open(io.BytesIO(archive.read(shown["crop"]))).convert("RGB")
                for shown in one["exemplars"]
                if shown.get("crop") in held
            ]
            for one in entries
        }
