"""The command `iis mcp`. The server and its tools are in iis_client.mcp_server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.errors import ConfigurationError


def mcp(
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Folder whose files the tools may send to the service; may be repeated.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Serve tools for language models over standard input and output (Model Context Protocol), until the host closes it."""
    try:
        from iis_client.mcp_server.server import build_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        raise ConfigurationError("`iis mcp` needs the package mcp; run `pip install 'iis[mcp]'`.") from error
    with connect() as client:
        build_server(client, folder or []).run("stdio")
