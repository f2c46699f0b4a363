"""Cursor pagination: `?after=ID&limit=N`, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query

from app.errors import InvalidInput
from iis_schemas.pages import DEFAULT_LIMIT, MAX_LIMIT, Item, Page

LARGEST_NUMBER = 2**31 - 1
ID_PATTERN = r"^[A-Za-z0-9_]{1,64}$"


@dataclass(frozen=True)
class PageRequest:
    """Cursor and maximum length of a page."""

    after: str | None
    limit: int


async def _page_params(
    after: Annotated[str | None, Query(description="Id of the last item of the previous page.", pattern=ID_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
) -> PageRequest:
    return PageRequest(after, limit)


PageParams = Annotated[PageRequest, Depends(_page_params)]


def number_cursor(after: str | None) -> int | None:
    """Cursor of a list whose items are numbered.

    Raises
    ------
    InvalidInput
        If it is not an integer in range.
    """
    if after is None:
        return None
    if not after.isdecimal() or len(after) > 10 or int(after) > LARGEST_NUMBER:
        raise InvalidInput(f"after is the number of the last item of the previous page, an integer; {after!r} is not valid.", param="after")
    return int(after)


def page(items: Sequence[Item], params: PageRequest, path: str, cursors: Sequence[str | int] | None = None) -> Page[Item]:
    """Build a page from one item more than fits, which shows whether there is a next page.

    Parameters
    ----------
    items : up to `params.limit` + 1 items in display order
    path : path of the list for the links; may have a query
    cursors : one per item, if the cursor is not the item's `id`
    """
    shown = list(items[: params.limit])
    has_more = len(items) > params.limit
    after = None
    if shown and has_more:
        after = str(cursors[len(shown) - 1] if cursors is not None else getattr(shown[-1], "id"))  # noqa: B009 (Item has no id for pyright)
    separator = "&" if "?" in path else "?"
    own = {"limit": params.limit} | ({"after": params.after} if params.after else {})
    links = {"self": path + separator + urlencode(own)}
    if after:
        links["next"] = path + separator + urlencode({"limit": params.limit, "after": after})
    return Page[Item](data=shown, has_more=has_more, after=after, links=links)
