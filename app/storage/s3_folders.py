"""Copies of what lies below a prefix of an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from app.storage.s3_requests import open_s3

FILES_AT_ONCE = 32


class PrefixUnreadable(Exception):
    """The prefix cannot be copied; the message says why."""


def copy_prefix(url: str, target: Path, *, endpoint_url: str | None, max_bytes: int, check: Callable[[], None]) -> Path:
    """Copy all objects below a prefix into a new folder, or the one object of that name to a file in it.

    Parameters
    ----------
    url : `s3://bucket/prefix`
    target : folder, which does not exist
    max_bytes : of all objects together
    check : called between requests; raises to stop

    Returns
    -------
    The folder, or the file in it.

    Raises
    ------
    PrefixUnreadable
        If there is nothing, it is too large, a name would leave the folder, or the server refuses.
    """
    target.mkdir(parents=True)
    try:
        files, root = open_s3(url, endpoint_url)
        return _copy(files, root.rstrip("/"), target, max_bytes, check)
    except (OSError, ValueError) as error:  # s3fs translates the server's refusals
        raise PrefixUnreadable(f"{url} cannot be read: {error}.") from error


def _copy(files: Any, root: str, target: Path, max_bytes: int, check: Callable[[], None]) -> Path:
    found: dict[str, dict[str, Any]] = files.find(root, detail=True)
    sizes = {key: int(entry["size"]) for key, entry in found.items() if entry["type"] == "file" and not key.endswith("/")}
    if not sizes:
        raise PrefixUnreadable(f"There is nothing at s3://{root}.")
    if sum(sizes.values()) > max_bytes:
        raise PrefixUnreadable(f"s3://{root} has {sum(sizes.values())} bytes, more than the {max_bytes} that a data set may have.")
    if list(sizes) == [root]:
        check()
        files.get_file(root, str(target / PurePosixPath(root).name))
        return target / PurePosixPath(root).name
    keys = iter(sorted(sizes))
    while batch := list(islice(keys, FILES_AT_ONCE)):
        check()
        paths = [target / _relative(key, root) for key in batch]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        files.get(batch, [str(path) for path in paths])
    return target


def _relative(key: str, root: str) -> PurePosixPath:
    """The path of an object below the prefix."""
    path = PurePosixPath(key.removeprefix(root + "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in key:
        raise PrefixUnreadable(f"The name of s3://{key} is no path below its prefix.")
    return path
