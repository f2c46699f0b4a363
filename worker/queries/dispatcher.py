"""Dispatch queries to the handlers of scored jobs and of studies."""

from __future__ import annotations

from app.db.models import Json
from worker.queries.context import Query, QueryContext
from worker.queries.job_queries import JobQueries
from worker.queries.study_queries import StudyQueries
from worker.runtime import Runtime
from worker.sandbox.watch import Stop


class QueryDispatcher:
    """Run queries, one of an owner at a time, with child processes and cached files of its own."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self._context = QueryContext(runtime, stop)
        self._jobs = JobQueries(self._context)
        self._studies = StudyQueries(self._context)

    def run(self, query: Query) -> Json:
        """The result of a query.

        Raises
        ------
        StageRefused
            When the query is invalid.
        DatasetNotReady
            When its data set is still being unpacked.
        ChildLost, LimitExceeded, DeadlinePassed, Interrupted, ArtifactMissing
        """
        with self._context.files.in_use(query.owner_id):
            return (self._studies if "study" in query.about else self._jobs).run(query)

    def close(self) -> None:
        """End the child processes and remove the cached files."""
        self._jobs.close()
        self._context.close()
