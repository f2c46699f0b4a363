"""Which questions are about a scored job and which about a study. Where questions come from: `worker.queries.server`."""

from __future__ import annotations

from typing import Any

from worker.queries.context import Query, QueryContext
from worker.queries.job_queries import JobQuestions
from worker.queries.study_queries import StudyQuestions
from worker.runtime import Runtime
from worker.sandbox.process import Stop


class QueryDispatcher:
    """Answers one question after another, with its own compute processes and files at hand."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self._bench = QueryContext(runtime, stop)
        self._jobs = JobQuestions(self._bench)
        self._studies = StudyQuestions(self._bench)

    def answer(self, question: Query) -> dict[str, Any]:
        """The answer.

        Raises
        ------
        StageRefused
            When the question is at fault.
        NotUnpacked
            When its data set must be unpacked first, which has begun.
        ChildLost, LimitExceeded, DeadlinePassed, Interrupted, ArtifactMissing
        """
        try:
            return (self._studies if "study" in question.about else self._jobs).answer(question)
        finally:
            self._bench.files.shrink()

    def close(self) -> None:
        """End the compute processes and remove the files."""
        self._jobs.close()
        self._bench.close()
