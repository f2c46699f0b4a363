"""Profiles of services in the user's configuration file: URL and API key by name, and the default profile.

The file is `$XDG_CONFIG_HOME/iis/config.toml` (`~/.config/iis/config.toml`), readable by its owner alone.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from iis_client.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOCAL_PROFILE = "local"
"""Reserved: the service that `iis up` or `make demo` started on this machine."""


@dataclass(frozen=True)
class Profile:
    """URL and API key of a service."""

    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Profiles:
    """The profiles of a configuration file, and the name of the one that is used where none is named."""

    default: str | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile])

    def get(self, name: str) -> Profile:
        """The profile of this name.

        Raises
        ------
        ConfigurationError
            When there is none.
        """
        if name not in self.profiles:
            known = f"; yours are {', '.join(sorted(self.profiles))}" if self.profiles else ""
            raise ConfigurationError(f"There is no profile {name!r}{known}; create it with: iis login {name} --url URL")
        return self.profiles[name]

    def added(self, name: str, profile: Profile) -> Profiles:
        """These profiles and one more, which becomes the default.

        Raises
        ------
        ConfigurationError
            When the name is not valid.
        """
        if not NAME.fullmatch(name) or name == LOCAL_PROFILE:
            raise ConfigurationError(
                f"A profile's name has up to 64 letters, digits, - and _, and {LOCAL_PROFILE!r} is the service on this machine; "
                f"choose another name than {name!r}."
            )
        return Profiles(name, {**self.profiles, name: profile})

    def without(self, name: str) -> Profiles:
        """These profiles but one; if it was the default, none is the default.

        Raises
        ------
        ConfigurationError
            When there is none of this name.
        """
        self.get(name)
        kept = {other: profile for other, profile in self.profiles.items() if other != name}
        return replace(self, default=None if self.default == name else self.default, profiles=kept)


def configuration_file() -> Path:
    """Path of the user's configuration file."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "iis" / "config.toml"


def read_profiles(path: Path | None = None) -> Profiles:
    """Read the configuration file; no profiles where there is no file.

    Raises
    ------
    ConfigurationError
        When the file cannot be read.
    """
    path = path or configuration_file()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = cast("dict[str, dict[str, Any]]", content.get("profiles", {}))
        profiles = {name: Profile(str(table["url"]), str(table["api_key"])) for name, table in tables.items()}
        default = content.get("default")
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); correct it, or remove it and log in again with: iis login") from error
    return Profiles(None if default is None else str(default), profiles)


def write_profiles(profiles: Profiles, path: Path | None = None) -> Path:
    """Replace the configuration file; only its owner can read it. Returns its path; where writing fails, the file stays as it was."""
    path = path or configuration_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [] if profiles.default is None else [f"default = {_quoted(profiles.default)}"]
    for name, profile in sorted(profiles.profiles.items()):
        lines += ["", f"[profiles.{_quoted(name)}]", f"url = {_quoted(profile.url)}", f"api_key = {_quoted(profile.api_key)}"]
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines).lstrip("\n") + "\n")
        Path(written).replace(path)
    finally:
        Path(written).unlink(missing_ok=True)
    return path


def _quoted(text: str) -> str:
    """A basic string of TOML: as in JSON, but characters beyond 16 bits as they are, and DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
