"""The models and data sets that a study file names: an id, or what it takes to register one. The file: iis_schemas.studies.file."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.architectures import (
    VLM_FAMILIES,
    Architecture,
    Arguments,
    InitialSeed,
    Layer,
    Name,
    Pooling,
    PretrainedTag,
    TokenizerName,
    WeightsOf,
    is_on_hub,
    refuse_arguments_of_files,
)
from iis_schemas.datasets import DEFAULT_TEST_SHARE, ColumnName, HubChoice, ServerPath, SplitSeed, TestShare
from iis_schemas.models import PreprocessingChoice
from iis_schemas.names import FILE_FAMILIES, DatasetKind
from iis_schemas.studies.requests import Id, ModelFacts

LocalPath = Annotated[str, Field(min_length=1, description="A file or folder on this machine, relative to the study file")]


def _absolute(value: str) -> str:
    if not PurePosixPath(value).is_absolute() and not value.startswith("s3://"):
        example = {"value": value}
        raise PydanticCustomError(
            "server_path_relative",
            "A server_path begins at the root of the server, such as /data/imagenet, or with s3://; '{value}' does not.",
            example,
        )
    return value


class ModelDefaults(BaseModel):
    """Settings that all models of a file share unless they have their own."""

    model_config = ConfigDict(extra="forbid")

    architecture: Architecture | None = None
    arguments: Arguments = Field(default_factory=dict[str, JsonValue])
    preprocessing: PreprocessingChoice | None = None
    layer: Layer | None = None
    pooling: Pooling | None = None
    weights_of: WeightsOf | None = None
    family: Name | None = None

    def given_to(self, model: dict[str, Any]) -> dict[str, Any]:
        """The mapping of a model, with the defaults for what it leaves out; one given by id takes the family alone."""
        defaults: dict[str, Any] = {"family": self.family}
        if model.get("id") is None:
            arguments = model.get("arguments", {})
            merged = {**self.arguments, **arguments} if isinstance(arguments, dict) else arguments
            preprocessing = self.preprocessing.model_dump(exclude_unset=True) if self.preprocessing is not None else None
            defaults |= {"architecture": self.architecture, "layer": self.layer, "pooling": self.pooling, "preprocessing": preprocessing}
            if model.get("path") is not None:
                defaults["weights_of"] = self.weights_of
            model = {**model, "arguments": merged}
        return {**{name: value for name, value in defaults.items() if value is not None}, **model}


class FileModel(ModelFacts):
    """A model of a study file: `id`, or an architecture with its weights (`path`, `pretrained` or `initial_seed`)."""

    model_config = ConfigDict(extra="forbid")

    id: Id | None = None
    path: LocalPath | None = None
    pretrained: PretrainedTag | None = None
    initial_seed: InitialSeed | None = None
    architecture: Architecture | None = None
    arguments: Arguments = Field(default_factory=dict[str, JsonValue])
    preprocessing: PreprocessingChoice | None = None
    layer: Layer | None = None
    layers: list[Layer] | None = Field(default=None, description="Several layers: one model for each, whose features come from one pass")
    pooling: Pooling | None = None
    weights_of: WeightsOf | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _require_one(self, ("path", "pretrained", "initial_seed", "id"), "model")
        if self.id is not None:
            _refuse_beside_id(self, ("architecture", "arguments", "preprocessing", "layer", "layers", "pooling", "weights_of"))
            return self
        if self.layers is not None:  # a file writes them out as a model for each
            raise PydanticCustomError("layers_choice", "layers is a list of names, and layer is one of them; give one of both.")
        _require_path_for(self.weights_of, self.path)
        if self.pooling is not None and self.layer is None:
            raise PydanticCustomError("pooling_needs_layer", "pooling applies to a named layer; name one, or leave pooling out.")
        if self.architecture is None:
            raise PydanticCustomError("architecture_missing", "architecture is missing; give it, for example timm:resnet18.")
        if is_on_hub(self.architecture) and self.pretrained is None:
            raise PydanticCustomError(
                "hub_has_weights",
                "{name} has its weights on the Hub; name a revision as pretrained, such as main.",
                {"name": self.architecture},
            )
        if self.architecture in FILE_FAMILIES and self.path is None:
            raise PydanticCustomError("file_needs_path", "A model of {family} is a file; name it with path.", {"family": self.architecture})
        refuse_arguments_of_files(self.architecture, self.arguments)
        return self

    @property
    def shown(self) -> str | None:
        """The model's name in tables: its label, or one made of its source; None for one given by id, which has a name."""
        if self.label is not None or self.architecture is None:
            return self.label
        if self.path is not None:
            return _stem(self.path)[:200]
        name = self.architecture.partition(":")[2] or self.architecture
        return (name if self.pretrained is not None else f"{name}, untrained ({self.initial_seed})")[:200]


class FileVlm(BaseModel):
    """The vision-language model of a study file: `id`, or an architecture with its weights (`path` or `pretrained`)."""

    model_config = ConfigDict(extra="forbid")

    id: Id | None = None
    path: LocalPath | None = None
    text_path: LocalPath | None = Field(default=None, description="Of an onnx pair: the file of the text tower")
    pretrained: PretrainedTag | None = None
    architecture: Architecture | None = None
    tokenizer: TokenizerName | None = None
    arguments: Arguments = Field(default_factory=dict[str, JsonValue])
    preprocessing: PreprocessingChoice | None = None
    weights_of: WeightsOf | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _require_one(self, ("path", "pretrained", "id"), "model")
        if self.id is not None:
            _refuse_beside_id(self, ("architecture", "text_path", "tokenizer", "arguments", "preprocessing", "weights_of"))
            return self
        _require_path_for(self.weights_of, self.path)
        if self.architecture is None:
            raise PydanticCustomError("architecture_missing", "architecture is missing; give it, for example open_clip:ViT-B-16.")
        family = self.architecture.partition(":")[0]
        if family not in VLM_FAMILIES:
            raise PydanticCustomError("vlm_architecture", "A vlm is open_clip:NAME, or onnx with one file for images and one for phrases.")
        if family != "onnx" and (self.text_path is not None or self.tokenizer is not None):
            raise PydanticCustomError("text_tower", "Only an onnx vlm has a text_path and a tokenizer; leave them out.")
        if family == "onnx":
            if self.path is None or self.text_path is None:
                raise PydanticCustomError("text_tower", "An onnx vlm is a pair of files; name them with path and text_path.")
            refuse_arguments_of_files(family, self.arguments)
        return self


class FileManifest(BaseModel):
    """The table that names the images of a data set of a study file, beside them (`path`) or among them (`inside`)."""

    model_config = ConfigDict(extra="forbid")

    path: LocalPath | None = None
    inside: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Path of a table in the archive or server folder"
    )
    path_column: ColumnName | None = None
    label_column: ColumnName | None = None
    split_column: ColumnName | None = None

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        _require_one(self, ("path", "inside"), "manifest")
        return self

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns that are given, as the service names them."""
        return self.model_dump(include={"path_column", "label_column", "split_column"}, exclude_none=True)


class FileDataset(BaseModel):
    """A data set of a study file: `id`, a `path` of images, a file of `features`, a `server_path`, or a data set of the `hub`."""

    model_config = ConfigDict(extra="forbid")

    id: Id | None = None
    path: LocalPath | None = None
    features: LocalPath | None = None
    server_path: Annotated[ServerPath, AfterValidator(_absolute)] | None = None
    hub: HubChoice | None = None
    manifest: FileManifest | None = None
    name: Name | None = None
    test_share: TestShare = DEFAULT_TEST_SHARE
    split_seed: SplitSeed = 0

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _require_one(self, ("path", "features", "server_path", "hub", "id"), "data set")
        if self.id is not None:
            _refuse_beside_id(self, ("manifest", "name", "test_share", "split_seed"))
        if self.manifest is not None and (self.features is not None or self.hub is not None):
            raise PydanticCustomError("manifest_not_taken", "A manifest names images of a path or a server_path; leave it out.")
        return self

    @property
    def local_path(self) -> str | None:
        """The file or folder on this machine."""
        return self.path or self.features

    @property
    def kind(self) -> DatasetKind | None:
        """images or features; None of one given by id, which the service knows."""
        if self.id is not None:
            return None
        return "features" if self.features is not None else "images"

    @property
    def shown(self) -> str:
        """The data set's name before it is registered."""
        local = PurePosixPath(self.local_path).name if self.local_path is not None else None
        return self.name or local or self.id or self.server_path or (self.hub.name if self.hub is not None else "")


def _model_mapping(value: object) -> object:
    return {"id": value} if isinstance(value, str) else _without_nulls(value)


def _dataset_mapping(value: object) -> object:
    if isinstance(value, str):
        return {"id" if value.startswith("dst_") else "path": value}
    return _without_nulls(value)


def _without_nulls(value: object) -> object:
    """A mapping without the keys that have no value; `key:` alone means that it is left out."""
    return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


AnyFileModel = Annotated[FileModel, BeforeValidator(_model_mapping, json_schema_input_type=str | FileModel)]
AnyFileVlm = Annotated[FileVlm, BeforeValidator(_model_mapping, json_schema_input_type=str | FileVlm)]
AnyFileDataset = Annotated[FileDataset, BeforeValidator(_dataset_mapping, json_schema_input_type=str | FileDataset)]


def _require_one(source: BaseModel, names: tuple[str, ...], noun: str) -> None:
    given = [name for name in names if getattr(source, name) is not None]
    if len(given) == 1:
        return
    words = {"noun": noun, "names": ", ".join(names), "given": f"it has {' and '.join(given)}" if given else "it has none of them"}
    raise PydanticCustomError("source_choice", "A {noun} comes from exactly one of {names}; {given}.", words)


def _refuse_beside_id(source: BaseModel, names: tuple[str, ...]) -> None:
    """A registered model or data set is used as it is."""
    if given := [name for name in names if name in source.model_fields_set and getattr(source, name) not in ({}, None)]:
        names_given = {"names": ", ".join(given)}
        raise PydanticCustomError("id_is_complete", "What is given by id is used as it is registered; leave out {names}.", names_given)


def _require_path_for(weights_of: str | None, path: str | None) -> None:
    if weights_of is not None and path is None:
        raise PydanticCustomError(
            "weights_of_path", "weights_of names the published weights that the file of a path comes from; leave it out."
        )


def _stem(path: str) -> str:
    return (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).stem
