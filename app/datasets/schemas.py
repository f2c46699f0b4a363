"""Wire types of data sets: where the images or features lie, how they are split, and what a check found out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.db.models import Dataset
from app.http.strict_numbers import Integer, Number
from app.validation import CheckError

HUB_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)?$"


class HubChoice(BaseModel):
    """A data set of the Hugging Face Hub, at one revision."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200, pattern=HUB_PATTERN)
    revision: str = Field(
        max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-/]*$", description="A commit, so that the data never change under a result"
    )
    configuration: str | None = Field(default=None, max_length=200, pattern=r"^[A-Za-z0-9_.\-]+$")
    image_column: str | None = Field(default=None, min_length=1, max_length=200)
    label_column: str | None = Field(default=None, min_length=1, max_length=200)


class DatasetCreate(BaseModel):
    """Labelled images in class folders, or ready feature matrices."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "digits", "kind": "images", "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w", "test_share": 0.2, "split_seed": 0}
            ]
        },
    )

    name: str | None = Field(default=None, min_length=1, max_length=200)
    kind: Literal["images", "features"] = "images"
    upload: str | None = Field(
        default=None, max_length=64, description="A complete upload: an archive of class folders, or an npz or safetensors file of features"
    )
    server_path: str | None = Field(
        default=None, min_length=1, max_length=4096, description="A folder on the server that its operator allows"
    )
    hub: HubChoice | None = None
    split_seed: Integer = Field(default=0, ge=0, le=2**31 - 1, description="Of the stratified split, where the data have none of their own")
    test_share: Number = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("upload", "server_path", "hub") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("dataset_source", "Give exactly one of upload, server_path and hub.")
        if self.kind == "features" and self.hub is not None:
            raise PydanticCustomError("dataset_source", "A features data set comes from an upload or a server_path, not from the Hub.")
        return self


DATASET_EXAMPLE: dict[str, Any] = {
    "id": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "name": "digits",
    "kind": "images",
    "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "server_path": None,
    "hub": None,
    "split_seed": 0,
    "test_share": 0.2,
    "state": "ready",
    "error": None,
    "digest": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    "info": {"class_names": ["0", "1"], "train": 288, "test": 72},
    "created_at": "2026-01-12T09:30:00Z",
    "checked_at": "2026-01-12T09:30:02Z",
    "links": {"self": "/v1/datasets/dst_01jz3v8k2m4n6p8q0r2s4t6v8x", "upload": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
}


class DatasetView(BaseModel):
    """A data set as its owner sees it: pending until a worker has read it, then ready or failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [DATASET_EXAMPLE]})

    id: str
    name: str
    kind: Literal["images", "features"]
    upload: str | None
    server_path: str | None
    hub: dict[str, Any] | None
    split_seed: int
    test_share: float
    state: Literal["pending", "ready", "failed"]
    error: CheckError | None
    digest: str | None
    info: dict[str, Any] | None
    created_at: datetime
    checked_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetView:
        """The view of a row."""
        links = {"self": f"/v1/datasets/{dataset.id}"}
        if dataset.upload_id is not None:
            links["upload"] = f"/v1/uploads/{dataset.upload_id}"
        return cls.model_validate(
            {
                "id": dataset.id,
                "name": dataset.name,
                "kind": dataset.kind,
                "upload": dataset.upload_id,
                "server_path": dataset.server_path,
                "hub": dataset.hub,
                "split_seed": dataset.split_seed,
                "test_share": dataset.test_share,
                "state": dataset.state,
                "error": dataset.error,
                "digest": dataset.digest,
                "info": dataset.info,
                "created_at": dataset.created_at,
                "checked_at": dataset.checked_at,
                "links": links,
            }
        )
