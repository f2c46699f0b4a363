"""Queries about studies: write the study's rows to a file, run `worker.handlers.study` on it, and store the result."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from app.db.models import Json
from app.db.study_rows import study_grid, study_rows
from app.errors import NotFound
from iis_engine.versions import ANALYSIS_VERSION, ENGINE_VERSION
from worker.jobs.artifacts import artifact_key
from worker.queries.context import Query, QueryContext
from worker.sandbox.outcomes import StageRefused

STUDY_DEADLINE_SECONDS = 600


class StudyQueries:
    """Run queries about studies. They read numbers of this service alone, and continue after the caller's deadline: the caller repeats the
    request and finds the stored result. Each result is {sha256} of a stored file, whose key depends on the rows it was computed from."""

    def __init__(self, context: QueryContext) -> None:
        self._context = context

    def run(self, query: Query) -> Json:
        """The result; see `worker.queries.dispatcher`."""
        query = replace(query, deadline=time.monotonic() + STUDY_DEADLINE_SECONDS)
        rows = self._write_rows(query)
        try:
            if query.kind == "study_figure":
                analysis = self._compute(query, "study_analysis", rows, {})
                source = self._context.artifact(query.owner_id, analysis)
                choices = {name: query.about[name] for name in ("name", "format")}
                return {"sha256": self._compute(query, query.kind, source, choices)}
            return {"sha256": self._compute(query, query.kind, rows, {})}
        finally:
            self._context.drop(query.owner_id, [rows.name])

    def _write_rows(self, query: Query) -> Path:
        """A file with the study's grid and the rows of its finished jobs, named by the sha256 of its content."""
        study_id = query.about["study"]
        with self._context.runtime.sessions() as session:
            try:
                grid = study_grid(session, query.owner_id, study_id)
                rows = study_rows(session, query.owner_id, study_id)
            except NotFound as error:
                raise StageRefused("study_absent", str(error), None) from error
        # No result contains the study's name, so renaming a study invalidates none.
        content = json.dumps({"grid": {name: value for name, value in grid.items() if name != "name"}, "rows": rows}, sort_keys=True)
        return self._context.file(query.owner_id, sha256(content.encode()).hexdigest(), lambda path: _write(path, content))

    def _compute(self, query: Query, kind: str, source: Path, choices: dict[str, str]) -> str:
        """The sha256 of the result computed from a file that is named by its content."""
        key = artifact_key(stage=kind, engine=ENGINE_VERSION, analysis=ANALYSIS_VERSION, source=source.name, **choices)
        arguments = {"kind": kind, "source": str(source), "about": choices}
        return self._context.store_result(
            query.owner_id, kind, key, lambda: self._context.run_stage(query, "answer_study", arguments)["file"]
        )


def _write(path: Path, content: str) -> None:
    path.write_text(content)
