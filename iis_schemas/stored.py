"""Answers that the service keeps as JSON and returns as they were written."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class StoredModel(BaseModel):
    """Base of models that serialise exactly the fields that were read.

    A field that an older release did not write stays absent, and one that this release does not know is kept.
    """

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def _as_read(self, handler: SerializerFunctionWrapHandler):  # no return type: it would replace the JSON schema
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if name in self.model_fields_set}
