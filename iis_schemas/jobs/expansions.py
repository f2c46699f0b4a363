"""Resources that a job names, which answers embed where `expand` asks for them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from iis_schemas.concept_libraries import ConceptLibraryView
from iis_schemas.datasets import DatasetView
from iis_schemas.models import ModelView


class ExpandedResources(BaseModel):
    """Resources of a job by the name of its field; null where not asked for, not named, or deleted."""

    model: ModelView | None = None
    dataset: DatasetView | None = Field(default=None, description="Without class names and counts by class, as in lists")
    library_dataset: DatasetView | None = None
    vlm: ModelView | None = None
    library: ConceptLibraryView | None = Field(default=None, description="That a score was read through; null until it has succeeded")
