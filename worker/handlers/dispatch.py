"""Run a query about a scored job by its kind. The worker fetches the files that it needs: `worker.queries.job_queries`.

Handlers return concepts by number; the API adds names and crops from the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from worker.handlers.figures import class_figure, gallery, sheet
from worker.handlers.image import explain, heat_map, intervene, picture, predict, several_heat_maps
from worker.handlers.scored_job import CACHE, ScoredJob
from worker.handlers.test_set import class_view, classes, concept_view, concepts, outcomes
from worker.sandbox.messages import JsonObject
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest

JobQueryHandler = Callable[[ScoredJob, JsonObject], JsonObject]
"""(scored job, fields of the query) -> answer."""


def answer(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: run the handler of the query's kind."""
    CACHE.limit_bytes = arguments["warm_bytes"]
    query = arguments["about"]
    job = ScoredJob(
        files=arguments["files"],
        posted=arguments["posted"],
        model=None if arguments["model"] is None else ModelRequest.from_json(arguments["model"]),
        dataset_folder=arguments["dataset_folder"],
        dataset=None if arguments["dataset"] is None else DatasetRequest.from_json(arguments["dataset"]),
        kept=query.get("kept"),
        sparsity=query.get("sparsity"),
        image=query.get("image"),
    )
    return HANDLERS[arguments["kind"]](job, query | {"workspace": workspace})


def export(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Write the predictor with named concepts to a file in the workspace: {file}."""
    predictor = replace(job.predictor, concept_names=tuple(query["concept_names"]))
    path: Path = query["workspace"] / f"export.{query['format']}"
    if query["format"] == "image.onnx":
        from iis_engine.explanations.end_to_end_onnx import export_end_to_end_onnx

        export_end_to_end_onnx(job.backbone, predictor, path)
    elif query["format"] == "onnx":
        from iis_engine.explanations.onnx_export import export_onnx

        export_onnx(predictor, path)
    else:
        predictor.save(path)
    return {"file": path.name}


HANDLERS: dict[str, JobQueryHandler] = {
    handler.__name__: handler
    for handler in (
        *(outcomes, classes, class_view, concepts, concept_view),
        *(explain, intervene, picture, heat_map, several_heat_maps, predict),
        *(sheet, class_figure, gallery, export),
    )
}
