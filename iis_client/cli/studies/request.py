"""A study's file as the request that goes to the service, and which study there asks for the same. Pure but for the list of studies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from iis_client.cli.studies.file import StudyFile
from iis_client.cli.studies.inputs import Row
from iis_client.errors import ConfigurationError
from iis_client.transport.connection import given
from iis_client.types.studies import Study

KNOWN = ("label", "family", "accuracy", "epoch")


def request_of(study: StudyFile, rows: Mapping[str, Row], vocabulary: str | None) -> dict[str, Any]:
    """The arguments of `create_study` by name.

    Parameters
    ----------
    rows : of everything that the file names, by where it names it

    Raises
    ------
    ConfigurationError
        When the file names the same weights or images twice.
    """
    for noun, sources in (("models", study.models), ("datasets", study.datasets)):
        for one, other in combinations(sources, 2):
            if rows[one.at]["id"] == rows[other.at]["id"]:
                raise ConfigurationError(f"{one.at} and {other.at} are the same {noun[:-1]} by content; name it once.")
    origins = [rows[origin.at]["id"] if origin is not None else None for origin in study.library_datasets]
    fields = {
        "name": study.name,
        "models": [given({"model": rows[model.at]["id"], **{name: getattr(model, name) for name in KNOWN}}) for model in study.models],
        "datasets": [rows[dataset.at]["id"] for dataset in study.datasets],
        "libraries": list(study.libraries),
        "concept_counts": list(study.concept_counts) if study.concept_counts is not None else None,
        "library_datasets": origins,
        "sparsity_grids": [list(grid) for grid in study.sparsity_grids],
        "seeds": list(study.seeds),
        "protocol": study.protocol,
        "elements": study.elements,
        "vlm": rows[study.vlm.at]["id"] if study.vlm is not None else None,
        "vocabulary": vocabulary,
        "evolution": study.evolution,
        "deadline_seconds": study.deadline_seconds,
    }
    return given(fields)


def study_of(request: Mapping[str, Any], studies: Iterable[Study]) -> Study | None:
    """The study that was made by the same request, the newest first; the order of lists says nothing but that of the models."""
    return next((study for study in studies if study["name"] == request["name"] and _asked(study) == _canonical(request)), None)


def _asked(study: Study) -> dict[str, str]:
    grid: dict[str, Any] = {**study["grid"], "name": study["name"]}
    grid["models"] = [given(entry) for entry in grid["models"]]
    if grid["vocabulary"] is not None:
        found = grid["vocabulary"]
        grid["vocabulary"] = f"{found['id']}@{found['version']}" if found["id"].startswith("cst_") else found["id"]
    return _canonical(given(grid))


def _canonical(request: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = {}
    for name, value in request.items():
        items: list[Any] = value if isinstance(value, list) else [value]
        said = [json.dumps(_plain(item), sort_keys=True) for item in items]
        told[name] = "\n".join(said if name == "models" else sorted(said))
    return told


def _plain(value: Any) -> Any:
    """A value whose numbers are told apart by size alone, not by whether they have a point."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one is not None and one != []}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
