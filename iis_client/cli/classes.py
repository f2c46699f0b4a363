"""The command `iis classes`. Its tables are in iis_client.cli.output.profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import JobArgument
from iis_client.cli.output.profiles import class_table, class_view
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import (
    JsonOption,
    KeptOption,
    OutputForm,
    OutputOption,
    SparsityOption,
    figure_format,
    require_figure_path,
    require_single_node,
)
from iis_client.errors import ConfigurationError


def classes(
    job: JobArgument,
    name: Annotated[str | None, typer.Argument(metavar="CLASS", help="Show this class only; default: a table of all classes.")] = None,
    *,
    top: Annotated[int, typer.Option(help="Number of supporting and of opposing concepts to show.", min=1, max=100)] = 10,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    out: Annotated[Path | None, typer.Option(help="Save the profile of CLASS as a figure (.png or .svg).", dir_okay=False)] = None,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """Show the concepts that support and oppose each class, its accuracy and its confusions."""
    terminal = Terminal(quiet=as_json)
    require_single_node(kept, sparsity)
    if out is not None:
        if name is None:
            raise ConfigurationError("--out saves the figure of one class; give its name after the job.")
        require_figure_path(out, "--out")
    with connect() as client:
        job = client.find_id("job", job)
        if name is None:
            answer = client.classes(job, kept=kept, sparsity=sparsity)
            view = [class_table(answer)]
        else:
            answer = client.class_profile(job, name, top=top, kept=kept, sparsity=sparsity)
            view = [*class_view(answer)]
        terminal.answer(answer, view, as_json=as_json, output=output)
        if out is not None and name is not None:
            out.write_bytes(client.class_figure(job, name, figure_format(out), top=top, kept=kept, sparsity=sparsity))
            terminal.saved(out)
