"""The command `iis explain`. Its tables are in iis_client.cli.output.explanations."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import JobArgument
from iis_client.cli.output.explanations import explanation_view
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, KeptOption, SparsityOption, figure_format, require_figure_path, require_single_node

if TYPE_CHECKING:
    from iis_schemas.explanations.images import ExplanationView


def explain(
    job: JobArgument,
    image: Annotated[str, typer.Argument(help="An image file, or the index of a test image.")],
    *,
    top: Annotated[int, typer.Option(help="Number of supporting and of opposing concepts to show.", min=1, max=100)] = 8,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    contrast: Annotated[str | None, typer.Option(metavar="CLASS", help="Explain the predicted class against this class.")] = None,
    out: Annotated[Path | None, typer.Option(help="Save the explanation as one figure (.png or .svg).", dir_okay=False)] = None,
    open_in_browser: Annotated[bool, typer.Option("--open", help="Open the web page, or the figure saved by --out, in a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain the prediction for one image: supporting and opposing concepts, faithfulness, counterfactual."""
    terminal = Terminal(quiet=as_json)
    require_single_node(kept, sparsity)
    if out is not None:
        require_figure_path(out, "--out")
    with connect() as client:
        job = client.find_id("job", job)
        explanation = client.explain(job, image, top=top, kept=kept, sparsity=sparsity, contrast=contrast)
        terminal.answer(explanation, explanation_view(explanation), as_json=as_json)
        if out is not None:
            image_id = explanation.image.id
            figure = client.explanation_sheet(job, image_id, figure_format(out), top=top, kept=kept, sparsity=sparsity, contrast=contrast)
            out.write_bytes(figure)
            terminal.saved(out)
        if open_in_browser:
            _open(terminal, out.absolute().as_uri() if out is not None else page_of(client.base_url, explanation, contrast))


def page_of(base_url: str, explanation: ExplanationView, contrast: str | None) -> str:
    """URL of an explanation on the service's web page."""
    query = urlencode({"kept": explanation.kept} | ({} if contrast is None else {"contrast": contrast}))
    return f"{base_url}/jobs/{explanation.job}/images/{explanation.image.id}?{query}"


def _open(terminal: Terminal, address: str) -> None:
    opened = webbrowser.open(address)
    terminal.note(f"Opened {address}" if opened else f"No browser found; the address is {address}")
