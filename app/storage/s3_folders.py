"""Copies of what lies below a prefix of an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ParamValidationError

from app.storage.s3_requests import open_s3
from app.storage.store import StorageUnavailable

FILES_AT_ONCE = 32
NAME_MAX_BYTES = 255  # of a file or folder


class PrefixUnreadable(Exception):
    """The prefix cannot be copied; the message says why."""


def copy_prefix(url: str, target: Path, *, endpoint_url: str | None, max_bytes: int, max_files: int, check: Callable[[], None]) -> Path:
    """Copy all objects below a prefix into a new folder, or the one object of that name to a file in it.

    Parameters
    ----------
    url : `s3://bucket/prefix`
    target : folder, which does not exist
    max_bytes, max_files : of all objects together
    check : called between requests; raises to stop

    Returns
    -------
    The folder, or the file in it.

    Raises
    ------
    PrefixUnreadable
        If there is nothing, it is too large, names cannot be those of files, or the server denies access.
    StorageUnavailable
        If the server does not answer, or the disk fails; another attempt may succeed.
    """
    target.mkdir(parents=True)
    try:
        files, root = open_s3(url, endpoint_url)
        return _copy(files, root.rstrip("/"), target, (max_bytes, max_files), check)
    except FileNotFoundError as error:  # s3fs translates the server's answers
        raise PrefixUnreadable(f"There is nothing at {url}, or objects were deleted during the copy.") from error
    except PermissionError as error:
        raise PrefixUnreadable(f"The S3 server denies access to {url}.") from error
    except (ValueError, ParamValidationError) as error:
        raise PrefixUnreadable(f"{url} is not a valid S3 prefix.") from error
    except (OSError, BotoCoreError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__  # not the message, which may contain a local path
        raise StorageUnavailable(f"{url} could not be copied: {reason}.") from error


def _copy(files: Any, root: str, target: Path, limits: tuple[int, int], check: Callable[[], None]) -> Path:
    max_bytes, max_files = limits
    found: dict[str, dict[str, Any]] = files.find(root, detail=True)
    sizes = {key: int(entry["size"]) for key, entry in found.items() if entry["type"] == "file" and not key.endswith("/")}
    if not sizes:
        raise PrefixUnreadable(f"There is nothing at s3://{root}.")
    if len(sizes) > max_files:
        raise PrefixUnreadable(f"s3://{root} has {len(sizes)} objects, more than the {max_files} files that a data set may have.")
    if sum(sizes.values()) > max_bytes:
        raise PrefixUnreadable(f"s3://{root} has {sum(sizes.values())} bytes, more than the {max_bytes} that a data set may have.")
    check()
    if list(sizes) == [root]:
        files.get_file(root, str(target / PurePosixPath(root).name))
        return target / PurePosixPath(root).name
    paths = relative_paths(sorted(sizes), root)
    keys = iter(paths)
    while batch := list(islice(keys, FILES_AT_ONCE)):
        check()
        local = [target / paths[key] for key in batch]
        for path in local:
            path.parent.mkdir(parents=True, exist_ok=True)
        files.get(batch, [str(path) for path in local])
    return target


def relative_paths(keys: list[str], root: str) -> dict[str, PurePosixPath]:
    """The path of each object below the prefix; refuses names that cannot all be files of one folder."""
    paths = {key: _relative(key, root) for key in keys}
    files = set(paths.values())
    for key, path in paths.items():
        if not files.isdisjoint(path.parents):
            raise PrefixUnreadable(f"s3://{key} is below another object, so that a folder cannot contain both.")
    if len(files) < len(paths):
        raise PrefixUnreadable(f"s3://{root} has objects whose names differ only in repeated slashes.")
    return paths


def _relative(key: str, root: str) -> PurePosixPath:
    """The path of an object below the prefix."""
    path = PurePosixPath(key.removeprefix(root + "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in key or any(len(part.encode()) > NAME_MAX_BYTES for part in path.parts):
        raise PrefixUnreadable(f"The name of s3://{key} is not that of a file below its prefix.")
    return path
