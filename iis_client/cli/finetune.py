"""The commands on fine-tuning: submitting it, and saving the weights of a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from iis_client.cli.jobs import follow, show_result
from iis_client.cli.options import JsonOption, require_folder_of
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError

CheckpointOption = Annotated[Path, typer.Option(help="Where to save it.", dir_okay=False)]


class TrainedLibrary(StrEnum):
    """Concept libraries that can follow a network while it changes."""

    prototype = "prototype"
    cluster = "cluster"
    end2end = "end2end"
    random = "random"


class TrainedPart(StrEnum):
    """Which layers learn."""

    head = "head"
    last = "last"
    all = "all"


class OptimizerChoice(StrEnum):
    """How steps are taken."""

    adamw = "adamw"
    sgd = "sgd"


def finetune(
    model: Annotated[str, typer.Argument(help="A ready model (mdl_…).")],
    dataset: Annotated[str, typer.Argument(help="A ready data set of images (dst_…).")],
    *,
    library: Annotated[TrainedLibrary, typer.Option(help="The concept library.")] = TrainedLibrary.cluster,
    concepts: Annotated[int, typer.Option(help="M, how many concepts.", min=1)] = 200,
    weight: Annotated[float, typer.Option("--lambda", help="Weight of the interpretation's loss, above 0.")] = 1.0,
    seeds: Annotated[str, typer.Option(help="Three or more, one run of either arm each.")] = "0,1,2",
    sparsity: Annotated[float, typer.Option(help="Share of concepts zeroed while training.")] = 0.1,
    epochs: Annotated[int, typer.Option()] = 10,
    optimizer: Annotated[OptimizerChoice, typer.Option()] = OptimizerChoice.adamw,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 1e-4,
    weight_decay: Annotated[float, typer.Option()] = 0.01,
    batch_size: Annotated[int, typer.Option()] = 64,
    accumulation_steps: Annotated[int, typer.Option(help="Batches that make one step.")] = 1,
    warmup_epochs: Annotated[int, typer.Option()] = 1,
    trains: Annotated[TrainedPart, typer.Option(help="Which layers learn.")] = TrainedPart.all,
    rebuild_every: Annotated[int | None, typer.Option(help="Build the library again after so many epochs; else it is frozen.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop a run after so many epochs without a better validation accuracy.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, show every epoch as it comes, and the result.")] = False,
    to: Annotated[Path | None, typer.Option(help="Save the improved checkpoint here; stays until it is there.", dir_okay=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model so that fewer concepts carry more of it, beside its control with lambda = 0."""
    terminal = Terminal(quiet=as_json)
    if to is not None:
        require_folder_of(to, "--to")
    with IISClient() as client:
        job = client.finetune(
            model,
            dataset,
            {"kind": cast("Any", library.value), "concept_count": concepts},
            weight=weight,
            seeds=_read_seeds(seeds),
            sparsity=sparsity,
            epochs=epochs,
            optimizer=cast("Any", optimizer.value),
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            accumulation_steps=accumulation_steps,
            warmup_epochs=warmup_epochs,
            trains=cast("Any", trains.value),
            rebuild_every=rebuild_every,
            patience=patience,
        )
        if not watch and to is None:
            terminal.show_job(job, as_json)
            return
        show_result(client, follow(client, terminal, job["id"]), terminal, None, as_json)
        if to is not None:
            client.save_checkpoint(client.finetune_result(job["id"])["model"], to)
            terminal.saved(to)


def checkpoint(model: Annotated[str, typer.Argument(help="A model (mdl_…).")], to: CheckpointOption) -> None:
    """Save the weights of a model as they were sent, or as fine-tuning made them."""
    require_folder_of(to, "--to")
    with IISClient() as client:
        client.save_checkpoint(model, to)
    Terminal().saved(to)


def _read_seeds(text: str) -> list[int]:
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise ConfigurationError(f"--seeds takes whole numbers with commas between them, such as 0,1,2; not {text!r}.") from None
