"""Questions about a scored job, answered in the compute process from files at hand. What the parent fetches: `worker.queries.job_queries`.

Each kind takes a `Subject`, what is asked about, and the question's own fields; it returns JSON. Numbers of concepts, not their names:
names and crops are rows of the database, which the API adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.handlers.figures import class_figure, gallery, sheet
from worker.handlers.image import explain, heat_map, intervene, picture, predict
from worker.handlers.subject import WARM, Subject
from worker.handlers.test_set import class_view, classes, concept_view, concepts, outcomes
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest

Kind = Callable[[Subject, dict[str, Any]], dict[str, Any]]


def answer(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The stage: one question of the kind that `arguments` names."""
    WARM.limit_bytes = arguments["warm_bytes"]
    about = arguments["about"]
    subject = Subject(
        arguments["files"],
        arguments["posted"],
        None if arguments["model"] is None else ModelRequest.from_json(arguments["model"]),
        arguments["dataset_folder"],
        None if arguments["dataset"] is None else DatasetRequest.from_json(arguments["dataset"]),
        about.get("kept"),
        about.get("sparsity"),
        about.get("image"),
    )
    return KINDS[arguments["kind"]](subject, about | {"workspace": workspace})


def export(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The predictor as a file in the workspace, its concepts named: {file}."""
    named = replace(subject.predictor, concept_names=tuple(about["concept_names"]))
    path: Path = about["workspace"] / f"export.{about['format']}"
    if about["format"] == "onnx":
        from iis_engine.explanations.onnx_export import export_onnx

        export_onnx(named, path)
    else:
        named.save(path)
    return {"file": path.name}


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(outcomes, classes, class_view, concepts, concept_view),
        *(explain, intervene, picture, heat_map, predict),
        *(sheet, class_figure, gallery, export),
    )
}
