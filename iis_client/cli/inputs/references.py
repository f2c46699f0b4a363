"""Arguments that name a resource by id, beginning of an id, name or @last, with shell completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import chosen_profile, connect
from iis_client.errors import IISError

if TYPE_CHECKING:
    from iis_client.cli.output.terminal import Terminal
    from iis_client.client import IISClient
    from iis_client.resources.references import ReferableKind

Suggestion = tuple[str, str]


def complete(kind: ReferableKind) -> Callable[[typer.Context, str], list[Suggestion]]:
    """Shell completion of the newest resources of a kind: their ids with the names as help, and their names."""

    def suggestions(ctx: typer.Context, incomplete: str) -> list[Suggestion]:
        chosen_profile.set(ctx.find_root().params.get("profile"))
        try:
            with connect(attempts=1) as client:  # a person waits
                return suggested(client, kind, incomplete)
        except (IISError, OSError):  # a shell has no place for an error
            return []

    return suggestions


def suggested(client: IISClient, kind: ReferableKind, incomplete: str) -> list[Suggestion]:
    """Ids and names that begin with what was typed, each with the other as help."""
    from iis_client.resources.references import LAST

    recent = client.recent(kind)
    words = [(LAST, "the newest"), *((each.id, each.name) for each in recent), *((each.name, each.id) for each in recent if each.name)]
    return [(word, other) for word, other in dict(reversed(words)).items() if word.startswith(incomplete)][::-1]


JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job: id, its beginning, name, or @last.", autocompletion=complete("job"), show_default=False)
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model: id, its beginning, name, or @last.", autocompletion=complete("model"), show_default=False
    ),
]
DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="A data set: id, its beginning, name, or @last.", autocompletion=complete("dataset"), show_default=False
    ),
]
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study: id, its beginning, name, or @last.", autocompletion=complete("study"), show_default=False
    ),
]
WebhookOption = Annotated[
    str | None,
    typer.Option(
        help="Webhook that the end is sent to: an https:// address, or one of yours by id, its beginning, or @last.",
        autocompletion=complete("webhook"),
    ),
]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="An API key: id, its beginning, name, or @last.", autocompletion=complete("key"))
]


def find_webhook(client: IISClient, reference: str | None) -> str | None:
    """A new address as it is; of other references, the id of the webhook."""
    return reference if reference is None or "://" in reference else client.find_id("webhook", reference)


def note_webhook(terminal: Terminal, webhook: str | None) -> None:
    """Print which webhook of a submitted job or study receives its end, if there is one."""
    if webhook is not None:
        terminal.note(f"Webhook {webhook} receives its end. Get a secret to verify the message with: iis webhooks rotate {webhook}")
