"""What goes wrong when a library builds a network or fetches its weights, as sentences that say what there is instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from torch import nn

from iis_engine.errors import ArchitectureError

_BUILD_ERRORS = (
    *(TypeError, ValueError, AssertionError, RuntimeError, KeyError, AttributeError, IndexError),
    *(NotImplementedError, ArithmeticError, OSError),
)


def near(wanted: str, known: list[str]) -> str:
    """A sentence with the names most like `wanted`, or nothing."""
    close = get_close_matches(wanted, known, n=4, cutoff=0.5)
    return f" Near it: {', '.join(close)}." if close else ""


def built(build: Callable[[], nn.Module], title: str, arguments: dict[str, Any], known_arguments: Callable[[], list[str]]) -> nn.Module:
    """What `build` makes; an ArchitectureError where the library cannot, with near names for an argument it does not have."""
    try:
        return build()
    except _BUILD_ERRORS as error:
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unexpected:
            raise _unknown_argument(unexpected[1], title, known_arguments()) from error
        fixed = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
        if fixed:
            raise ArchitectureError(
                f"{title} fixes {fixed[1]!r} itself; choose the variant of the name that has it.", param="arguments"
            ) from error
        raise ArchitectureError(f"{title} cannot be built with the arguments {arguments}: {error}.", param="arguments") from error


def fetched(fetch: Callable[[], nn.Module], title: str, tag: str) -> nn.Module:
    """What `fetch` downloads; an ArchitectureError where it cannot."""
    try:
        return fetch()
    except Exception as error:  # the three libraries' download stacks share no exception below Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ArchitectureError(
            f"The published weights {tag!r} of {title} could not be fetched ({reason}); upload them as a checkpoint.",
            code="pretrained_unavailable",
            param="pretrained",
        ) from error


def require_tag(title: str, tag: str, tags: list[str]) -> None:
    """Refuse a tag that no weights are published under, with an ArchitectureError."""
    if tag not in tags:
        offered = f"it has {', '.join(tags[:8])}" if tags else "it has none"
        raise ArchitectureError(f"{title} has no published weights {tag!r}; {offered}.", code="pretrained_unknown", param="pretrained")


def unknown(family: str, name: str, known: list[str]) -> ArchitectureError:
    """The refusal of a name that a library does not have."""
    return ArchitectureError(
        f"{family} has no architecture {name!r}.{near(name, known)}", code="architecture_unknown", param="architecture"
    )


def _unknown_argument(argument: str, title: str, known: list[str]) -> ArchitectureError:
    return ArchitectureError(f"{title} has no argument {argument!r}.{near(argument, known)}", param="arguments")
