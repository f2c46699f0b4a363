"""Turn a library's failures to build a network or download its weights into `ArchitectureError`s that suggest alternatives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from torch import nn

from iis_engine.errors import ArchitectureError, first_line

_BUILD_ERRORS = (
    *(TypeError, ValueError, AssertionError, RuntimeError, KeyError, AttributeError, IndexError),
    *(NotImplementedError, ArithmeticError, OSError),
)


def suggestion(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return the known names most similar to an unknown one as " (did you mean …?)", or an empty string.

    Parameters
    ----------
    prefix : put before each suggested name

    Examples
    --------
    >>> suggestion("resnet81", ["resnet18", "vit"])
    ' (did you mean resnet18?)'
    """
    close = get_close_matches(name, list(known), n=4, cutoff=0.5)
    return f" (did you mean {', '.join(prefix + similar for similar in close)}?)" if close else ""


def build_checked(
    build: Callable[[], nn.Module], title: str, arguments: dict[str, Any], known_arguments: Callable[[], list[str]]
) -> nn.Module:
    """Call `build` and translate its errors.

    Parameters
    ----------
    title : name of the network in the message
    arguments : quoted in the message
    known_arguments : called on an unexpected keyword argument, for the suggestions

    Raises
    ------
    ArchitectureError
        If the library rejects the arguments.
    """
    try:
        return build()
    except _BUILD_ERRORS as error:
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unexpected:
            similar = suggestion(unexpected[1], known_arguments())
            raise ArchitectureError(f"{title} has no argument {unexpected[1]!r}{similar}.", param="arguments") from error
        fixed = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
        if fixed:
            raise ArchitectureError(
                f"{title} sets {fixed[1]!r} itself; choose the variant of the architecture with the value you want.", param="arguments"
            ) from error
        raise ArchitectureError(f"{title} cannot be built with the arguments {arguments}: {error}.", param="arguments") from error


def download_checked(download: Callable[[], nn.Module], title: str, tag: str) -> nn.Module:
    """Call `download` and translate its errors.

    Raises
    ------
    ArchitectureError
        With the code `pretrained_unavailable` if the weights cannot be downloaded.
    """
    try:
        return download()
    except Exception as error:  # the three libraries' download stacks share no exception below Exception
        raise ArchitectureError(
            f"The published weights {tag!r} of {title} could not be downloaded ({first_line(error)}); upload them as a checkpoint.",
            code="pretrained_unavailable",
            param="pretrained",
        ) from error


def require_tag(title: str, tag: str, tags: list[str]) -> None:
    """Raise an ArchitectureError with the code `pretrained_unknown` if no weights are published under `tag`."""
    if tag not in tags:
        offered = f"it has {', '.join(tags[:8])}" if tags else "it has none"
        raise ArchitectureError(f"{title} has no published weights {tag!r}; {offered}.", code="pretrained_unknown", param="pretrained")


def unknown_architecture(family: str, name: str, known: Iterable[str]) -> ArchitectureError:
    """Return the error for a name that a library does not have."""
    return ArchitectureError(
        f"{family} has no architecture {name!r}{suggestion(name, known)}.", code="architecture_unknown", param="architecture"
    )
