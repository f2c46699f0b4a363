"""Query parameters of lists of described resources: filters, order, cursor and limit, and the page that answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import BaseModel

from app.db.descriptions import DescriptionFilters
from app.db.lists.listing import NEWEST_FIRST, ListQuery
from app.http.pagination import Page, PageRequest, page
from iis_schemas.descriptions import KEY_PATTERN, MAX_PAIRS, MAX_TAGS, Tag
from iis_schemas.pages import DEFAULT_LIMIT, MAX_LIMIT

CURSOR_PATTERN = r"^[A-Za-z0-9_\-]{1,4000}$"
PAIR = rf"{KEY_PATTERN}:[^\x00]{{0,500}}"

Item = TypeVar("Item", bound=BaseModel)
NameSort = Literal["created_at", "-created_at", "name", "-name"]
ScoreSort = Literal["created_at", "-created_at", "iis", "-iis"]
Pair = Annotated[str, Query(pattern=f"^{PAIR}$")]


async def _filters(
    tag: Annotated[list[Tag] | None, Query(max_length=MAX_TAGS, description="A tag that each has; repeat it for several.")] = None,
    metadata: Annotated[
        list[Pair] | None, Query(max_length=MAX_PAIRS, description="KEY:VALUE, a pair that each has; repeat it for several.")
    ] = None,
    name_contains: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            pattern=r"^[^\x00]+$",
            description="Part of the name, in any case; of a job also of its model's or data set's name.",
        ),
    ] = None,
) -> DescriptionFilters:
    pairs = [pair.partition(":") for pair in metadata or ()]
    return DescriptionFilters(tag or (), [(key, value) for key, _, value in pairs], name_contains)


FiltersDep = Annotated[DescriptionFilters, Depends(_filters)]
After = Annotated[str | None, Query(description="`after` of the previous page, in the same order.", pattern=CURSOR_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


async def _named(
    filters: FiltersDep,
    sort: Annotated[NameSort, Query(description="Order; with - in front, descending.")] = NEWEST_FIRST,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ListQuery:
    return ListQuery(limit, after, sort, filters)


async def _scored(
    filters: FiltersDep,
    sort: Annotated[
        ScoreSort, Query(description="Order; with - in front, descending. By iis, jobs without a score are lowest.")
    ] = NEWEST_FIRST,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ListQuery:
    return ListQuery(limit, after, sort, filters)


NamedList = Annotated[ListQuery, Depends(_named)]
ScoredList = Annotated[ListQuery, Depends(_scored)]


def listed_page(items: Sequence[Item], cursors: Sequence[str], query: ListQuery, path: str, **filters: str | None) -> Page[Item]:
    """Build a page whose links repeat the filters and the order.

    Parameters
    ----------
    items, cursors : up to `query.limit` + 1, in display order
    filters : further parameters of the list, None where not given
    """
    given = [(name, value) for name, value in filters.items() if value is not None]
    given += [("tag", tag) for tag in query.filters.tags]
    given += [("metadata", f"{key}:{value}") for key, value in query.filters.metadata]
    if query.filters.name_contains is not None:
        given.append(("name_contains", query.filters.name_contains))
    if query.sort != NEWEST_FIRST:
        given.append(("sort", query.sort))
    at = path + (f"?{urlencode(given)}" if given else "")
    return page(items, PageRequest(query.after, query.limit), at, cursors)
