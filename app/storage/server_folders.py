"""Allow-list of server folders and S3 prefixes that data sets may be read from."""

from __future__ import annotations

from pathlib import Path

from app.errors import InvalidInput
from app.settings import Settings

NOT_ALLOWED = "This path is not inside a folder that the service may read; ask its operator, or upload an archive."
S3 = "s3://"


def is_s3(server_path: str | None) -> bool:
    """Whether the source of a data set is a prefix of an S3 bucket, which a worker copies before it reads it."""
    return server_path is not None and server_path.startswith(S3)


def require_allowed(given: str, settings: Settings) -> None:
    """Check that a server path or S3 prefix may be read.

    Raises
    ------
    InvalidInput
    """
    if is_s3(given):
        allowed_s3_prefix(given, settings)
    else:
        allowed_server_path(given, settings)


def allowed_s3_prefix(given: str, settings: Settings) -> str:
    """Normalise `s3://bucket/prefix`, and check that it is at or below an allowed prefix.

    Raises
    ------
    InvalidInput
        The same message whether it exists or not.
    """
    parts = given.removeprefix(S3).rstrip("/").split("/")
    allowed = [prefix.removeprefix(S3).rstrip("/").split("/") for prefix in settings.server_dataset_prefixes]
    is_plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    if not is_plain or not any(parts[: len(prefix)] == prefix for prefix in allowed):
        raise InvalidInput(NOT_ALLOWED, code="server_path_not_allowed", param="server_path")
    return S3 + "/".join(parts)


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
