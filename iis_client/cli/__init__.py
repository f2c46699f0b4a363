"""The `iis` command: parse arguments, call the client, print tables."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from iis_client.cli import (
    card,
    classes,
    compare,
    concepts,
    connection,
    datasets,
    explain,
    finetune,
    jobs,
    keys,
    leaderboard,
    libraries,
    models,
    predict,
    score,
    shares,
    vocabulary,
    webhooks,
)
from iis_client.cli.integrations import log, mcp_stdio
from iis_client.cli.local import login, up
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.studies import commands as studies
from iis_client.errors import IISError, ServiceError

HELP = "Inherent Interpretability Score: measure how interpretable the representation of a vision model is."


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"iis {metadata.version('iis')}")
        raise typer.Exit


app = typer.Typer(
    name="iis",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    up.up,
    login.login,
    login.logout,
    score.score,
    jobs.result,
    card.card,
    log.log,
    concepts.concepts,
    compare.compare,
    explain.explain,
    classes.classes,
    predict.predictors,
    predict.predict,
    predict.export,
    finetune.finetune,
    finetune.checkpoint,
    shares.share,
    jobs.cancel,
    jobs.delete,
    leaderboard.leaderboard,
    keys.quotas,
    mcp_stdio.mcp,
):
    app.command()(command)
for group in (models.app, datasets.app, libraries.app, jobs.app, studies.app, vocabulary.app, webhooks.app, shares.app, keys.app):
    app.add_typer(group)
app.command("open")(compare.open_page)
app.add_typer(studies.app, name="study", hidden=True)  # names of former versions
app.add_typer(vocabulary.app, name="vocabulary", hidden=True)


@app.callback(help=HELP)
def options(
    profile: Annotated[
        str | None, typer.Option(help="Profile of `iis login` to use; local is the service on this machine.", show_default=False)
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)] = False,
) -> None:
    """Options of all commands; the version is printed when it is parsed."""
    del version
    connection.chosen_profile.set(profile)


def main() -> None:
    """Run the command; print each error as one sentence and exit with code 1."""
    try:
        app()
    except ServiceError as error:
        Terminal().error(f"{error}", f"request {error.request_id}" if error.request_id else None)
        sys.exit(1)
    except IISError as error:
        Terminal().error(f"{error}")
        sys.exit(1)
    except OSError as error:  # from local files; network errors are IISError
        Terminal().error(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else f"{error}.")
        sys.exit(1)
