"""Run a query about a study by its kind, on a file of the study's rows. The worker writes that file: `worker.queries.study_queries`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from worker.sandbox.messages import JsonObject
from worker.stages.reporter import Reporter

StudyQueryHandler = Callable[[Path, JsonObject, Path], str]
"""(file to read, fields of the query, workspace) -> name of the file that it wrote to the workspace."""


def answer_study(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: run the handler of the query's kind: {file}."""
    return {"file": HANDLERS[arguments["kind"]](Path(arguments["source"]), arguments["about"], workspace)}


def study_analysis(source: Path, query: JsonObject, workspace: Path) -> str:
    """The study's statistics as JSON."""
    from iis_engine.studies.analysis import analyse

    study = json.loads(source.read_text())
    path = workspace / "analysis.json"
    path.write_text(json.dumps(analyse(study["rows"], study["grid"]), allow_nan=False))
    return path.name


def study_table(source: Path, query: JsonObject, workspace: Path) -> str:
    """The study's rows as a Parquet table."""
    from worker.handlers.study_table import write_study_table

    path = workspace / "study.parquet"
    write_study_table(json.loads(source.read_text())["rows"], path)
    return path.name


def study_figure(source: Path, query: JsonObject, workspace: Path) -> str:
    """One figure, drawn from the study's statistics."""
    from iis_engine.figures.studies import save_study_figure

    path = workspace / f"study-figure.{query['format']}"
    save_study_figure(json.loads(source.read_text()), query["name"], path)
    return path.name


HANDLERS: dict[str, StudyQueryHandler] = {handler.__name__: handler for handler in (study_analysis, study_table, study_figure)}
