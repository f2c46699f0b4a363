"""Allow-list of server folders that data sets may be read from."""

from __future__ import annotations

from pathlib import Path

from app.errors import InvalidInput
from app.settings import Settings

NOT_ALLOWED = "This path is not inside a folder that the service may read; ask its operator, or upload an archive."


def allowed_server_path(given: str, settings: Settings) -> Path:
    """Resolve a path on the server, symbolic links included, and check that it is inside an allowed folder.

    Rows store the unresolved path, and the target of a link can change: call this before each read.

    Raises
    ------
    InvalidInput
        If the path is outside the allowed folders; the same message whether it exists or not, so that nothing about the server leaks.
    """
    refusal = InvalidInput(NOT_ALLOWED, code="server_path_not_allowed", param="server_path")
    if "\0" in given or not Path(given).is_absolute():
        raise refusal
    try:
        path = Path(given).resolve()
        allowed = [folder.resolve() for folder in settings.server_dataset_folders]
    except (OSError, RuntimeError) as error:  # circular symbolic links
        raise refusal from error
    if not any(path.is_relative_to(folder) for folder in allowed):
        raise refusal
    return path
