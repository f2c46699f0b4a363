"""The concept library of a job as answers show it. As it is requested: iis_schemas.jobs.libraries."""

from __future__ import annotations

from pydantic import Field

from iis_schemas.names import LibraryKind
from iis_schemas.stored import StoredModel


class LibraryPartView(StoredModel):
    """A plain library inside a combined one, as a job keeps it."""

    kind: LibraryKind
    concept_count: int
    clip_cutoff: float | None = Field(default=None, description="Of a text library; absent otherwise")
    interpretability_cutoff: float | None = None
    native: bool | None = None


class LibraryView(StoredModel):
    """The library that a job reads the representation through, as the job keeps it: `id`, or the kind with its settings."""

    id: str | None = Field(default=None, description="Of a library fitted before; absent otherwise")
    kind: LibraryKind | None = Field(default=None, description="Of a library to fit; absent otherwise")
    upload: str | None = Field(default=None, description="Of a library of own vectors; absent otherwise")
    concept_count: int | None = Field(default=None, description="M; null where the file of own vectors says it")
    parts: list[LibraryPartView] = Field(default_factory=list[LibraryPartView])
    clip_cutoff: float | None = Field(default=None, description="Of a text library; absent otherwise")
    interpretability_cutoff: float | None = None
    native: bool | None = None
