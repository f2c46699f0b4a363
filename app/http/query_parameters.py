"""Refuse query parameters that a route does not declare: a misspelt filter would otherwise be ignored, and everything listed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import cast

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.errors import InvalidInput

SHOWN_CHARACTERS = 100


async def require_known_query(request: Request) -> None:
    """Dependency of each route of the API.

    Raises
    ------
    InvalidInput
        Names the first unknown parameter.
    """
    if not request.query_params:
        return
    known = sorted(declared_query(cast("APIRoute", request.scope["route"]).dependant))
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is None:
        return
    near = get_close_matches(unknown, known, 1)
    takes = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}." if known else "it takes none."
    raise InvalidInput(
        f"{unknown[:100]!r} is not a query parameter of this address; {takes}", code="unknown_parameter", param=unknown[:100]
    )


def declared_query(dependant: Dependant) -> set[str]:
    """The query parameters of a route and of all that it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(declared_query(each) for each in dependant.dependencies))
