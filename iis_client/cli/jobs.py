"""The commands `iis jobs …`, `iis result`, `iis cancel` and `iis delete`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_rename, add_show, add_tag, delete_each, list_filters, resource_group
from iis_client.cli.inputs.references import JobArgument, complete
from iis_client.cli.output.batches import batch_lines
from iis_client.cli.output.finetuning import finetune_view
from iis_client.cli.output.jobs import job_table, job_view
from iis_client.cli.output.reports import report_view
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import (
    JsonOption,
    LimitOption,
    NameOption,
    OutputForm,
    OutputOption,
    PlotOption,
    TagsOption,
    figure_format,
    require_figure_path,
)
from iis_client.errors import ConfigurationError, require_success

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_schemas.jobs.views import AnyJobView, JobView

app = resource_group("jobs", "List, show, rename, tag, cancel and delete jobs. `iis score` and `iis finetune` create them.")


class StateChoice(StrEnum):
    """States of a job."""

    queued = "queued"
    running = "running"
    canceling = "canceling"
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"


class SortChoice(StrEnum):
    """Orders of jobs: newest first, or highest IIS first."""

    newest = "newest"
    iis = "iis"


@app.command("list")
def list_jobs(
    state: Annotated[StateChoice | None, typer.Option(help="List only jobs in this state.")] = None,
    model: Annotated[str | None, typer.Option(help="List only jobs of this model.", autocompletion=complete("model"))] = None,
    dataset: Annotated[str | None, typer.Option(help="List only jobs of this data set.", autocompletion=complete("dataset"))] = None,
    name: NameOption = None,
    tag: TagsOption = None,
    sort: Annotated[SortChoice, typer.Option(help="Order.")] = SortChoice.newest,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List your jobs, newest first, with IIS, its gain over matched directions, and the verdict."""
    with connect() as client:
        found = client.jobs(
            state=None if state is None else state.value,
            model=None if model is None else client.find_id("model", model),
            dataset=None if dataset is None else client.find_id("dataset", dataset),
            sort="-iis" if sort is SortChoice.iis else None,
            **list_filters(name, tag),
        )
        listed = list(islice(found, limit))
    Terminal().answer(listed, [job_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


def result(
    job: JobArgument,
    plot: PlotOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until the job has finished.")] = False,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """Show the result of a finished job."""
    terminal = Terminal(quiet=as_json)
    if plot is not None:
        require_figure_path(plot, "--plot")
    with connect() as client:
        found = client.find_id("job", job)
        finished = follow(client, terminal, found) if watch else client.job(found)
        show_result(client, finished, terminal, plot, as_json, output)


@app.command()
def cancel(job: JobArgument) -> None:
    """Cancel a job."""
    with connect() as client:
        canceled = client.cancel(client.find_id("job", job))
    Terminal().show(f"Job {canceled.id} is {canceled.state}.")


def delete(
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB…", help="Finished jobs: ids, beginnings of ids, or names.", autocompletion=complete("job")),
    ],
) -> None:
    """Delete finished jobs with their results, concept libraries, figures and events."""
    delete_each("job", "job", jobs, lambda client, job: client.delete_job(job))


add_show(app, "job", "job", lambda client, job: client.job(job), job_view)
add_rename(app, "job", "job", lambda client, job, changes: client.update_job(job, **changes))
add_tag(app, "job", "job", lambda client, job: client.job(job), lambda client, job, changes: client.update_job(job, **changes))
app.command()(delete)


def submitted_line(job: JobView) -> str:
    """One line on a submitted job."""
    return f"Job {job.id} is {job.state}. Show its result with: iis result {job.id} --watch"


def follow(client: IISClient, terminal: Terminal, job: str) -> AnyJobView:
    """Show progress until a job has finished. After Ctrl-C the job continues; print how to resume watching."""
    try:
        terminal.watch(job, client.events(job), lambda: client.job(job))
        return client.wait(job)
    except KeyboardInterrupt:
        terminal.note(f"Job {job} continues at the service; watch it with: iis result {job} --watch")
        raise typer.Exit(130) from None


def show_result(
    client: IISClient,
    job: AnyJobView,
    terminal: Terminal,
    plot: Path | None,
    as_json: bool,
    output: OutputForm = OutputForm.table,
) -> None:
    """Show the result of a finished job; save its figure to `plot` if given.

    Raises
    ------
    JobFailedError, JobCanceledError
        When the job has no result.
    ConfigurationError
        When `plot` is given and jobs of this kind have no figure.
    """
    require_success(job)
    if job.kind == "explain":
        if plot is not None:
            raise ConfigurationError(f"Job {job.id} explains images and has no curve to plot; leave out --plot.")
        batch = client.batch_result(job)
        terminal.answer(batch, batch_lines(batch), as_json=as_json, output=output)
        return
    if job.kind == "finetune":
        if plot is not None:
            raise ConfigurationError(f"Job {job.id} fine-tunes and has no curve to plot; leave out --plot, or score the fine-tuned model.")
        tuned = client.finetune_result(job)
        terminal.answer(tuned, finetune_view(tuned), as_json=as_json, output=output)
        return
    scored = client.result(job)
    terminal.answer(scored, report_view(job, scored), as_json=as_json, output=output)
    if plot is not None:
        plot.write_bytes(client.plot(job, "arr", figure_format(plot)))
        terminal.saved(plot)
