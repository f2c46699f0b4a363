"""Name, notes, tags and metadata of models, data sets, jobs, studies and concept libraries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TAGS = 16
MAX_PAIRS = 16
MAX_NOTES_CHARACTERS = 10_000
MAX_NAME_CHARACTERS = 200
KEY_PATTERN = r"[A-Za-z0-9_.\-]{1,40}"


def _without_repeats(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


ResourceName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=r"^[^\x00]+$")]
Notes = Annotated[str, Field(min_length=1, max_length=MAX_NOTES_CHARACTERS, pattern=r"^[^\x00]+$", description="Free text")]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f,]+$")]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS, description="Without commas"), AfterValidator(_without_repeats)]
MetadataKey = Annotated[str, Field(pattern=f"^{KEY_PATTERN}$")]
MetadataValue = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_PAIRS, description="Pairs of your own, as text")]
MetadataChanges = Annotated[
    dict[MetadataKey, MetadataValue | None],
    Field(max_length=2 * MAX_PAIRS, description="Pairs to set; null as a value removes the pair, null for metadata removes all"),
]


class DescriptionCreate(BaseModel):
    """Description of a new resource."""

    notes: Notes | None = None
    tags: Tags = Field(default_factory=list[str])
    metadata: Metadata = Field(default_factory=dict[str, str])


class NamedCreate(DescriptionCreate):
    """Name and description of a new resource."""

    name: ResourceName | None = None


class DescriptionUpdate(BaseModel):
    """Change the description of a resource; fields that are left out stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"tags": ["baseline"], "metadata": {"team": "vision", "ticket": None}, "notes": None}]},
    )

    name: ResourceName = Field(default="", description="Cannot be removed")
    notes: Notes | None = Field(default=None, description="null removes them")
    tags: Tags | None = Field(default=None, description="All tags; null removes them")
    metadata: MetadataChanges | None = None


class OptionalNameUpdate(BaseModel):
    """Change the description of a resource whose name may be missing; fields that are left out stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "baseline, seed 0", "tags": ["baseline"], "metadata": {"ticket": None}}]},
    )

    name: ResourceName | None = Field(default=None, description="null removes it")
    notes: Notes | None = Field(default=None, description="null removes them")
    tags: Tags | None = Field(default=None, description="All tags; null removes them")
    metadata: MetadataChanges | None = None


class DescribedView(BaseModel):
    """What the owner of a resource noted about it."""

    notes: str | None = None
    tags: list[str] = Field(default_factory=list[str])
    metadata: dict[str, str] = Field(default_factory=dict[str, str])


DESCRIBED_EXAMPLE: dict[str, Any] = {"notes": None, "tags": ["baseline"], "metadata": {"team": "vision"}}
