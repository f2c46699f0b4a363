"""Figures for papers: an explained image, a class, the concepts of a library. `iis_engine.figures.explanations` draws them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from worker.handlers.image import explain, heat_maps_of
from worker.handlers.subject import Subject
from worker.handlers.test_set import class_view, concepts
from worker.stages.serialisation import text_form

MAPPED = 8  # concepts of a sheet whose heat maps may be drawn


def sheet(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """One image explained: {figure}."""
    from iis_engine.explanations.heatmaps import overlay
    from iis_engine.figures.explanations import explanation_sheet

    explanation, view, layers, names = explain(subject, about), None, {}, _concepts_of(subject)
    explanation |= {sign: _named(names, explanation[sign]) for sign in ("supporting", "opposing")}
    explanation["image"] |= {"id": str(about["image"])}
    if about["image_name"] is not None:
        explanation["image"] |= {"name": about["image_name"]}
    if subject.model is not None:
        view, (maps, values), size = subject.view, heat_maps_of(subject), subject.backbone.input_size
        entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda one: -abs(one["contribution"]))
        layers = {one["concept"]: overlay(values[one["concept"]], size) for one in entries[:MAPPED]}
        explanation |= {"heatmaps": {"note": maps.note}}
    crops = _crops(subject, (*explanation["supporting"], *explanation["opposing"]))
    return _drawn(about, lambda path: explanation_sheet(explanation, view, layers, crops, path))


def class_figure(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """What a class is made of: {figure}."""
    from iis_engine.figures.explanations import class_profile

    profile, names = class_view(subject, about), _concepts_of(subject)
    profile |= {sign: _named(names, profile[sign]) for sign in ("supporting", "opposing")}
    crops = _crops(subject, (*profile["supporting"], *profile["opposing"]))
    return _drawn(about, lambda path: class_profile(profile, crops, path))


def gallery(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Concepts side by side: {figure}."""
    from iis_engine.figures.explanations import concept_gallery

    entries = _named(_concepts_of(subject), concepts(subject, about)["data"][: about["limit"]])
    crops = _crops(subject, entries)
    return _drawn(about, lambda path: concept_gallery(entries, crops, path))


def _concepts_of(subject: Subject) -> list[dict[str, Any]]:
    """Label, origin and exemplars of each concept of the library; empty when the library was deleted."""
    return json.loads(Path(subject.files["concepts"]).read_text()) if "concepts" in subject.files else []


def _named(names: Sequence[dict[str, Any]], entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries with label, origin and exemplars of their concepts."""
    unknown = {"label": None, "origin": "unknown", "exemplars": []}
    return [one | (names[one["concept"]] if one["concept"] < len(names) else unknown) for one in entries]


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
