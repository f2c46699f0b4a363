"""The commands `iis share` and `iis shares …`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_show, resource_group
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.resources import share_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, LimitOption, OutputForm, OutputOption
from iis_client.errors import ConfigurationError, IISError

app = resource_group("shares", "List, show and revoke share links; `iis share` creates them.")


def share(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A finished score job, or a study (std_…).", autocompletion=complete("job"))],
    concept: Annotated[int | None, typer.Option(help="Share this concept of the job only, by its number.", min=0)] = None,
    image: Annotated[int | None, typer.Option(help="Share this test image of the job only, by its number.", min=0)] = None,
    kept: Annotated[int | None, typer.Option(help="With --image: number of kept concepts.", min=0)] = None,
    days: Annotated[int, typer.Option(help="Days until the link expires.", min=1, max=365)] = 30,
    as_json: JsonOption = False,
) -> None:
    """Create a read-only link to a result, concept, image or study; it is shown only once."""
    is_study = job.startswith("std_")
    if is_study and (concept is not None or image is not None):
        raise ConfigurationError("--concept and --image belong to a job; share a study as a whole.")
    terminal = Terminal()
    with connect() as client:
        if is_study:
            made = client.share_study(client.find_id("study", job), expires_in_days=days)
        else:
            made = client.share(client.find_id("job", job), concept=concept, image=image, kept=kept, expires_in_days=days)
        address = f"{client.base_url}{made.path}"
    if made.path is None:  # the connection was lost after the service had created it
        raise IISError(f"The response with the link {made.id} was lost; revoke it with: iis shares revoke {made.id}")
    if as_json:
        terminal.json(made)
        return
    terminal.note(f"Anyone with this link can read the {made.kind} until {made.expires_at:%Y-%m-%d}; it is shown only once:")
    terminal.show(address)


@app.command("list")
def list_shares(limit: LimitOption = 20, as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
    """List your share links, newest first."""
    with connect() as client:
        listed = list(islice(client.shares(), limit))
    Terminal().answer(listed, [share_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


@app.command()
def revoke(
    share: Annotated[
        str, typer.Argument(metavar="SHARE", help="A share link: id, its beginning, or @last.", autocompletion=complete("share"))
    ],
) -> None:
    """Revoke a share link: it is refused from then on."""
    with connect() as client:
        revoked = client.find_id("share", share)
        client.revoke_share(revoked)
    Terminal().show(f"Share link {revoked} is revoked.")


add_show(app, "share", "share link", lambda client, share: client.share_link(share))
app.command("delete", help="Revoke a share link; the same as revoke.", hidden=True)(revoke)
