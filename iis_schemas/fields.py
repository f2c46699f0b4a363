"""Fields that several requests or answers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.names import ElementKind
from iis_schemas.numbers import Integer, Number
from iis_schemas.stored import StoredModel

MAX_SEED = 2**31 - 1
MAX_DEADLINE_SECONDS = 7 * 24 * 3600
MAX_TOP = 100  # concepts that an explanation lists for and against
DEFAULT_SCALES = (1,)
"""Scales of a request that names none."""
EARLIER_SCALES = (4,)
"""Scales of stored requests without scales, which this and earlier releases write for a 4 x 4 grid."""
SCALE_MAX = 8

Seed = Annotated[Integer, Field(ge=0, le=MAX_SEED)]
Deadline = Annotated[Number | None, Field(gt=0, le=MAX_DEADLINE_SECONDS, description="Seconds of running time, over all attempts")]


class Elements(BaseModel):
    """How visual elements are cut from training images."""

    model_config = ConfigDict(extra="forbid")

    kind: ElementKind = "patches"
    images_per_class: Integer | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Training images to cut in each class; null for as many as give 1000 elements, but at least 10",
    )
    seed: Seed = 0
    scales: tuple[Annotated[Integer, Field(ge=1, le=SCALE_MAX)], ...] = Field(
        default=DEFAULT_SCALES,
        max_length=SCALE_MAX,
        description="Grids of patches, each by its patches per side: 1 is the whole image, 4 a 4 x 4 grid. Empty for kind segments",
        json_schema_extra={"uniqueItems": True},
    )

    @model_validator(mode="after")
    def _grids_of_patches(self) -> Self:
        if self.kind == "segments":
            if self.scales not in ((), DEFAULT_SCALES):
                raise PydanticCustomError(
                    "scales_not_taken", "Segments have no grid: leave out scales, or choose the kind patches_and_segments."
                )
            self.scales = ()
        elif not self.scales or len(set(self.scales)) < len(self.scales):
            raise PydanticCustomError(
                "scales", "scales must be different whole numbers from 1 (the whole image) to {most}.", {"most": SCALE_MAX}
            )
        else:
            self.scales = tuple(sorted(self.scales))
        return self

    def to_spec(self) -> dict[str, Any]:
        """The elements as a job's row keeps them: without `scales` where they are those of requests before `scales` existed.

        So equal requests of all releases are stored alike, and are recognised as equal.
        """
        scales = {} if self.scales in ((), EARLIER_SCALES) else {"scales": list(self.scales)}
        return self.model_dump(exclude={"scales"}) | scales


class ElementsView(StoredModel):
    """How the visual elements of a job were cut."""

    kind: ElementKind
    images_per_class: int | None
    seed: int
    scales: list[int] | None = Field(default=None, description="Grids of patches, each by its patches per side; absent for kind segments")

    @model_validator(mode="before")
    @classmethod
    def _with_stored_scales(cls, value: object) -> object:
        return with_stored_scales(value)

    @property
    def in_words(self) -> str:
        """Such as `whole images + 2 x 2 patches and segments of 10 images per class`."""
        grids = ["whole images" if scale == 1 else f"{scale} x {scale} patches" for scale in self.scales or ()]
        kinds = [" + ".join(grids)] if grids else []
        if self.kind != "patches":
            kinds.append("segments")
        images = "" if self.images_per_class is None else f" of {self.images_per_class} images per class"
        return f"{' and '.join(kinds)}{images}"


def with_stored_scales(value: object) -> object:
    """Add the scales to stored elements that have none."""
    if not isinstance(value, Mapping) or "scales" in value or value.get("kind", "patches") == "segments":
        return cast("object", value)
    return {**cast("Mapping[str, Any]", value), "scales": list(EARLIER_SCALES)}


class FailureReason(BaseModel):
    """Why a job, or the check of a model, data set or concept set, failed: one sentence, and a stable code."""

    code: str
    message: str
    param: str | None = Field(default=None, description="The field at fault")
