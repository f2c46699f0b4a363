"""Queries for figures, drawn by `iis_engine.figures.explanations` from answers to which the API has added concept names."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from worker.handlers.image import heat_maps_of
from worker.handlers.scored_job import ScoredJob
from worker.sandbox.messages import JsonObject
from worker.stages.serialisation import bytes_to_base64

if TYPE_CHECKING:
    from PIL import Image

MAX_HEAT_MAPS = 8  # of a sheet


def sheet(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The explanation of one image: {figure}."""
    from iis_engine.explanations.heatmaps import overlay
    from iis_engine.figures.explanations import explanation_sheet

    explanation, view, overlays = query["explanation"], None, {}
    if job.model is not None:
        view, (maps, values), size = job.view, heat_maps_of(job), job.backbone.input_size
        entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda entry: -abs(entry["contribution"]))
        overlays = {entry["concept"]: overlay(values[entry["concept"]], size) for entry in entries[:MAX_HEAT_MAPS]}
        explanation |= {"heatmaps": explanation["heatmaps"] | {"exact": maps.exact, "method": maps.method, "note": maps.note}}
    crops = _crops(job, (*explanation["supporting"], *explanation["opposing"]))
    return _draw(query, lambda path: explanation_sheet(explanation, view, overlays, crops, path))


def class_figure(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The concepts of a class, by weight: {figure}."""
    from iis_engine.figures.explanations import class_profile

    profile = query["profile"]
    crops = _crops(job, (*profile["supporting"], *profile["opposing"]))
    return _draw(query, lambda path: class_profile(profile, crops, path))


def gallery(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Concepts side by side: {figure}."""
    from iis_engine.figures.explanations import concept_gallery

    crops = _crops(job, query["concepts"])
    return _draw(query, lambda path: concept_gallery(query["concepts"], crops, path))


def _draw(query: JsonObject, draw: Callable[[Path], None]) -> JsonObject:
    path: Path = query["workspace"] / f"figure.{query['format']}"
    try:
        draw(path)
        return {"figure": bytes_to_base64(path.read_bytes())}
    finally:
        path.unlink(missing_ok=True)


def _crops(job: ScoredJob, entries: Iterable[JsonObject]) -> dict[int, list[Image.Image]]:
    """The exemplars' crops of each concept."""
    from PIL import Image

    if "exemplars" not in job.files:
        return {}
    with ZipFile(job.files["exemplars"]) as archive:
        stored = set(archive.namelist())
        return {
            entry["concept"]: [
                Image.open(io.BytesIO(archive.read(exemplar["crop"]))).convert("RGB")
                for exemplar in entry["exemplars"]
                if exemplar.get("crop") in stored
            ]
            for entry in entries
        }
