"""Fine-tuning by interpretability maximisation: submitting it, what it changed, and the checkpoint of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import httpx

from iis_client.errors import ServiceError
from iis_client.transport.connection import Connection, given
from iis_client.types.finetuning import FinetuneJob, FinetuneLibrary, FinetuneResult
from iis_client.types.scores import Elements

READ_TIMEOUT_SECONDS = 60.0  # between two pieces of a file


class Finetuning(Connection):
    """Calls on jobs of kind finetune; `wait`, `events` and `cancel` are those of every job."""

    def finetune(
        self,
        model: str,
        dataset: str,
        library: FinetuneLibrary,
        *,
        weight: float | None = None,
        seeds: Sequence[int] | None = None,
        sparsity: float | None = None,
        epochs: int | None = None,
        optimizer: Literal["adamw", "sgd"] | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        batch_size: int | None = None,
        accumulation_steps: int | None = None,
        warmup_epochs: int | None = None,
        trains: Literal["head", "last", "all"] | None = None,
        rebuild_every: int | None = None,
        patience: int | None = None,
        precision: Literal["auto", "full"] | None = None,
        elements: Elements | None = None,
        deadline_seconds: float | None = None,
    ) -> FinetuneJob:
        """Submit a job: fine-tune a model so that a sparse reading of it through concepts becomes more accurate.

        Every job runs its control too: the same schedule and seeds with a weight of 0. What is left out is as the service has it.

        Parameters
        ----------
        model, dataset : a ready backbone of torch, and ready images
        library : {"kind": "cluster", "concept_count": 200}
        weight : lambda, of the loss of the interpretation; above 0
        seeds : three or more different ones; each is one run of either arm
        rebuild_every : epochs after which the library is built again; it stays as it was unless given
        patience : epochs without a better validation accuracy that end a run

        Raises
        ------
        InvalidInputError
            When the model cannot be trained, the data are no images, or a setting makes no sense.
        """
        fields = {
            "kind": "finetune",
            "model": model,
            "dataset": dataset,
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
        }
        return cast("FinetuneJob", self._post("/v1/jobs", given(fields)))

    def finetune_result(self, job: str) -> FinetuneResult:
        """What a finished job of kind finetune changed, against its control and the network as it was."""
        return cast("FinetuneResult", self._get(f"/v1/jobs/{job}/result"))

    def save_checkpoint(self, model: str, path: str | Path) -> None:
        """Save the file with a model's weights, in constant memory; it appears whole or not at all.

        Raises
        ------
        ConflictError
            When the model takes its weights by name, so that the service has no file of them.
        ServiceUnreachableError
            When the connection is lost and stays so.
        """
        target = Path(path)
        partial = target.with_name(f"{target.name}.partial")
        attempt = 0
        try:
            while True:
                try:
                    self._fetch_checkpoint(model, partial)
                    break
                except (httpx.TransportError, ServiceError) as lost:
                    attempt += 1
                    self._transport.wait_before_retry(attempt, lost)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _fetch_checkpoint(self, model: str, into: Path) -> None:
        digest = hashlib.sha256()
        with self._transport.stream(f"/v1/models/{model}/checkpoint", read_timeout_seconds=READ_TIMEOUT_SECONDS) as response:
            with into.open("wb") as file:
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
            if response.headers.get("ETag") != f'"{digest.hexdigest()}"':  # the tag is the sha256 of the content
                raise httpx.ReadError("The file came incomplete.")
