"""The oldest versions of packages that may parse what strangers send, asserted at start; the reasons are in docs/security.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

from packaging.version import Version

API_FLOORS = {
    "h11": "0.16.0",
    "jinja2": "3.1.6",
    "python-multipart": "0.0.31",
    "starlette": "1.3.1",
}


class PackageTooOld(Exception):
    """An installed package has a known hole. The message is a sentence that says what to install."""


def require_floors(floors: Mapping[str, str], installed: Callable[[str], str] = metadata.version) -> None:
    """Raise `PackageTooOld` unless each package is installed in its floor's version or a later one.

    Parameters
    ----------
    floors : package to its oldest safe version
    installed : the version of an installed package
    """
    old = [(name, installed(name), floor) for name, floor in floors.items() if Version(installed(name)) < Version(floor)]
    if old:
        held = ", ".join(f"{name} {version}" for name, version, _ in old)
        wanted = " ".join(f"'{name}>={floor}'" for name, _, floor in old)
        raise PackageTooOld(f"{held} has known holes that hostile input reaches (docs/security.md); run pip install {wanted}.")
