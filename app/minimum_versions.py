"""Minimum safe versions of the packages that parse untrusted input, checked at start. Reasons: docs/security.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

from packaging.version import Version

API_MINIMUM_VERSIONS = {
    "h11": "0.16.0",
    "jinja2": "3.1.6",
    "python-multipart": "0.0.31",
    "starlette": "1.3.1",
}


class MinimumVersionError(Exception):
    """An installed package has a known vulnerability; the message names the version to install."""


def require_minimum_versions(minimums: Mapping[str, str], installed: Callable[[str], str] = metadata.version) -> None:
    """Check that each package is installed in its minimum version or a later one.

    Parameters
    ----------
    minimums : minimum safe version by package name
    installed : returns the installed version of a package

    Raises
    ------
    MinimumVersionError
    """
    outdated = [(name, installed(name), minimum) for name, minimum in minimums.items() if Version(installed(name)) < Version(minimum)]
    if outdated:
        found = ", ".join(f"{name} {version}" for name, version, _ in outdated)
        required = " ".join(f"'{name}>={minimum}'" for name, _, minimum in outdated)
        raise MinimumVersionError(
            f"{found} has known vulnerabilities that uploaded files can exploit (docs/security.md); run pip install {required}."
        )
