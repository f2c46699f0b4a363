"""Copies of what lies below a prefix of an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    """Measure all objects, then copy them; both page by page, so that memory does not grow with the number of objects."""
    is_empty = True
    for page in _pages(files, root, limits, check):
        is_empty = is_empty and not page
        for key in page:
            _relative(key, root)
    if is_empty:
        return _copy_object(files, root, target, limits)
    for page in _pages(files, root, limits, check):
        keys = iter(page)
        while batch := list(islice(keys, FILES_AT_ONCE)):
            check()
            files.get(batch, [str(reserve(key, root, target)) for key in batch])
    return target


def _pages(files: Any, root: str, limits: tuple[int, int], check: Callable[[], None]) -> Iterator[dict[str, int]]:
    """Sizes of the objects below a prefix, a page at a time; ends with a refusal at the first page beyond a limit."""
    max_bytes, max_files = limits
    bucket, _, prefix = root.partition("/")
    asked: dict[str, str] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    listed, size_bytes = 0, 0
    while True:
        check()
        answer: dict[str, Any] = files.call_s3("list_objects_v2", **asked)
        contents: list[dict[str, Any]] = answer.get("Contents", [])
        listed += len(contents)  # with markers of folders, so that the listing ends
        sizes = {f"{bucket}/{entry['Key']}": int(entry["Size"]) for entry in contents if not entry["Key"].endswith("/")}
        size_bytes += sum(sizes.values())
        if listed > max_files:
            raise PrefixUnreadable(f"s3://{root} has more than {max_files} objects, the most files that a data set may have.")
        if size_bytes > max_bytes:
            raise PrefixUnreadable(f"s3://{root} has more than {max_bytes} bytes, the most that a data set may have.")
        yield sizes
        token = answer.get("NextContinuationToken")
        if token is None:
            return
        asked["ContinuationToken"] = token


def _copy_object(files: Any, key: str, target: Path, limits: tuple[int, int]) -> Path:
    """Copy the object of exactly this name."""
    entry: dict[str, Any] = files.info(key)
    if entry["type"] != "file":
        raise PrefixUnreadable(f"There is nothing at s3://{key}.")
    if entry["size"] > limits[0]:
        raise PrefixUnreadable(f"s3://{key} has {entry['size']} bytes, more than the {limits[0]} that a data set may have.")
    path = target / PurePosixPath(key).name
    files.get_file(key, str(path))
    return path


def reserve(key: str, root: str, target: Path) -> Path:
    """Create the empty file that an object below the prefix is copied to; refuses names that cannot all be files of one folder."""
    path = target / _relative(key, root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
    except (FileExistsError, NotADirectoryError) as error:
        if path.is_file():
            raise PrefixUnreadable(f"s3://{root} has objects whose names differ only in repeated slashes, such as s3://{key}.") from error
        raise PrefixUnreadable(f"s3://{key} is below another object or above one, so that a folder cannot contain both.") from error
    return path


def _relative(key: str, root: str) -> PurePosixPath:
    """The path of an object below the prefix."""
    path = PurePosixPath(key.removeprefix(root + "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in key or any(len(part.encode()) > NAME_MAX_BYTES for part in path.parts):
        raise PrefixUnreadable(f"The name of s3://{key} is not that of a file below its prefix.")
    return path
