"""Questions about a study, answered in the compute process from a file of its rows. What the parent does: `worker.queries.study_queries`.

Each kind takes the file, the question's own fields and the workspace; it leaves a file there and returns its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.stages.reporter import Reporter

Kind = Callable[[Path, dict[str, Any], Path], str]


def answer_study(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The stage: one question of the kind that `arguments` names: {file}."""
    return {"file": KINDS[arguments["kind"]](Path(arguments["source"]), arguments["about"], workspace)}


def study_analysis(source: Path, about: dict[str, Any], workspace: Path) -> str:
    """The study's statistics as JSON."""
    from iis_engine.studies.analysis import analyse

    study = json.loads(source.read_text())
    path = workspace / "analysis.json"
    path.write_text(json.dumps(analyse(study["rows"], study["grid"]), allow_nan=False))
    return path.name


def study_table(source: Path, about: dict[str, Any], workspace: Path) -> str:
    """The study's rows as a Parquet table."""
    from worker.handlers.study_table import write_study_table

    path = workspace / "study.parquet"
    write_study_table(json.loads(source.read_text())["rows"], path)
    return path.name


def study_figure(source: Path, about: dict[str, Any], workspace: Path) -> str:
    """One figure, drawn from the study's statistics."""
    from iis_engine.figures.studies import save_study_figure

    path = workspace / f"study-figure.{about['format']}"
    save_study_figure(json.loads(source.read_text()), about["name"], path)
    return path.name


KINDS: dict[str, Kind] = {kind.__name__: kind for kind in (study_analysis, study_table, study_figure)}
