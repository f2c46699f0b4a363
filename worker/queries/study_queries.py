"""What a question about a study needs, its rows in a file, and where the answer is kept. How it is made: `worker.handlers.study`."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.db.study_rows import study_grid, study_rows
from app.errors import NotFound
from iis_engine import ANALYSIS_VERSION, ENGINE_VERSION
from worker.jobs.artifacts import digest_of
from worker.queries.context import Query, QueryContext
from worker.sandbox.process import StageRefused


class StudyQuestions:
    """Answers questions about studies. Each answer is {sha256} of a file, kept under the digest of the rows that it was made from."""

    def __init__(self, context: QueryContext) -> None:
        self._bench = context

    def answer(self, question: Query) -> dict[str, Any]:
        """The answer; see `worker.queries.dispatcher`."""
        rows = self._rows(question)
        try:
            if question.kind == "study_figure":
                analysis = self._kept(question.owner_id, "study_analysis", rows, {})
                source = self._bench.artifact(question.owner_id, analysis)
                told = {name: question.about[name] for name in ("name", "format")}
                return {"sha256": self._kept(question.owner_id, question.kind, source, told)}
            return {"sha256": self._kept(question.owner_id, question.kind, rows, {})}
        finally:
            self._bench.drop(question.owner_id, [rows.name])

    def _rows(self, question: Query) -> Path:
        """The study's grid and the rows of its finished jobs as a file whose name says its content."""
        study_id = question.about["study"]
        with self._bench.runtime.sessions() as session:
            try:
                grid = study_grid(session, question.owner_id, study_id)
                rows = study_rows(session, question.owner_id, study_id)
            except NotFound as error:
                raise StageRefused("study_absent", str(error), None) from error
        # A study's name is in no answer, so another name makes none anew.
        content = json.dumps({"grid": {name: value for name, value in grid.items() if name != "name"}, "rows": rows}, sort_keys=True)
        return self._bench.file(question.owner_id, sha256(content.encode()).hexdigest(), lambda path: _write(path, content))

    def _kept(self, owner_id: str, kind: str, source: Path, told: dict[str, Any]) -> str:
        """The answer made of a file that is named by its content."""
        key = digest_of(stage=kind, engine=ENGINE_VERSION, analysis=ANALYSIS_VERSION, source=source.name, **told)
        arguments = {"kind": kind, "source": str(source), "about": told}
        return self._bench.keep(owner_id, kind, key, lambda: self._bench.compute(owner_id, "answer_study", arguments)["file"])


def _write(path: Path, content: str) -> None:
    path.write_text(content)
