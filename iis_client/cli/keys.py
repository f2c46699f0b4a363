"""The commands `iis keys` and `iis quotas`. Their tables are in iis_client.cli.output.api_keys."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.options import JsonOption
from iis_client.cli.output.api_keys import key_table, quota_view
from iis_client.cli.output.terminal import Terminal
from iis_client.errors import IISError

if TYPE_CHECKING:
    from iis_schemas.api_keys import ApiKeyCreated

app = typer.Typer(name="keys", help="List, create, rotate and revoke API keys.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="An API key (key_…).")]


class ScopeChoice(StrEnum):
    """Scopes of an API key."""

    read = "read"
    write = "write"
    admin = "admin"


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List your API keys, newest first."""
    with connect() as client:
        keys = list(client.keys())
    Terminal().answer(keys, [key_table(keys)], as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the key, shown in lists.")],
    scope: Annotated[
        list[ScopeChoice] | None, typer.Option(help="Scope of the key; may be repeated. Default: the scopes of your own key.")
    ] = None,
    expires_at: Annotated[str | None, typer.Option(help="Time of expiry, for example 2027-01-12T00:00:00Z; default: never.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Create an API key and print its secret, which is shown only once."""
    with connect() as client:
        made = client.create_key(name, scopes=[one.value for one in scope] if scope else None, expires_at=expires_at)
    _show_secret(made, as_json)


@app.command()
def rotate(
    key: KeyArgument,
    grace_seconds: Annotated[
        float | None, typer.Option(help="Time for which the old secret remains valid; default: one day.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the secret of a key and print the new one, which is shown only once."""
    with connect() as client:
        made = client.rotate_key(key, grace_seconds=grace_seconds)
    _show_secret(made, as_json)


@app.command()
def revoke(key: KeyArgument) -> None:
    """Revoke a key permanently."""
    with connect() as client:
        client.revoke_key(key)
    Terminal().show(f"Key {key} is revoked.")


def quotas(as_json: JsonOption = False) -> None:
    """Show your quotas, your usage, and the scopes of your API key."""
    with connect() as client:
        usage = client.quotas()
    Terminal().answer(usage, quota_view(usage), as_json=as_json)


def _show_secret(made: ApiKeyCreated, as_json: bool) -> None:
    terminal = Terminal()
    if made.secret is None:  # the connection was lost after the service had created it
        raise IISError(f"The response with the secret of {made.id} was lost; get a new secret with: iis keys rotate {made.id}")
    if as_json:
        terminal.json(made)
        return
    terminal.note(f"Key {made.id} ({made.name}) has the scopes {', '.join(made.scopes)}. Store its secret; it is shown only once:")
    terminal.show(made.secret)
