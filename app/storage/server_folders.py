"""Paths on the server that data sets may be read from."""

from __future__ import annotations

from pathlib import Path

from app.errors import InvalidInput
from app.settings import Settings


def allowed_server_path(given: str, settings: Settings) -> Path:
    """Where a path on the server leads to, links included; refused unless that lies in an allowed folder.

    A row keeps the path as it was given, and a link may lead elsewhere tomorrow: whoever reads what lies there asks here first.

    Raises
    ------
    InvalidInput
        With the same sentence whether such a path exists or not: it must not tell what else lies on the server.
    """
    refusal = InvalidInput(
        "This path is not inside a folder that the service may read; ask its operator, or upload an archive.",
        code="server_path_not_allowed",
        param="server_path",
    )
    if "\0" in given or not Path(given).is_absolute():
        raise refusal
    try:
        path = Path(given).resolve()
        allowed = [folder.resolve() for folder in settings.server_dataset_folders]
    except (OSError, RuntimeError) as error:  # a loop of links
        raise refusal from error
    if not any(path.is_relative_to(folder) for folder in allowed):
        raise refusal
    return path
