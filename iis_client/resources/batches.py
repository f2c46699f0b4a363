"""Batches: explanations of many images in one job of kind explain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from iis_client.errors import ConfigurationError
from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of
from iis_schemas.jobs.requests import ExplainCreate
from iis_schemas.jobs.views import ExplainJobView, JobView
from iis_schemas.names import JobEventType
from iis_schemas.results.batches import ExplainedRow
from iis_schemas.webhooks import WebhookView

ROW_SUFFIXES = (".jsonl", ".parquet")


class Batches(Connection):
    """Calls on jobs of kind explain; `wait`, `events` and `cancel` apply to jobs of every kind."""

    def explain_batch(
        self,
        job: str | JobView,
        split: Literal["test"] | None = None,
        *,
        archive: str | Path | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int | None = None,
        contrast: str | None = None,
        deadline_seconds: float | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook: str | WebhookView | None = None,
        webhook_events: Sequence[JobEventType] | None = None,
    ) -> ExplainJobView:
        """Submit a job that explains the predictions of a scored job for many images.

        Parameters
        ----------
        job : a finished score job
        split : "test" for the test images of the job
        archive : a local folder or archive of other images, instead of `split`
        kept, sparsity, top, contrast : as for `explain`
        webhook, webhook_events : as for `score`

        Raises
        ------
        ConfigurationError
            When both or neither of `split` and `archive` are given.
        InvalidInputError
            When the curve has no such node, or the class is unknown.
        """
        fields = {
            "kind": "explain",
            "job": id_of(job),
            "split": split,
            "upload": self.upload(archive).id if archive is not None else None,
            "kept": kept,
            "sparsity": sparsity,
            "top": top,
            "contrast": contrast,
            "deadline_seconds": deadline_seconds,
            "name": name,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
            "webhook": None if webhook is None else id_of(webhook),
            "webhook_events": webhook_events,
        }
        return self._post(ExplainJobView, "/v1/jobs", build_request(ExplainCreate, fields))

    def explained_rows(self, job: str | JobView) -> Iterator[ExplainedRow]:
        """Rows of a finished batch, one per image, by index."""
        return self._pages(ExplainedRow, f"/v1/jobs/{id_of(job)}/rows")

    def save_rows(self, job: str | JobView, path: str | Path) -> None:
        """Save all rows of a finished batch to a file, .jsonl or .parquet.

        Raises
        ------
        ConfigurationError
            When the suffix is neither.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in ROW_SUFFIXES:
            raise ConfigurationError(f"Rows can be saved as {' or '.join(ROW_SUFFIXES)}, not as {Path(path).name}.")
        Path(path).write_bytes(self._transport.send("GET", f"/v1/jobs/{id_of(job)}/rows{suffix}").content)
