"""Settings source: the content of the file that `IIS_<NAME>_FILE` names is the value of `IIS_<NAME>`, so that secrets need no variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic_settings import EnvSettingsSource

SUFFIX = "_FILE"


class SecretFiles(EnvSettingsSource):
    """Values from files; without the white space at their ends.

    Raises
    ------
    ValueError
        Where a file cannot be read, or the variable itself is set too.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        prefix = self.env_prefix.upper()
        fields = (f"{prefix}{name.upper()}" for name in self.settings_cls.model_fields)
        given = {name: os.environ[name + SUFFIX] for name in fields if os.environ.get(name + SUFFIX)}
        return {name.lower(): _read(name, path) for name, path in given.items()}


def _read(name: str, path: str) -> str:
    if os.environ.get(name):
        raise ValueError(f"{name} and {name}{SUFFIX} are both set; set one of them.")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{name}{SUFFIX} names {path}, which cannot be read: {reason}.") from error
