"""The commands `iis webhooks …`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, cast

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_delete, add_show, resource_group
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.resources import webhook_table
from iis_client.cli.output.secrets_shown_once import show_secret
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, LimitOption, OutputForm, OutputOption

if TYPE_CHECKING:
    from iis_schemas.names import EventType

app = resource_group("webhooks", "List, show, create, rotate and delete webhooks.")


@app.command("list")
def list_webhooks(limit: LimitOption = 20, as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """List your webhooks, newest first."""
    with connect() as client:
        listed = list(islice(client.webhooks(), limit))
    Terminal().answer(listed, [webhook_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="Address that receives the events: https, on the public internet.")],
    event: Annotated[list[str] | None, typer.Option(help="Event to send, such as job.succeeded; may be repeated. Default: all.")] = None,
    description: Annotated[str | None, typer.Option(help="A note of your own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a webhook and print its secret, which is shown only once."""
    with connect() as client:
        made = client.create_webhook(url, events=cast("list[EventType] | None", event), description=description)
    note = f"Webhook {made.id} is created. Store its secret, which signs the messages; it is shown only once:"
    show_secret(made, note, mend=f"delete it with: iis webhooks delete {made.id}", as_json=as_json)


@app.command()
def rotate(
    webhook: Annotated[
        str,
        typer.Argument(metavar="WEBHOOK", help="A webhook: id, its beginning, URL, or @last.", autocompletion=complete("webhook")),
    ],
    as_json: JsonOption = False,
) -> None:
    """Replace the secret of a webhook and print the new one; for 24 hours the previous one signs too."""
    with connect() as client:
        rotated = client.rotate_webhook_secret(client.find_id("webhook", webhook))
    note = f"Webhook {rotated.id} has a new secret, which is shown only once; the previous one signs too for 24 hours:"
    show_secret(rotated, note, mend=f"rotate it again with: iis webhooks rotate {rotated.id}", as_json=as_json)


add_show(app, "webhook", "webhook", lambda client, webhook: client.webhook(webhook))
add_delete(
    app, "webhook", "webhook", lambda client, webhook: client.delete_webhook(webhook), "Delete webhooks and their pending deliveries."
)
