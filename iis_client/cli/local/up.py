"""The command `iis up`. The process is started by iis_client.cli.local.local_stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.local.local_stack import stack_command
from iis_client.cli.local.ports import require_free_port
from iis_client.cli.output.terminal import Terminal
from iis_client.transport.address import KEY_VARIABLE, READY_FILE_NAME, URL_VARIABLE, data_folder
from iis_client.transport.profiles import read_profiles


def up(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data-folder",
            help="Folder of databases, artifacts, logs and keys; default: IIS_DATA_FOLDER, or ~/.local/share/iis.",
            file_okay=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1; 0 selects a free port.")] = 8000,
    workers: Annotated[int, typer.Option(help="Number of worker processes; idle ones help with long jobs.", min=1)] = 1,
    concurrency: Annotated[int, typer.Option("--worker-concurrency", help="Number of jobs that a worker runs at once.", min=1)] = 1,
) -> None:
    """Start the service on this machine (database, broker, API, worker) until Ctrl-C; other `iis` commands find it."""
    folder = folder or data_folder()
    command = stack_command(folder, port=port, workers=workers, concurrency=concurrency, ready_file=data_folder() / READY_FILE_NAME)
    require_free_port(port)
    if (other := _other_service()) is not None:
        Terminal().note(f"Commands use {other}; use this service with: iis --profile local")
    os.execv(command[0], command)  # noqa: S606 (no shell is involved)


def _other_service() -> str | None:
    """What commands connect to instead of the service on this machine; None where they connect to it."""
    if os.environ.get(URL_VARIABLE) or os.environ.get(KEY_VARIABLE):
        return f"{URL_VARIABLE} and {KEY_VARIABLE} of the environment"
    default = read_profiles().default
    return None if default is None else f"the profile {default!r}"
