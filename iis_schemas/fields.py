"""Fields that several requests or answers share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import ElementKind
from iis_schemas.numbers import Integer, Number
from iis_schemas.stored import StoredModel

MAX_SEED = 2**31 - 1
MAX_DEADLINE_SECONDS = 7 * 24 * 3600
MAX_TOP = 100  # concepts that an explanation lists for and against

Seed = Annotated[Integer, Field(ge=0, le=MAX_SEED)]
Deadline = Annotated[Number | None, Field(gt=0, le=MAX_DEADLINE_SECONDS, description="Seconds of running time, over all attempts")]


class Elements(BaseModel):
    """How visual elements are cut from training images."""

    model_config = ConfigDict(extra="forbid")

    kind: ElementKind = "patches"
    images_per_class: Integer = Field(default=10, ge=1, le=1000)
    seed: Seed = 0


class ElementsView(StoredModel):
    """How the visual elements of a job were cut."""

    kind: ElementKind
    images_per_class: int
    seed: int


class FailureReason(BaseModel):
    """Why a job, or the check of a model, data set or concept set, failed: one sentence, and a stable code."""

    code: str
    message: str
    param: str | None = Field(default=None, description="The field at fault")
