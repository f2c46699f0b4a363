"""Fine-tuning for interpretability, and the download of checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from iis_client.errors import ServiceError
from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of
from iis_schemas.datasets import DatasetView
from iis_schemas.fields import Elements
from iis_schemas.jobs.finetuning import FinetuneCreate, FinetuneLibrary
from iis_schemas.jobs.views import FinetuneJobView
from iis_schemas.models import ModelView
from iis_schemas.names import JobEventType, OptimizerName, PrecisionName, TrainedPart
from iis_schemas.webhooks import WebhookView

CHUNK_TIMEOUT_SECONDS = 60.0


class Finetuning(Connection):
    """Calls on jobs of kind finetune; `wait`, `events` and `cancel` apply to jobs of every kind."""

    def finetune(
        self,
        model: str | ModelView,
        dataset: str | DatasetView,
        library: FinetuneLibrary | Mapping[str, Any],
        *,
        weight: float | None = None,
        seeds: Sequence[int] | None = None,
        sparsity: float | None = None,
        epochs: int | None = None,
        optimizer: OptimizerName | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        batch_size: int | None = None,
        accumulation_steps: int | None = None,
        warmup_epochs: int | None = None,
        trains: TrainedPart | None = None,
        rebuild_every: int | None = None,
        patience: int | None = None,
        precision: PrecisionName | None = None,
        elements: Elements | Mapping[str, Any] | None = None,
        deadline_seconds: float | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook: str | WebhookView | None = None,
        webhook_events: Sequence[JobEventType] | None = None,
    ) -> FinetuneJobView:
        """Submit a job that fine-tunes a model so that its sparse interpretation becomes more accurate.

        Every job also runs its control: the same schedule and seeds with weight 0. Arguments that are left out have the service's
        defaults.

        Parameters
        ----------
        model, dataset : a ready torch backbone, and a ready data set of images
        library : {"kind": "cluster", "concept_count": 200}
        weight : lambda, the weight of the interpretation loss; above 0
        seeds : three or more different seeds; one treatment and one control run each
        rebuild_every : epochs between rebuilds of the library; default: never
        patience : epochs without a better validation accuracy after which a run stops; default: none
        webhook, webhook_events : as for `score`

        Raises
        ------
        ConfigurationError
            When an argument is not valid.
        InvalidInputError
            When the model cannot be trained, or the data set contains no images.
        """
        fields = {
            "kind": "finetune",
            "model": id_of(model),
            "dataset": id_of(dataset),
            "library": library,
            "lambda": weight,
            "seeds": list(seeds) if seeds is not None else None,
            "sparsity": sparsity,
            "epochs": epochs,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "batch_size": batch_size,
            "accumulation_steps": accumulation_steps,
            "warmup_epochs": warmup_epochs,
            "trains": trains,
            "rebuild_every": rebuild_every,
            "patience": patience,
            "precision": precision,
            "elements": elements,
            "deadline_seconds": deadline_seconds,
            "name": name,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
            "webhook": None if webhook is None else id_of(webhook),
            "webhook_events": webhook_events,
        }
        return self._post(FinetuneJobView, "/v1/jobs", build_request(FinetuneCreate, fields))

    def save_checkpoint(self, model: str | ModelView, path: str | Path) -> None:
        """Download the checkpoint of a model to a file, in constant memory; the file appears only when it is complete.

        Raises
        ------
        ConflictError
            When the model uses a pretrained tag, so the service has no file of it.
        ServiceUnreachableError
            When there is no connection after the last attempt.
        """
        target = Path(path)
        partial = target.with_name(f"{target.name}.partial")
        attempt = 0
        try:
            while True:
                try:
                    self._download_checkpoint(id_of(model), partial)
                    break
                except (httpx.TransportError, ServiceError) as error:
                    attempt += 1
                    self._transport.wait_before_retry(attempt, error)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _download_checkpoint(self, model: str, target: Path) -> None:
        digest = hashlib.sha256()
        with self._transport.stream(f"/v1/models/{model}/checkpoint", read_timeout_seconds=CHUNK_TIMEOUT_SECONDS) as response:
            with target.open("wb") as file:
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
            if response.headers.get("ETag") != f'"{digest.hexdigest()}"':  # the ETag is the sha256 of the content
                raise httpx.ReadError("The downloaded file is incomplete.")
