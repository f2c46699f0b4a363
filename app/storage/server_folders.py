"""Check that a data set's path on the server lies in a folder that the operator allows."""

from __future__ import annotations

from pathlib import Path

from app.errors import InvalidInput
from app.settings import Settings

NOT_ALLOWED = "This path is not inside a folder that the service may read; ask its operator, or upload an archive."


def allowed_server_path(given: str, settings: Settings) -> Path:
    """Resolve a path on the server, symbolic links included, and require that it lies in an allowed folder.

    The database keeps the path as it was sent, and a link may change its target: resolve it again for each read.

    Raises
    ------
    InvalidInput
        With the same sentence whether the path exists or not, so that it reveals nothing about other files.
    """
    refusal = InvalidInput(NOT_ALLOWED, code="server_path_not_allowed", param="server_path")
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
