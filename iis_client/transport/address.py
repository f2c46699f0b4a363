"""Address and API key of the service: from arguments, else the environment, a profile, or the service on this machine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from iis_client.errors import ConfigurationError
from iis_client.transport.profiles import LOCAL_PROFILE, read_profiles

URL_VARIABLE = "IIS_URL"
KEY_VARIABLE = "IIS_API_KEY"
READY_FILE_NAME = "ready.json"
DEMO_FILE_NAME = "demo-ready.json"
"""Link to the ready file of the service of `make demo`."""


@dataclass(frozen=True)
class Address:
    """Base URL and API key of a service."""

    url: str
    api_key: str


def find_address(url: str | None = None, api_key: str | None = None, profile: str | None = None) -> Address:
    """Complete the arguments from the environment, from the default profile, or from the service on this machine.

    A profile's key and URL are used together: a key without a URL is sent to the service on this machine alone.

    Parameters
    ----------
    profile : used instead of all of these where it is given; `local` is the service on this machine

    Raises
    ------
    ConfigurationError
        When no service is found, or the key for an address is missing.
    """
    if profile is not None:
        return _of_profile(profile)
    url = url or os.environ.get(URL_VARIABLE)
    api_key = api_key or os.environ.get(KEY_VARIABLE) or None
    if url and api_key:
        return Address(url, api_key)
    if url:
        raise ConfigurationError(f"The API key for {url} is missing; set {KEY_VARIABLE}.")
    default = read_profiles().default if api_key is None else None
    found = _of_profile(default) if default is not None else local_address()
    if found is None and api_key is not None:
        raise ConfigurationError(
            f"No service found for the API key, which was given without an address, so that no profile is used; set {URL_VARIABLE}, "
            f"unset {KEY_VARIABLE}, or start a service with `iis up`."
        )
    if found is None:
        raise ConfigurationError(
            f"No service found; start one with `iis up`, log in with `iis login --url URL`, or set {URL_VARIABLE} and {KEY_VARIABLE}."
        )
    return Address(found.url, api_key or found.api_key)


def local_address() -> Address | None:
    """Address of the service that `iis up` or `make demo` started on this machine; None where none runs.

    Raises
    ------
    ConfigurationError
        When its ready file cannot be read.
    """
    addresses = (read_ready_file(data_folder() / name) for name in (READY_FILE_NAME, DEMO_FILE_NAME))
    return next((address for address in addresses if address is not None), None)


def read_ready_file(path: Path) -> Address | None:
    """Read the file that a local service writes when it is ready and removes when it stops; None where that service does not run.

    Raises
    ------
    ConfigurationError
        When the file cannot be read.
    """
    try:
        content = cast("dict[str, Any]", json.loads(path.read_text()))
        if not _is_running(int(content["pid"])):  # it was killed and left its file behind
            return None
        return Address(str(content["url"]), Path(content["api_key_file"]).read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); start the service again with `iis up`.") from error


def _of_profile(name: str) -> Address:
    if name == LOCAL_PROFILE:
        found = local_address()
        if found is None:
            raise ConfigurationError("No service runs on this machine; start one with `iis up`.")
        return found
    profile = read_profiles().get(name)
    return Address(profile.url, profile.api_key)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def data_folder() -> Path:
    """Default data folder of the local stack: IIS_DATA_FOLDER, else the user's data folder."""
    folder = os.environ.get("IIS_DATA_FOLDER")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "iis"
