"""The commands `iis login` and `iis logout`: profiles of services in the user's configuration file."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from iis_client.cli.output.terminal import Terminal
from iis_client.errors import ConfigurationError
from iis_client.transport.address import KEY_VARIABLE, URL_VARIABLE
from iis_client.transport.profiles import Profile, read_profiles, write_profiles

DEFAULT_NAME = "default"


def login(
    profile: Annotated[str, typer.Argument(metavar="[PROFILE]", help="Name of the profile, for `iis --profile`.")] = DEFAULT_NAME,
    url: Annotated[str | None, typer.Option(help="Address of the service; default: that of the profile, else it is asked for.")] = None,
) -> None:
    """Store the address and API key of a service as a profile, which becomes the default. The key is asked for, or read from a pipe."""
    from iis_client.client import IISClient

    terminal, profiles = Terminal(), read_profiles()
    known = profiles.profiles.get(profile)
    if url is None:
        url = known.url if known is not None else _ask("Address of the service (https://…)", hidden=False)
    profiles.added(profile, Profile(url, ""))  # refuse the name before the key is asked for
    key = _ask(f"API key for {url}", hidden=True)
    with IISClient(url, key) as client:
        used = client.quotas().key
    path = write_profiles(profiles.added(profile, Profile(url, key)))
    terminal.show(
        f"Logged in to {url} with the key {used.id} (scopes {', '.join(used.scopes)}); profile {profile!r} in {path} is the default."
    )
    if hiding := [name for name in (URL_VARIABLE, KEY_VARIABLE) if os.environ.get(name)]:
        terminal.note(f"{' and '.join(hiding)} in the environment {'come' if len(hiding) > 1 else 'comes'} before the default profile.")


def logout(profile: Annotated[str, typer.Argument(metavar="[PROFILE]", help="Name of the profile.")] = DEFAULT_NAME) -> None:
    """Remove a profile from the configuration file; its API key stays valid (`iis keys revoke`)."""
    write_profiles(read_profiles().without(profile))
    Terminal().show(f"Profile {profile!r} is removed.")


def _ask(question: str, *, hidden: bool) -> str:
    """An answer from the terminal, or the next line of a pipe."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=hidden, err=True)).strip()
    answer = sys.stdin.readline().strip()
    if not answer:
        raise ConfigurationError(f"{question}: write it to standard input, or run iis login in a terminal.")
    return answer
