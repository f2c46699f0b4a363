"""Score several layers of one model (`iis score --layer A --layer B`): a study with one job for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from iis_client.cli.output.job_counts import progress_summary
from iis_client.cli.output.listing import Heading, Listing
from iis_client.cli.output.numbers import format_interval, format_score
from iis_client.cli.output.studies import failure_lines
from iis_client.cli.output.terminal import Terminal
from iis_client.errors import ConfigurationError
from iis_schemas.names import quantity_words

if TYPE_CHECKING:
    from pathlib import Path

    from iis_client.client import IISClient
    from iis_schemas.models import ModelView
    from iis_schemas.studies.views import StudyView, TableRow


def require_sweep_options(layers: Sequence[str], *, has_model: bool, has_vectors: bool, plot: Path | None) -> None:
    """Check the options of a score of several layers.

    Raises
    ------
    ConfigurationError
        When a layer is named twice, or there is no model, or an option belongs to a score of one layer.
    """
    if len(set(layers)) < len(layers):
        raise ConfigurationError("--layer names a layer twice; name each once.")
    if not has_model:
        raise ConfigurationError("--layer names layers of a model, and --features has none; leave it out.")
    if has_vectors:
        raise ConfigurationError("--vectors has directions of one layer; score it with one --layer.")
    if plot is not None:
        raise ConfigurationError("--plot saves the figure of one job; leave it out, and use iis result JOB --plot for each layer.")


def submit_layers(client: IISClient, model: ModelView, layers: Sequence[str], pooling: str | None, settings: dict[str, Any]) -> StudyView:
    """Submit a study of the layers of a model.

    Parameters
    ----------
    settings : of `create_study`: datasets, libraries and how they are scored
    """
    entry = {"model": model.id, "layers": list(layers), "pooling": pooling}
    return client.create_study([entry], name=f"Layers of {model.name}"[:200], **settings)


def show_layers(client: IISClient, terminal: Terminal, study: StudyView, *, watch: bool, as_json: bool) -> None:
    """Print the study, or wait for it and print a row for each layer; exit with code 1 if a layer has no score."""
    if not watch:
        line = f"Study {study.id} has {study.jobs.total} jobs. Show its results with: iis study show {study.id} --watch"
        terminal.answer(study, [line], as_json=as_json)
        return
    try:
        finished = terminal.watch_study(client.follow_study(study))
    except KeyboardInterrupt:
        terminal.note(f"Study {study.id} continues at the service; watch it with: iis study show {study.id} --watch")
        raise typer.Exit(130) from None
    terminal.note(f"Study {finished.id}: {progress_summary(finished.jobs)}.")
    if finished.jobs.succeeded:
        rows = client.study_rows(finished)
        terminal.answer(rows, layer_view(rows), as_json=as_json)
    if finished.jobs.failed or finished.jobs.canceled:
        failed = [cell for cell in client.study_cells(finished) if cell.state in ("failed", "canceled")]
        Terminal().show(*failure_lines(finished.id, failed))
        raise typer.Exit(1)


def layer_view(rows: Sequence[TableRow]) -> Iterator[Listing]:
    """Table with one row for each layer, in the order of the request."""
    quantity = quantity_words(*(row.quantity for row in rows))
    titles = "layer", quantity, "few concepts", "IIS, 95 % CI", "gains", "job"
    headings = [Heading(title, wraps=title in ("layer", quantity)) for title in titles]
    cells = [
        (
            row.label.rpartition(" at ")[2],
            f"{row.accuracy:.3f}",
            format_score(row.few_concepts_mean),
            f"{format_score(row.iis)} {format_interval(row.iis_low, row.iis_high)}".strip(),
            f"{format_score(row.gain_matched, '+.3f')}, {format_score(row.few_gain_matched, '+.3f')}",
            row.job,
        )
        for row in rows
    ]
    meaning = f"Gains over matched directions: of IIS, and of {quantity} at 5 to 30 concepts per image, in the mean."
    yield Listing("Layers", headings, cells, [meaning])
