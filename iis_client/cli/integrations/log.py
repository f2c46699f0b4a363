"""The command `iis log`. What is logged is chosen in iis_engine.tracking."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import JobArgument
from iis_client.cli.output.terminal import Terminal
from iis_client.errors import ConfigurationError

if TYPE_CHECKING:
    from iis_client.answers import Result
    from iis_engine.tracking.runs import LoggedRun


class TrackerChoice(StrEnum):
    """Experiment trackers."""

    mlflow = "mlflow"
    wandb = "wandb"


TITLES = {TrackerChoice.mlflow: "MLflow", TrackerChoice.wandb: "Weights & Biases"}


def log(
    job: JobArgument,
    to: Annotated[TrackerChoice, typer.Option("--to", help="Experiment tracker, configured by its own variables.")],
    *,
    project: Annotated[
        str | None, typer.Option(help="Project of Weights & Biases, or experiment of MLflow; default: the tracker's.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: that of the job.", show_default=False)] = None,
) -> None:
    """Log a score to an experiment tracker: numbers, curve, configuration, verdict, report and figure."""
    with connect() as client:
        scored = client.job(client.find_id("job", job))
        result = client.result(scored)
    named = {"iis.model": scored.model_name, "iis.dataset": scored.dataset_name, "iis.service": client.base_url}
    tags = {key: value for key, value in named.items() if value}
    with redirect_stdout(sys.stderr):  # the trackers print messages of their own
        run = _logged(result, to, project, name or scored.name or scored.id, tags)
    Terminal().show(f"Job {scored.id} is logged to {TITLES[to]} as run {run.id}: {run.address}")


def _logged(result: Result, to: TrackerChoice, project: str | None, name: str, tags: dict[str, str]) -> LoggedRun:
    from iis_engine.tracking.runs import TrackerError

    try:
        if to is TrackerChoice.mlflow:
            return result.log_to_mlflow(experiment=project, run_name=name, tags=tags)
        return result.log_to_wandb(project=project, run_name=name, tags=tags)
    except (ImportError, TrackerError) as error:
        raise ConfigurationError(f"{error}") from error
