"""Queries for figures of an explained image, a class and the concepts of a library, drawn by `iis_engine.figures.explanations`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from worker.handlers.image import explain, heat_maps_of
from worker.handlers.scored_job import ScoredJob
from worker.handlers.test_set import class_view, concepts
from worker.sandbox.messages import JsonObject
from worker.stages.serialisation import bytes_to_base64

if TYPE_CHECKING:
    from PIL import Image

MAX_HEAT_MAPS = 8  # of a sheet


def sheet(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The explanation of one image: {figure}."""
    from iis_engine.explanations.heatmaps import overlay
    from iis_engine.figures.explanations import explanation_sheet

    explanation, view, overlays, names = explain(job, query), None, {}, _concept_names(job)
    explanation |= {sign: _with_names(names, explanation[sign]) for sign in ("supporting", "opposing")}
    explanation["image"] |= {"id": str(query["image"])}
    if query["image_name"] is not None:
        explanation["image"] |= {"name": query["image_name"]}
    if job.model is not None:
        view, (maps, values), size = job.view, heat_maps_of(job), job.backbone.input_size
        entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda entry: -abs(entry["contribution"]))
        overlays = {entry["concept"]: overlay(values[entry["concept"]], size) for entry in entries[:MAX_HEAT_MAPS]}
        explanation |= {"heatmaps": {"note": maps.note}}
    crops = _crops(job, (*explanation["supporting"], *explanation["opposing"]))
    return _draw(query, lambda path: explanation_sheet(explanation, view, overlays, crops, path))


def class_figure(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The concepts of a class, by weight: {figure}."""
    from iis_engine.figures.explanations import class_profile

    profile, names = class_view(job, query), _concept_names(job)
    profile |= {sign: _with_names(names, profile[sign]) for sign in ("supporting", "opposing")}
    crops = _crops(job, (*profile["supporting"], *profile["opposing"]))
    return _draw(query, lambda path: class_profile(profile, crops, path))


def gallery(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Concepts side by side: {figure}."""
    from iis_engine.figures.explanations import concept_gallery

    entries = _with_names(_concept_names(job), concepts(job, query)["data"][: query["limit"]])
    crops = _crops(job, entries)
    return _draw(query, lambda path: concept_gallery(entries, crops, path))


def _concept_names(job: ScoredJob) -> list[JsonObject]:
    """Label, origin and exemplars of each concept of the library; empty when the library was deleted."""
    return json.loads(Path(job.files["concepts"]).read_text()) if "concepts" in job.files else []


def _with_names(names: Sequence[JsonObject], entries: Iterable[JsonObject]) -> list[JsonObject]:
    """Entries with label, origin and exemplars of their concepts."""
    unknown = {"label": None, "origin": "unknown", "exemplars": []}
    return [entry | (names[entry["concept"]] if entry["concept"] < len(names) else unknown) for entry in entries]


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
