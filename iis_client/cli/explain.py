"""The command that explains one image. How an explanation looks is in iis_client.cli.output.explanations."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from iis_client.cli.options import JsonOption, KeptOption, SparsityOption, figure_format, require_figure_place, require_one_node
from iis_client.cli.output.explanations import explanation_view
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.transport.connection import given
from iis_client.types.explanations import Explanation


def explain(
    job: Annotated[str, typer.Argument(help="A finished job (job_…).")],
    image: Annotated[str, typer.Argument(help="A file, or the index of a test image.")],
    *,
    top: Annotated[int, typer.Option(help="How many concepts for and against.", min=1, max=100)] = 8,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    contrast: Annotated[str | None, typer.Option(metavar="CLASS", help="Explain why it is not this class.")] = None,
    out: Annotated[Path | None, typer.Option(help="Save the explanation as one figure (.png or .svg).", dir_okay=False)] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open it in a browser: the page, or the figure that --out saves.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a prediction: the concepts for and against it, and how far they can be trusted."""
    terminal = Terminal(quiet=as_json)
    require_one_node(kept, sparsity)
    if out is not None:
        require_figure_place(out, "--out")
    with IISClient() as client:
        found = client.explain(job, image, top=top, kept=kept, sparsity=sparsity, contrast=contrast)
        if as_json:
            terminal.json(found)
        else:
            terminal.show(*explanation_view(found))
        if out is not None:
            at = found["image"]["id"]
            out.write_bytes(client.explanation_sheet(job, at, figure_format(out), top=top, kept=kept, sparsity=sparsity, contrast=contrast))
            terminal.saved(out)
        if opened:
            _open(terminal, out.absolute().as_uri() if out is not None else page_of(client.base_url, found, contrast))


def page_of(base_url: str, explanation: Explanation, contrast: str | None) -> str:
    """Where the service's own page shows an explanation."""
    query = urlencode(given({"kept": explanation["kept"], "contrast": contrast}))
    return f"{base_url}/jobs/{explanation['job']}/images/{explanation['image']['id']}?{query}"


def _open(terminal: Terminal, address: str) -> None:
    opened = webbrowser.open(address)
    terminal.note(f"Opened {address}" if opened else f"There is no browser to open it in; it is at {address}")
