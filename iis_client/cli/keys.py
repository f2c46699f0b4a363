"""The commands on API keys, and the one that shows quotas. How they look is in iis_client.cli.output.api_keys."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption
from iis_client.cli.output.api_keys import key_table, quota_view
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import IISError
from iis_client.types.api_keys import NewApiKey

app = typer.Typer(name="keys", help="API keys: who may reach your things at the service, and for what.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="key_…")]


class ScopeChoice(StrEnum):
    """What a key may do."""

    read = "read"
    write = "write"
    admin = "admin"


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List your keys, newest first."""
    with IISClient() as client:
        found = list(client.keys())
    terminal = Terminal()
    if as_json:
        terminal.json(found)
    else:
        terminal.show(key_table(found))


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people to read.")],
    scope: Annotated[list[ScopeChoice] | None, typer.Option(help="What it may do; several times for several. All that yours may.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="When it ends, for example 2027-01-12T00:00:00Z; never unless given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print its secret, which is never shown again."""
    with IISClient() as client:
        made = client.create_key(name, scopes=[one.value for one in scope] if scope else None, expires_at=expires_at)
    _show_secret(made, as_json)


@app.command()
def rotate(
    key: KeyArgument,
    grace_seconds: Annotated[float | None, typer.Option(help="How long the old secret still works; a day unless given.", min=0)] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key another secret and print it, this once."""
    with IISClient() as client:
        made = client.rotate_key(key, grace_seconds=grace_seconds)
    _show_secret(made, as_json)


@app.command()
def revoke(key: KeyArgument) -> None:
    """Close a key for good."""
    with IISClient() as client:
        client.revoke_key(key)
    Terminal().show(f"{key} opens nothing any more.")


def quotas(as_json: JsonOption = False) -> None:
    """Show what you may have at the service, what you have, and what your key may do."""
    terminal = Terminal()
    with IISClient() as client:
        found = client.quotas()
    if as_json:
        terminal.json(found)
    else:
        terminal.show(*quota_view(found))


def _show_secret(made: NewApiKey, as_json: bool) -> None:
    terminal = Terminal()
    if made["secret"] is None:  # the connection broke after the service had done it
        raise IISError(f"The secret of {made['id']} was lost on its way; ask for another with: iis keys rotate {made['id']}")
    if as_json:
        terminal.json(made)
        return
    terminal.note(f"{made['id']} ({made['name']}) may {', '.join(made['scopes'])}. Keep its secret; it is not shown again:")
    terminal.show(made["secret"])
