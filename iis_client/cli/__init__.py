"""The `iis` command: parse arguments, call the client, print tables."""

from __future__ import annotations

import sys

import typer

from iis_client.cli import card, classes, concepts, explain, finetune, jobs, keys, leaderboard, predict, score, up, vocabulary
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.studies import commands as studies
from iis_client.errors import IISError, ServiceError

app = typer.Typer(
    name="iis",
    help="Inherent Interpretability Score: measure how interpretable the representation of a vision model is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    up.up,
    score.score,
    jobs.jobs,
    jobs.result,
    card.card,
    concepts.concepts,
    explain.explain,
    classes.classes,
    predict.predictors,
    predict.predict,
    predict.export,
    finetune.finetune,
    finetune.checkpoint,
    jobs.cancel,
    jobs.delete,
    leaderboard.leaderboard,
    keys.quotas,
):
    app.command()(command)
app.add_typer(vocabulary.app)
app.add_typer(studies.app)
app.add_typer(keys.app)


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
