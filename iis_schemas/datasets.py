"""Requests and answers of data sets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.descriptions import DESCRIBED_EXAMPLE, DescribedView, NamedCreate
from iis_schemas.fields import FailureReason, Seed
from iis_schemas.names import CheckState, DatasetKind, TaskName
from iis_schemas.numbers import Number
from iis_schemas.stored import StoredModel

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
HUB_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)?$"


ServerPath = Annotated[
    str,
    Field(min_length=1, max_length=4096, description="A folder on the server, or a prefix s3://bucket/folder, that its operator allows"),
]
SplitSeed = Annotated[Seed, Field(description="Of the stratified split, where the data have none of their own")]
TestShare = Annotated[Number, Field(gt=0, lt=1, description="Of the stratified split, where the data have none of their own")]
DEFAULT_TEST_SHARE = 0.2


class HubChoice(BaseModel):
    """A data set of the Hugging Face Hub, at one revision."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200, pattern=HUB_PATTERN)
    revision: str = Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-/]*$", description="A commit, so that the data do not change")
    configuration: str | None = Field(default=None, max_length=200, pattern=r"^[A-Za-z0-9_.\-]+$")
    image_column: str | None = Field(default=None, min_length=1, max_length=200)
    label_column: str | None = Field(default=None, min_length=1, max_length=200)


class ManifestChoice(BaseModel):
    """The table that names the images with their labels: CSV, TSV, JSON Lines or Parquet."""

    model_config = ConfigDict(extra="forbid")

    upload: str | None = Field(default=None, max_length=64, description="A complete upload: a table beside the images")
    path: str | None = Field(default=None, min_length=1, max_length=1024, description="Of a table inside the archive or folder")
    path_column: ColumnName | None = Field(default=None, description="Column of the images' paths; recognised by its name if left out")
    label_column: ColumnName | None = Field(default=None, description="Column of the classes; recognised by its name if left out")
    split_column: ColumnName | None = Field(
        default=None, description="Column of train, validation or test; recognised by its name if left out"
    )

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        if (self.upload is None) == (self.path is None):
            raise PydanticCustomError("manifest_source", "Give exactly one of manifest.upload and manifest.path.")
        return self


class DatasetCreate(NamedCreate):
    """Labelled images in class folders or named by a manifest, or ready feature matrices."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "digits", "kind": "images", "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w", "test_share": 0.2, "split_seed": 0}
            ]
        },
    )

    kind: DatasetKind = "images"
    upload: str | None = Field(
        default=None,
        max_length=64,
        description="A complete upload: an archive of class folders or of images with a manifest, or a file of features",
    )
    server_path: ServerPath | None = None
    hub: HubChoice | None = None
    manifest: ManifestChoice | None = Field(default=None, description="Of images; a recognisable table in the data needs none")
    split_seed: SplitSeed = 0
    test_share: TestShare = DEFAULT_TEST_SHARE

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("upload", "server_path", "hub") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("dataset_source", "Give exactly one of upload, server_path and hub.")
        if self.kind == "features" and self.hub is not None:
            raise PydanticCustomError("dataset_source", "A features data set comes from an upload or a server_path, not from the Hub.")
        if self.manifest is not None and (self.kind == "features" or self.hub is not None):
            raise PydanticCustomError("manifest_not_taken", "A manifest names images of an upload or a server_path; leave it out.")
        return self


DATASET_EXAMPLE: dict[str, Any] = {
    "id": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "name": "digits",
    **DESCRIBED_EXAMPLE,
    "kind": "images",
    "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "server_path": None,
    "hub": None,
    "manifest": None,
    "split_seed": 0,
    "test_share": 0.2,
    "state": "ready",
    "error": None,
    "digest": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    "info": {"class_names": ["0", "1"], "train": 288, "test": 72, "counts": {"train": {"0": 142, "1": 146}, "test": {"0": 36, "1": 36}}},
    "created_at": "2026-01-12T09:30:00Z",
    "checked_at": "2026-01-12T09:30:02Z",
    "links": {"self": "/v1/datasets/dst_01jz3v8k2m4n6p8q0r2s4t6v8x", "upload": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
}


class HubView(StoredModel):
    """The data set of the Hugging Face Hub that was named."""

    name: str
    revision: str
    configuration: str | None = None
    image_column: str | None = None
    label_column: str | None = None


class ManifestView(StoredModel):
    """The table that was chosen to name the images."""

    upload: str | None = None
    path: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None


class SplitCounts(StoredModel):
    """Images by class, of each split; of multi-label data an image counts for each of its labels."""

    train: dict[str, int] = Field(default_factory=dict[str, int])
    test: dict[str, int] = Field(default_factory=dict[str, int])


class DatasetInfo(StoredModel):
    """What a worker found when it read a data set. Only images have corrupt and ignored files; only ready features have num_features."""

    task: TaskName = Field(
        default="single_label", description="Multi-label data have a set of labels per image; class_names are the labels"
    )
    class_names: list[str] = Field(default_factory=list[str])
    train: int | None = Field(default=None, description="Training images")
    test: int | None = Field(default=None, description="Test images")
    counts: SplitCounts = Field(default_factory=SplitCounts)
    corrupt_count: int | None = Field(default=None, description="Images that could not be read")
    corrupt: list[str] | None = Field(default=None, description="The first of them")
    corrupt_reasons: dict[str, int] | None = Field(default=None, description="Reason to the number of images that could not be read for it")
    ignored_count: int | None = Field(default=None, description="Files that are not labelled images; hidden and system files do not count")
    num_features: int | None = Field(default=None, description="d, of ready features")
    element_count: int | None = Field(default=None, description="Visual elements that come with ready features")
    warnings: list[str] = Field(default_factory=list[str], description="Reasons why a score of these data may mislead")
    notes: list[str] = Field(
        default_factory=list[str], description="What was assumed, chosen, converted or left out while the data were read, a sentence each"
    )


class DatasetView(DescribedView):
    """A data set: pending until a worker has read it, then ready or failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [DATASET_EXAMPLE]})

    id: str
    name: str
    kind: DatasetKind
    upload: str | None
    server_path: str | None
    hub: HubView | None
    manifest: ManifestView | None
    split_seed: int
    test_share: float
    state: CheckState
    error: FailureReason | None
    digest: str | None
    info: DatasetInfo | None = Field(description="Null until a worker has read it")
    created_at: datetime
    checked_at: datetime | None
    links: dict[str, str]
