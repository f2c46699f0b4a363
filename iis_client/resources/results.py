"""Results of finished jobs, by kind of job."""

from __future__ import annotations

from typing import TypeVar

from iis_client.answers import Result
from iis_client.errors import ConfigurationError
from iis_client.transport.connection import Connection
from iis_client.transport.messages import id_of, parse_answer
from iis_schemas.jobs.views import JobView
from iis_schemas.results.batches import BatchView
from iis_schemas.results.finetuning import FinetuneView
from iis_schemas.results.results import AnyResult, ResultView

CALLS = {"score": "result", "explain": "batch_result", "finetune": "finetune_result"}  # by kind of job

AnyResultView = TypeVar("AnyResultView", Result, BatchView, FinetuneView)


class Results(Connection):
    """Calls on the results of jobs of kind score, explain and finetune."""

    def result(self, job: str | JobView) -> Result:
        """Result of a finished score job: its report."""
        return self._result(job, ResultView, Result)

    def batch_result(self, job: str | JobView) -> BatchView:
        """Result of a finished batch of explanations: its summary."""
        return self._result(job, BatchView, BatchView)

    def finetune_result(self, job: str | JobView) -> FinetuneView:
        """Result of a finished fine-tuning job: scores of treatment and control runs, and their differences."""
        return self._result(job, FinetuneView, FinetuneView)

    def _result(self, job: str | JobView, kind: type[ResultView | BatchView | FinetuneView], answer: type[AnyResultView]) -> AnyResultView:
        """Read a result of one kind as `answer`.

        Raises
        ------
        ConfigurationError
            When the job is of another kind.
        """
        payload = self._transport.send("GET", f"/v1/jobs/{id_of(job)}/result").json()
        result = parse_answer(AnyResult, payload).root
        if not isinstance(result, kind):
            raise ConfigurationError(f"Job {id_of(job)} is of kind {result.kind}; read its result by {CALLS[result.kind]}().")
        return parse_answer(answer, payload)
