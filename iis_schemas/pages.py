"""One page of a list."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Item = TypeVar("Item", bound=BaseModel)
MAX_LIMIT = 100
DEFAULT_LIMIT = 20


class Page(BaseModel, Generic[Item]):
    """One page of a list; pass `after` in the query for the next one."""

    data: list[Item]
    has_more: bool
    after: str | None
    links: dict[str, str]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        arguments = cls.__pydantic_generic_metadata__["args"]
        extra = cast("dict[str, Any]", arguments[0].model_config.get("json_schema_extra") or {}) if arguments else {}
        items = [] if not extra.get("examples") else [extra["examples"][0]]
        schema["examples"] = [{"data": items, "has_more": False, "after": None, "links": {"self": "?limit=20"}}]
        return schema
