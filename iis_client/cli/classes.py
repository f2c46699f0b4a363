"""The command that shows what classes are made of. How that looks is in iis_client.cli.output.profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, KeptOption, SparsityOption, figure_format, require_figure_place, require_one_node
from iis_client.cli.output.profiles import class_table, class_view
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError


def classes(
    job: Annotated[str, typer.Argument(help="A finished job (job_…).")],
    name: Annotated[str | None, typer.Argument(metavar="CLASS", help="The class to show; without it, all in one table.")] = None,
    *,
    top: Annotated[int, typer.Option(help="How many concepts for and against a class.", min=1, max=100)] = 10,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    out: Annotated[Path | None, typer.Option(help="Save the class's profile as a figure (.png or .svg).", dir_okay=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which concepts speak for and against a class, and what it is taken for."""
    terminal = Terminal(quiet=as_json)
    require_one_node(kept, sparsity)
    if out is not None:
        if name is None:
            raise ConfigurationError("--out saves the figure of one class; name it after the job.")
        require_figure_place(out, "--out")
    with IISClient() as client:
        if name is None:
            found = client.classes(job, kept=kept, sparsity=sparsity)
            shown = [class_table(found)]
        else:
            found = client.class_profile(job, name, top=top, kept=kept, sparsity=sparsity)
            shown = [*class_view(found)]
        if as_json:
            terminal.json(found)
        else:
            terminal.show(*shown)
        if out is not None and name is not None:
            out.write_bytes(client.class_figure(job, name, figure_format(out), top=top, kept=kept, sparsity=sparsity))
            terminal.saved(out)
