"""The commands `iis keys` and `iis quotas`. Their tables are in iis_client.cli.output.api_keys."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_show, resource_group
from iis_client.cli.inputs.references import KeyArgument
from iis_client.cli.output.api_keys import key_table, quota_view
from iis_client.cli.output.secrets_shown_once import show_secret
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, OutputForm, OutputOption

if TYPE_CHECKING:
    from iis_schemas.api_keys import ApiKeyCreated

app = resource_group("keys", "List, show, create, rotate and revoke API keys.")


class ScopeChoice(StrEnum):
    """Scopes of an API key."""

    read = "read"
    write = "write"
    admin = "admin"


@app.command("list")
def list_all(as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """List your API keys, newest first."""
    with connect() as client:
        keys = list(client.keys())
    Terminal().answer(keys, [key_table(keys)], as_json=as_json, output=output)


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
        made = client.rotate_key(client.find_id("key", key), grace_seconds=grace_seconds)
    _show_secret(made, as_json)


@app.command()
def revoke(key: KeyArgument) -> None:
    """Revoke a key permanently."""
    with connect() as client:
        revoked = client.find_id("key", key)
        client.revoke_key(revoked)
    Terminal().show(f"Key {revoked} is revoked.")


add_show(app, "key", "API key", lambda client, key: client.key(key))
app.command("delete", help="Revoke a key permanently; the same as revoke.", hidden=True)(revoke)


def quotas(as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """Show your quotas, your usage, and the scopes of your API key."""
    with connect() as client:
        usage = client.quotas()
    Terminal().answer(usage, quota_view(usage), as_json=as_json, output=output)


def _show_secret(made: ApiKeyCreated, as_json: bool) -> None:
    note = f"Key {made.id} ({made.name}) has the scopes {', '.join(made.scopes)}. Store its secret; it is shown only once:"
    show_secret(made, note, mend=f"get a new secret with: iis keys rotate {made.id}", as_json=as_json)
