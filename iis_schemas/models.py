"""Requests and answers of models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.architectures import (
    DEFAULT_TAG,
    VLM_FAMILIES,
    Architecture,
    Arguments,
    InitialSeed,
    Layer,
    Pooling,
    PretrainedTag,
    TokenizerName,
    WeightsOf,
    is_on_hub,
    refuse_arguments_of_files,
)
from iis_schemas.descriptions import DESCRIBED_EXAMPLE, DescribedView, NamedCreate
from iis_schemas.fields import FailureReason
from iis_schemas.names import (
    FILE_FAMILIES,
    ChannelOrder,
    CheckState,
    CropMode,
    Interpolation,
    Role,
)
from iis_schemas.numbers import Integer, Number
from iis_schemas.stored import StoredModel

Side = Annotated[Integer, Field(ge=8, le=4096)]


class PreprocessingChoice(BaseModel):
    """Overrides of the architecture's own preprocessing; what is left out stays as the architecture has it."""

    model_config = ConfigDict(extra="forbid")

    input_size: Side | tuple[Side, Side] | None = Field(default=None, description="Pixels: the side of a square, or height and width")
    mean: tuple[Number, Number, Number] | None = None
    std: tuple[Number, Number, Number] | None = None
    interpolation: Interpolation | None = None
    crop_pct: Number | None = Field(default=None, gt=0, le=1)
    crop_mode: CropMode | None = Field(
        default=None, description="center: fit the short side and crop; squash: ignore the aspect ratio; border: fit the long side and pad"
    )
    channel_order: ChannelOrder | None = Field(default=None, description="Order of mean, std and the network's channels; rgb by default")
    value_range: Literal[1, 255] | None = Field(
        default=None, description="Largest value of a pixel before mean and std; with 255 these are 0 and 1 unless given"
    )

    @model_validator(mode="after")
    def _deviations_are_positive(self) -> Self:
        if self.std is not None and min(self.std) <= 0:
            raise PydanticCustomError("std_not_positive", "Each value of std must be above 0.")
        return self


class ModelCreate(NamedCreate):
    """A network and its weights: an uploaded checkpoint, a tag of the architecture's library, or the initial weights."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "resnet18, epoch 90",
                    "architecture": "timm:resnet18",
                    "arguments": {"num_classes": 100},
                    "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                },
                {"name": "resnet18, untrained", "architecture": "timm:resnet18", "initial_seed": 0},
                {"role": "vlm", "architecture": "open_clip:ViT-B-16", "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
            ]
        },
    )

    role: Role = Field(
        default="backbone",
        description="backbone: a network to score; vlm: a vision-language model, for phrases",
    )
    architecture: Architecture
    arguments: Arguments = Field(default_factory=dict[str, JsonValue])
    upload: str | None = Field(
        default=None,
        max_length=64,
        description="A complete upload with the checkpoint: safetensors, a torch file of tensors, ONNX, or an archive of transformers",
    )
    text_upload: str | None = Field(
        default=None, max_length=64, description="Of an onnx pair: a complete upload with the text tower; upload has the image tower"
    )
    tokenizer: TokenizerName | None = None
    pretrained: PretrainedTag | None = None
    weights_of: WeightsOf | None = None
    initial_seed: InitialSeed | None = None
    layer: Layer | None = None
    pooling: Pooling | None = None
    preprocessing: PreprocessingChoice | None = None

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> Self:
        if self.architecture in FILE_FAMILIES and self.upload is None:
            raise PydanticCustomError(
                "file_needs_upload",
                "A model of {family} is a file: upload it and name the upload; pretrained and initial_seed have no meaning here.",
                {"family": self.architecture},
            )
        if is_on_hub(self.architecture) and (self.upload is not None or self.initial_seed is not None):
            raise PydanticCustomError(
                "hub_has_weights", "{name} has its weights on the Hub; leave out upload and initial_seed.", {"name": self.architecture}
            )
        given = sum(source is not None for source in (self.upload, self.pretrained, self.initial_seed))
        if given == 0:
            self.pretrained = DEFAULT_TAG
        elif given > 1:
            raise PydanticCustomError(
                "weights_choice",
                "Give at most one of upload (your checkpoint), pretrained (a tag) and initial_seed (the architecture untrained); "
                "without any, the library's default weights are used.",
            )
        if self.weights_of is not None and (self.upload is None or self.architecture in FILE_FAMILIES):
            raise PydanticCustomError(
                "weights_of_upload",
                "weights_of names the published weights that an upload of a named architecture comes from; leave it out.",
            )
        if self.pooling is not None and self.layer is None:
            raise PydanticCustomError("pooling_needs_layer", "pooling applies to a named layer; name one, or leave pooling out.")
        if self.role == "vlm" and self.initial_seed is not None:
            raise PydanticCustomError(
                "vlm_needs_weights",
                "A model of role vlm needs trained weights; give upload or pretrained instead of initial_seed.",
            )
        refuse_arguments_of_files(self.architecture, self.arguments)
        return self

    @model_validator(mode="after")
    def _two_towers(self) -> Self:
        family = self.architecture.partition(":")[0]
        if (self.role, family) != ("vlm", "onnx") and (self.text_upload is not None or self.tokenizer is not None):
            raise PydanticCustomError("text_tower", "Only an onnx model of role vlm has a text_upload and a tokenizer; leave them out.")
        if self.role == "backbone":
            return self
        if family not in VLM_FAMILIES:
            raise PydanticCustomError(
                "vlm_architecture", "A model of role vlm is open_clip:NAME, or onnx with one file for images and one for phrases."
            )
        if family == "onnx" and self.text_upload is None:
            raise PydanticCustomError("text_tower", "An onnx model of role vlm is a pair of files; name the text tower's in text_upload.")
        if self.layer is not None:
            raise PydanticCustomError("vlm_layer", "A model of role vlm is read at its embeddings; leave layer out.")
        return self


MODEL_EXAMPLE: dict[str, Any] = {
    "id": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "name": "resnet18, epoch 90",
    **DESCRIBED_EXAMPLE,
    "role": "backbone",
    "architecture": "timm:resnet18",
    "arguments": {"num_classes": 100},
    "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "text_upload": None,
    "tokenizer": None,
    "pretrained": None,
    "weights_of": None,
    "initial_seed": None,
    "layer": None,
    "pooling": None,
    "preprocessing": None,
    "lineage": None,
    "state": "ready",
    "error": None,
    "digest": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
    "info": {"num_features": 512, "input_size": [224, 224], "parameter_count": 11176512, "feature_map": True, "notes": []},
    "created_at": "2026-01-12T09:30:00Z",
    "checked_at": "2026-01-12T09:30:04Z",
    "links": {
        "self": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "upload": "/v1/uploads/upl_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "checkpoint": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w/checkpoint",
    },
}


class PreprocessingView(StoredModel):
    """How images become the input of a network."""

    input_size: int | list[int] | None = Field(default=None, description="Pixels, square, or height and width")
    mean: list[int | float] | None = None
    std: list[int | float] | None = None
    interpolation: str | None = None
    crop_pct: int | float | None = None
    crop_mode: str | None = None
    channel_order: str | None = Field(default=None, description="Where it is not rgb")
    value_range: int | None = Field(default=None, description="Where it is not 1")


class ModelInfo(StoredModel):
    """What a worker found when it loaded a model. A backbone has num_features; a model of role vlm has embedding_dimension."""

    num_features: int | None = Field(default=None, description="d, of the representation")
    input_size: list[int] | None = Field(default=None, description="Height and width in pixels")
    parameter_count: int | None = Field(default=None, description="Without the classifier")
    feature_map: bool | None = Field(default=None, description="Whether heat maps can be read off the network")
    preprocessing: PreprocessingView | None = None
    embedding_dimension: int | None = None
    context_length: int | None = Field(default=None, description="Tokens of a phrase")
    tokenizer: str | None = None
    image_tower: ModelInfo | None = None
    notes: list[str] = Field(
        default_factory=list[str], description="What was assumed, chosen, converted or left out while the file was read, a sentence each"
    )


class Lineage(BaseModel):
    """The fine-tuning run that a model comes from."""

    job: str
    parent: str = Field(description="The model that it started from")
    seed: int
    epoch: int = Field(description="The epoch of these weights: the best of the run on validation images")
    weight: float = Field(description="lambda, of the interpretation's loss")


class ModelView(DescribedView):
    """A model: pending until a worker has loaded it and run it once, then ready or failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL_EXAMPLE]})

    id: str
    name: str
    role: Role
    architecture: str
    arguments: dict[str, JsonValue]
    upload: str | None
    text_upload: str | None
    tokenizer: str | None
    pretrained: str | None
    weights_of: str | None
    initial_seed: int | None
    layer: str | None
    pooling: str | None
    preprocessing: PreprocessingView | None
    lineage: Lineage | None = Field(description="Null for a model that was not made by a fine-tuning job")
    state: CheckState
    error: FailureReason | None
    digest: str | None
    info: ModelInfo | None = Field(description="Null until a worker has loaded it")
    created_at: datetime
    checked_at: datetime | None
    links: dict[str, str]
