"""The command that ranks what was scored. How a board looks is in iis_client.cli.output.studies."""

from __future__ import annotations

from typing import Annotated

import typer

from iis_client.cli.options import JsonOption
from iis_client.cli.output.studies import leaderboard_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.score import ProtocolChoice
from iis_client.client import IISClient


def leaderboard(
    board: Annotated[str | None, typer.Option(help="Which one, as another leaderboard names it.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of which data set (dst_…).")] = None,
    library: Annotated[str | None, typer.Option(help="Through which library: a kind, or combined(…).")] = None,
    concepts: Annotated[int | None, typer.Option(help="M, how many concepts.", min=0)] = None,
    protocol: Annotated[ProtocolChoice | None, typer.Option(help="Computed how.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank your models by IIS, those that were scored alike, with ties shown as ties."""
    terminal = Terminal()
    with IISClient() as client:
        found = client.leaderboard(
            board=board,
            dataset=dataset,
            library=library,
            concept_count=concepts,
            protocol=protocol.value if protocol is not None else None,
        )
    if as_json:
        terminal.json(found)
        return
    terminal.show(*leaderboard_table(found))
