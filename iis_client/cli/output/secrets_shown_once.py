"""Print a secret that the service returns only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iis_client.cli.output.terminal import Terminal
from iis_client.errors import IISError

if TYPE_CHECKING:
    from iis_schemas.api_keys import ApiKeyCreated
    from iis_schemas.webhooks import WebhookWithSecret


def show_secret(made: ApiKeyCreated | WebhookWithSecret, note: str, *, mend: str, as_json: bool) -> None:
    """Print the secret after a note on stderr, or the whole answer as JSON.

    Parameters
    ----------
    mend : what to do where the answer with the secret was lost

    Raises
    ------
    IISError
        Where the connection was lost after the service had made the secret.
    """
    terminal = Terminal()
    if made.secret is None:
        raise IISError(f"The response with the secret of {made.id} was lost; {mend}")
    if as_json:
        terminal.json(made)
        return
    terminal.note(note)
    terminal.show(made.secret)
