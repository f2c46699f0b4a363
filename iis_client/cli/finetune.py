"""The commands `iis finetune` and `iis checkpoint`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import DatasetArgument, ModelArgument, WebhookOption, find_webhook, note_webhook
from iis_client.cli.jobs import follow, show_result, submitted_line
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, require_parent_folder
from iis_client.errors import ConfigurationError

CheckpointOption = Annotated[Path, typer.Option(help="File to save the checkpoint to.", dir_okay=False)]


class TrainedLibrary(StrEnum):
    """Concept libraries that can be rebuilt during training."""

    prototype = "prototype"
    cluster = "cluster"
    end2end = "end2end"
    random = "random"


class TrainedPart(StrEnum):
    """Layers that are trained."""

    head = "head"
    last = "last"
    all = "all"


class OptimizerChoice(StrEnum):
    """Optimizer."""

    adamw = "adamw"
    sgd = "sgd"


def finetune(
    model: ModelArgument,
    dataset: DatasetArgument,
    *,
    library: Annotated[TrainedLibrary, typer.Option(help="Kind of concept library.")] = TrainedLibrary.cluster,
    concepts: Annotated[int, typer.Option(help="Number of concepts M.", min=1)] = 200,
    weight: Annotated[float, typer.Option("--lambda", help="Weight of the interpretation loss; above 0.")] = 1.0,
    seeds: Annotated[
        str, typer.Option(help="Seeds, three or more, separated by commas; one treatment and one control run per seed.")
    ] = "0,1,2",
    sparsity: Annotated[float, typer.Option(help="Share of concepts set to 0 during training.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="Number of epochs.")] = 10,
    optimizer: Annotated[OptimizerChoice, typer.Option(help="Optimizer.")] = OptimizerChoice.adamw,
    learning_rate: Annotated[float, typer.Option(help="Maximum learning rate.")] = 1e-4,
    weight_decay: Annotated[float, typer.Option(help="Weight decay.")] = 0.01,
    batch_size: Annotated[int, typer.Option(help="Images per batch.")] = 64,
    accumulation_steps: Annotated[int, typer.Option(help="Batches per optimizer step.")] = 1,
    warmup_epochs: Annotated[int, typer.Option(help="Epochs of learning-rate warm-up.")] = 1,
    trains: Annotated[TrainedPart, typer.Option(help="Layers to train.")] = TrainedPart.all,
    rebuild_every: Annotated[int | None, typer.Option(help="Rebuild the library after this many epochs; default: never.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop a run after this many epochs without a better validation accuracy; default: never.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job, to find it by.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the job; may be repeated.")] = None,
    webhook: WebhookOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the job; show each epoch and the result.")] = False,
    to: Annotated[
        Path | None, typer.Option(help="Wait for the job and save the fine-tuned checkpoint to this file.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model for interpretability; compare it with a control run (lambda = 0)."""
    terminal = Terminal(quiet=as_json)
    if to is not None:
        require_parent_folder(to, "--to")
    with connect() as client:
        job = client.finetune(
            client.find_id("model", model),
            client.find_id("dataset", dataset),
            {"kind": library.value, "concept_count": concepts},
            weight=weight,
            seeds=_read_seeds(seeds),
            sparsity=sparsity,
            epochs=epochs,
            optimizer=optimizer.value,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            accumulation_steps=accumulation_steps,
            warmup_epochs=warmup_epochs,
            trains=trains.value,
            rebuild_every=rebuild_every,
            patience=patience,
            name=name,
            tags=tag,
            webhook=find_webhook(client, webhook),
        )
        note_webhook(terminal, job.webhook)
        if not watch and to is None:
            terminal.answer(job, [submitted_line(job)], as_json=as_json)
            return
        show_result(client, follow(client, terminal, job.id), terminal, None, as_json)
        if to is not None:
            client.save_checkpoint(client.finetune_result(job.id).model, to)
            terminal.saved(to)


def checkpoint(model: ModelArgument, to: CheckpointOption) -> None:
    """Download the checkpoint of a model, uploaded or fine-tuned."""
    require_parent_folder(to, "--to")
    with connect() as client:
        client.save_checkpoint(client.find_id("model", model), to)
    Terminal().saved(to)


def _read_seeds(text: str) -> list[int]:
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise ConfigurationError(f"--seeds takes whole numbers separated by commas, such as 0,1,2; not {text!r}.") from None
