"""The command that starts a service on this machine. How it is started is in iis_client.cli.local_stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.local_stack import stack_command
from iis_client.transport.address import READY_FILE_NAME, data_folder


def up(
    folder: Annotated[
        Path | None, typer.Option("--data-folder", help="Where databases, artifacts, logs and keys lie.", file_okay=False)
    ] = None,
    port: Annotated[int, typer.Option(help="Of the API on 127.0.0.1; 0 takes a free one.")] = 8000,
    concurrency: Annotated[int, typer.Option("--worker-concurrency", help="Jobs that run at the same time.", min=1)] = 1,
) -> None:
    """Start a service on this machine (database, broker, API, worker) and stay until Ctrl-C; `iis` finds it by itself."""
    folder = folder or data_folder()
    command = stack_command(folder, port=port, concurrency=concurrency, ready_file=data_folder() / READY_FILE_NAME)
    os.execv(command[0], command)  # noqa: S606 (there is no shell to quote for)
