"""Results of finished jobs, by kind of job."""

from __future__ import annotations

from typing import TypeVar

from iis_client.errors import ConfigurationError
from iis_client.transport.connection import Connection
from iis_client.transport.messages import id_of
from iis_schemas.jobs.views import JobView
from iis_schemas.results.batches import BatchView
from iis_schemas.results.finetuning import FinetuneView
from iis_schemas.results.results import AnyResult, ResultView

CALLS = {"score": "result", "explain": "batch_result", "finetune": "finetune_result"}  # by kind of job

AnyResultView = TypeVar("AnyResultView", ResultView, BatchView, FinetuneView)


class Results(Connection):
    """Calls on the results of jobs of kind score, explain and finetune."""

    def result(self, job: str | JobView) -> ResultView:
        """Result of a finished score job: its report."""
        return self._result(job, ResultView)

    def batch_result(self, job: str | JobView) -> BatchView:
        """Result of a finished batch of explanations: its summary."""
        return self._result(job, BatchView)

    def finetune_result(self, job: str | JobView) -> FinetuneView:
        """Result of a finished fine-tuning job: scores of treatment and control runs, and their differences."""
        return self._result(job, FinetuneView)

    def _result(self, job: str | JobView, model: type[AnyResultView]) -> AnyResultView:
        """Read a result of one kind.

        Raises
        ------
        ConfigurationError
            When the job is of another kind.
        """
        result = self._get(AnyResult, f"/v1/jobs/{id_of(job)}/result").root
        if not isinstance(result, model):
            raise ConfigurationError(f"Job {id_of(job)} is of kind {result.kind}; read its result by {CALLS[result.kind]}().")
        return result
