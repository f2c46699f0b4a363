"""Fields that jobs of several kinds are asked for with. No whole request lives here."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.http.strict_numbers import Integer, Number
from iis_engine.specs import ElementKind

MAX_SEED = 2**31 - 1
MAX_DEADLINE_SECONDS = 7 * 24 * 3600

Seed = Annotated[Integer, Field(ge=0, le=MAX_SEED)]
Deadline = Annotated[Number | None, Field(gt=0, le=MAX_DEADLINE_SECONDS, description="Of running time, over all attempts")]


class Elements(BaseModel):
    """How visual elements are cut from training images."""

    model_config = ConfigDict(extra="forbid")

    kind: ElementKind = "patches"
    images_per_class: Integer = Field(default=10, ge=1, le=1000)
    seed: Seed = 0
