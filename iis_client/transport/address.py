"""Address and API key of the service: from arguments, else the environment, else the local stack that `iis up` started."""

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
    """Base URL and API key of a service."""

    url: str
    api_key: str


def find_address(url: str | None = None, api_key: str | None = None) -> Address:
    """Complete the arguments from the environment, or from the local stack of this user.

    Raises
    ------
    ConfigurationError
        When no service is found, or the key for an address is missing.
    """
    url = url or os.environ.get(URL_VARIABLE)
    api_key = api_key or os.environ.get(KEY_VARIABLE)
    if url and api_key:
        return Address(url, api_key)
    if url:
        raise ConfigurationError(f"The API key for {url} is missing; set {KEY_VARIABLE}.")
    local = read_ready_file(data_folder() / READY_FILE_NAME)
    if local is None:
        raise ConfigurationError(f"No service found; start one with `iis up`, or set {URL_VARIABLE} and {KEY_VARIABLE}.")
    return Address(local.url, api_key or local.api_key)


def read_ready_file(path: Path) -> Address | None:
    """Read the file that a local stack writes when it is ready and removes when it stops; None if there is no such file.

    Raises
    ------
    ConfigurationError
        When the file cannot be read.
    """
    try:
        content = cast("dict[str, Any]", json.loads(path.read_text()))
        return Address(str(content["url"]), Path(content["api_key_file"]).read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); start the service again with `iis up`.") from error


def data_folder() -> Path:
    """Default data folder of the local stack: IIS_DATA_FOLDER, else the user's data folder."""
    folder = os.environ.get("IIS_DATA_FOLDER")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "iis"
