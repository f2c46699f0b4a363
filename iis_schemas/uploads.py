"""Requests and answers of uploads and their parts."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from iis_schemas.numbers import Integer

SHA256_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MAX_PARTS = 10_000
MAX_FILENAME_CHARACTERS = 255


def bare_filename(name: str) -> str:
    """The last component of a path, without control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    bare = "".join(character for character in last if character.isprintable())[-MAX_FILENAME_CHARACTERS:]
    return "upload" if bare in {"", ".", ".."} else bare


Filename = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(bare_filename)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the whole content in lower-case hex")]

UPLOAD_EXAMPLE: dict[str, Any] = {
    "id": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "filename": "resnet18.safetensors",
    "size_bytes": 46830571,
    "sha256": SHA256_EXAMPLE,
    "state": "open",
    "received_bytes": 46830571,
    "parts": [{"number": 1, "size_bytes": 46830571, "sha256": SHA256_EXAMPLE}],
    "part_min_bytes": 65536,
    "part_max_bytes": 67108864,
    "created_at": "2026-01-12T09:30:00Z",
    "expires_at": "2026-01-13T09:30:00Z",
    "completed_at": None,
    "links": {
        "self": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "parts": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w/parts/{number}",
        "complete": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w/complete",
    },
}


class UploadCreate(BaseModel):
    """A file to be uploaded."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"filename": "resnet18.safetensors", "size_bytes": 46830571, "sha256": SHA256_EXAMPLE}]},
    )

    filename: Filename
    size_bytes: Integer = Field(ge=1, le=2**62)
    sha256: Sha256


class PartView(BaseModel):
    """A part that has arrived."""

    model_config = ConfigDict(json_schema_extra={"examples": UPLOAD_EXAMPLE["parts"]})

    number: int
    size_bytes: int
    sha256: str


class UploadView(BaseModel):
    """An upload. A complete one can be named in a model or data set."""

    model_config = ConfigDict(json_schema_extra={"examples": [UPLOAD_EXAMPLE]})

    id: str
    filename: str
    size_bytes: int
    sha256: str
    state: Literal["open", "complete"]
    received_bytes: int
    parts: list[PartView] = Field(description="Parts that have arrived; empty once the upload is complete")
    part_min_bytes: int = Field(description="Least size of a part; one part of an upload may be smaller")
    part_max_bytes: int
    created_at: datetime
    expires_at: datetime = Field(description="When the upload is deleted, unless it is complete and in use")
    completed_at: datetime | None
    links: dict[str, str]
