"""The command `iis leaderboard`. Its table is in iis_client.cli.output.leaderboards."""

from __future__ import annotations

from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.leaderboards import leaderboard_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.score import ProtocolChoice
from iis_client.cli.settings.options import JsonOption, OutputForm, OutputOption


def leaderboard(
    board: Annotated[str | None, typer.Option(help="Id of a leaderboard, as listed below another leaderboard.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set: id, beginning, name, or @last.", autocompletion=complete("dataset"))
    ] = None,
    library: Annotated[str | None, typer.Option(help="Concept library: a kind, or combined(…).")] = None,
    concepts: Annotated[int | None, typer.Option(help="Number of concepts M.", min=0)] = None,
    protocol: Annotated[ProtocolChoice | None, typer.Option(help="Scoring protocol.")] = None,
    edition: Annotated[int | None, typer.Option(help="Edition of the activations.", min=1, max=2)] = None,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """Rank your models by IIS among scores with the same settings; ties are marked."""
    with connect() as client:
        ranking = client.leaderboard(
            board=board,
            dataset=None if dataset is None else client.find_id("dataset", dataset),
            library=library,
            concept_count=concepts,
            protocol=protocol.value if protocol is not None else None,
            edition=edition,
        )
    Terminal().answer(ranking, leaderboard_table(ranking), as_json=as_json, output=output)
