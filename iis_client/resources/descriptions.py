"""Names, notes, tags and metadata of resources: arguments of calls that change them, and filters of lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from pydantic import BaseModel

from iis_client.transport.messages import build_request, request_body

NameOrder = Literal["created_at", "-created_at", "name", "-name"]
JobOrder = Literal["created_at", "-created_at", "iis", "-iis"]


class DescriptionChanges(TypedDict, total=False):
    """Fields that are left out stay; None removes."""

    name: str | None
    notes: str | None
    tags: Sequence[str] | None
    metadata: Mapping[str, str | None] | None


class ListFilters(TypedDict, total=False):
    """Filters of a list: tags and pairs of metadata that each has, and a part of its name."""

    tags: Sequence[str]
    metadata: Mapping[str, str]
    name_contains: str


Query = dict[str, str | int | list[str] | None]


def change_body(model: type[BaseModel], changes: DescriptionChanges) -> dict[str, Any]:
    """JSON of a PATCH: the fields that were given, None included.

    Raises
    ------
    ConfigurationError
        When a value is not valid.
    """
    given: dict[str, Any] = {**changes}
    removed = {name: None for name, value in given.items() if value is None}
    return request_body(build_request(model, given)) | removed


def list_query(filters: ListFilters, sort: str | None = None, **others: str | None) -> Query:
    """Query of a list."""
    return {
        "tag": list(filters.get("tags", ())) or None,
        "metadata": [f"{key}:{value}" for key, value in filters.get("metadata", {}).items()] or None,
        "name_contains": filters.get("name_contains"),
        "sort": sort,
        **others,
    }
