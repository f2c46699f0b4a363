"""Where the service is and with which key: arguments, then the environment, then the stack that `iis up` started on this machine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from iis_client.errors import ConfigurationError

URL_VARIABLE = "IIS_URL"
KEY_VARIABLE = "IIS_API_KEY"
READY_FILE_NAME = "ready.json"


@dataclass(frozen=True)
class Address:
    """A service and the key to it."""

    url: str
    api_key: str


def find_address(url: str | None = None, api_key: str | None = None) -> Address:
    """Complete what is given with the environment, or with the embedded stack of this user.

    Raises
    ------
    ConfigurationError
        When there is nothing to find, or an address of which no key is known.
    """
    url = url or os.environ.get(URL_VARIABLE)
    api_key = api_key or os.environ.get(KEY_VARIABLE)
    if url and api_key:
        return Address(url, api_key)
    if url:
        raise ConfigurationError(f"There is no API key for {url}; set {KEY_VARIABLE}.")
    embedded = read_ready_file(data_folder() / READY_FILE_NAME)
    if embedded is None:
        raise ConfigurationError(f"No service is known here; start one with `iis up`, or set {URL_VARIABLE} and {KEY_VARIABLE}.")
    return Address(embedded.url, api_key or embedded.api_key)


def read_ready_file(path: Path) -> Address | None:
    """What an embedded stack writes once it answers and removes when it stops; None when it is not there."""
    try:
        said = cast("dict[str, Any]", json.loads(path.read_text()))
        return Address(str(said["url"]), Path(said["api_key_file"]).read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); start the service again with `iis up`.") from error


def data_folder() -> Path:
    """Where the embedded stack keeps its data unless told otherwise."""
    chosen = os.environ.get("IIS_DATA_FOLDER")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "iis"
