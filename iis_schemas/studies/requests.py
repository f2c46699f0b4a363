"""Studies as they are requested, and the grid as a row keeps it. As they are shown: iis_schemas.studies.views."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from iis_schemas.architectures import Layer, Pooling
from iis_schemas.descriptions import DescriptionCreate
from iis_schemas.fields import with_stored_scales
from iis_schemas.jobs.libraries import ConceptCount, LibraryChoice
from iis_schemas.jobs.requests import Deadline, Elements, Seed
from iis_schemas.jobs.views import VocabularyView
from iis_schemas.names import ActivationsName, DatasetKind, ProtocolName
from iis_schemas.numbers import Integer, Number
from iis_schemas.webhooks import WebhookChoice

MAX_JOBS = 10_000
MAX_ENTRIES = MAX_JOBS  # of one list, each of which makes at least one job
MAX_LIBRARIES = 64
MAX_LAYERS = 64  # of one model
MAX_CLASSES = 100_000  # of a data set that is only counted
MAX_SPARSITIES = 64
ACTIVATIONS = "Of the exact protocol: centred and calibrated (second edition), or layernorm alone (first edition, as an ablation)"
VOCABULARY_PATTERN = r"^[A-Za-z0-9_\-]{1,64}(@[1-9][0-9]{0,8})?$"

Id = Annotated[str, Field(max_length=64)]
Sparsity = Annotated[Number, Field(ge=0, le=1)]


class ModelFacts(BaseModel):
    """What the owner knows about a model of a study."""

    label: str | None = Field(
        default=None, min_length=1, max_length=200, description="Its name in tables and figures; the model's own name unless given"
    )
    family: str | None = Field(default=None, min_length=1, max_length=200, description="Models of one family are left out together")
    accuracy: Number | None = Field(default=None, ge=0, le=1, description="Its accuracy as published, to set IIS against")
    epoch: Number | None = Field(default=None, ge=0, description="Of a checkpoint; its place in the list unless given")


class ModelEntry(ModelFacts):
    """A model of a study, and what its owner knows about it."""

    model_config = ConfigDict(extra="forbid")

    model: Id


class LayersEntry(ModelEntry):
    """A model of a study, or several layers of it, each of which is a model of its own."""

    layers: list[Layer] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LAYERS,
        description="Layers of its network: each becomes a model and is scored; one forward pass extracts the features of all",
    )
    pooling: Pooling | None = Field(default=None, description="Of these layers: class, patches, all or map")

    @model_validator(mode="after")
    def _of_layers(self) -> Self:
        if self.layers is None and self.pooling is not None:
            raise PydanticCustomError("pooling_needs_layer", "pooling applies to named layers; name them, or leave pooling out.")
        if self.layers is not None and len(set(self.layers)) < len(self.layers):
            raise PydanticCustomError("named_twice", "A layer is named twice; name each once.")
        return self

    def without_layers(self) -> ModelEntry:
        """The entry of the model itself."""
        return ModelEntry.model_validate(self.model_dump(exclude={"layers", "pooling"}, exclude_unset=True))


def _entry(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _each_once(values: list[Any]) -> list[Any]:
    """Refuse a list that names something twice."""
    seen: set[str] = set()
    for value in values:
        key = _key(value)
        if key in seen:
            raise PydanticCustomError("named_twice", "{value} is named twice; name each once.", {"value": key})
        seen.add(key)
    return values


def _key(value: Any) -> str:
    if isinstance(value, ModelEntry):
        return value.model
    if isinstance(value, LibraryChoice):
        return json.dumps(value.to_spec(), sort_keys=True)
    return json.dumps(value)


def _none_by_id(libraries: list[LibraryChoice]) -> list[LibraryChoice]:
    if any(library.kind == "vectors" for library in libraries):
        raise PydanticCustomError("library_choice", "Own vectors fit one model alone; score them by a job of its own.")
    if any(library.id is not None for library in libraries):
        raise PydanticCustomError(
            "library_choice",
            "A library given by id fits one model alone; name kinds of libraries to fit, and score with a fitted one by a job of its own.",
        )
    return libraries


def _ascending(grid: list[float]) -> list[float]:
    if any(later <= earlier for earlier, later in pairwise(grid)):
        raise PydanticCustomError("sparsities_unordered", "A grid of sparsities ascends; {grid} does not.", {"grid": json.dumps(grid)})
    return grid


AnyEntry = Annotated[LayersEntry, BeforeValidator(_entry, json_schema_input_type=str | LayersEntry)]
Once = AfterValidator(_each_once)
Models = Annotated[list[AnyEntry], Field(max_length=MAX_ENTRIES), Once]
Ids = Annotated[list[Id], Field(max_length=MAX_ENTRIES), Once]
Libraries = Annotated[list[LibraryChoice], Field(max_length=MAX_LIBRARIES), AfterValidator(_none_by_id), Once]
ConceptCounts = Annotated[list[ConceptCount], Field(min_length=1, max_length=MAX_ENTRIES), Once]
Origins = Annotated[list[Id | None], Field(min_length=1, max_length=MAX_ENTRIES), Once]
SparsityGrid = Annotated[list[Sparsity], Field(min_length=2, max_length=MAX_SPARSITIES), AfterValidator(_ascending)]
SparsityGrids = Annotated[list[SparsityGrid], Field(max_length=MAX_LIBRARIES), Once]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=MAX_ENTRIES), Once]

STUDY_BODY: dict[str, Any] = {
    "name": "ResNets on digits",
    "models": [
        {"model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w", "label": "ResNet-18", "family": "ResNet"},
        {"model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8x", "label": "ResNet-34", "family": "ResNet", "accuracy": 0.733},
    ],
    "datasets": ["dst_01jz3v8k2m4n6p8q0r2s4t6v8x"],
    "libraries": [{"kind": "prototype"}, {"kind": "cluster"}],
    "concept_counts": [50, 200],
    "seeds": [0, 1],
}


class GridLists(BaseModel):
    """The lists of a grid that name nothing registered."""

    libraries: Libraries = Field(
        default_factory=list[LibraryChoice], description="Libraries to fit; one fitted before is used by a job of its own"
    )
    concept_counts: ConceptCounts | None = Field(
        default=None, description="M of every library; what each says, or 200, unless given. A combined library says its own"
    )
    sparsity_grids: SparsityGrids = Field(
        default_factory=list[list[float]], description="Ascending sparsities, over each of which retention is also integrated"
    )
    seeds: Seeds | None = Field(default=None, description="One job for each; [0] unless given")


class _Choices(GridLists):
    """The lists of a grid, whether a request begins one or adds to it."""

    model_config = ConfigDict(extra="forbid")

    models: Models = Field(default_factory=list[LayersEntry], description="Ids, or ids with facts about the models, or with layers of them")
    datasets: Ids = Field(default_factory=list[str])
    library_datasets: Origins | None = Field(
        default=None,
        description="Data sets that the libraries of visual elements are cut from; null is the scored one, which is all unless given",
    )


class StudyChoices(_Choices):
    """The choices of a new grid."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    protocol: ProtocolName = "exact"
    activations: ActivationsName = Field(default="calibrated", description=ACTIVATIONS)
    elements: Elements = Field(default_factory=Elements)
    vlm: Id | None = Field(default=None, description="A model of role vlm; sees the phrases of text libraries in images")
    vocabulary: str | None = Field(
        default=None, pattern=VOCABULARY_PATTERN, description="The phrases of text libraries, as a job names them"
    )
    evolution: StrictBool = Field(default=False, description="The models are checkpoints of one training run, in order")
    deadline_seconds: Deadline = None


class StudyCreate(DescriptionCreate, WebhookChoice, StudyChoices):
    """A grid of score jobs: models x data sets x libraries x concept counts x data sets that libraries are cut from x seeds."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [STUDY_BODY]})


class CountedDataset(BaseModel):
    """A data set that is not registered yet, by its number of images."""

    model_config = ConfigDict(extra="forbid")

    kind: DatasetKind = "images"
    images: Integer | None = Field(default=None, ge=0, description="In train and test together; null where they cannot be counted")
    train: list[Annotated[Integer, Field(ge=1)]] = Field(
        default_factory=list[int], max_length=MAX_CLASSES, description="Training images of each class, for the number of visual elements"
    )


class Unregistered(BaseModel):
    """Names in a grid for models and data sets that have no id yet."""

    model_config = ConfigDict(extra="forbid")

    models: Ids = Field(default_factory=list[str], description="Names of models; that of the vlm too")
    datasets: dict[Id, CountedDataset] = Field(
        default_factory=dict[str, CountedDataset], max_length=MAX_ENTRIES, description="Data sets by name"
    )
    vocabulary: StrictBool = Field(default=False, description="Whether the phrases are not registered yet")


class StudyEstimateCreate(StudyChoices):
    """A grid to estimate. Models and data sets that are not registered yet have a name that `unregistered` lists."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **STUDY_BODY,
                    "datasets": ["datasets[0]"],
                    "unregistered": {"datasets": {"datasets[0]": {"images": 1797, "train": [712, 725]}}},
                }
            ]
        },
    )

    unregistered: Unregistered = Field(default_factory=Unregistered)


class StudyExtend(_Choices):
    """Additions to a study. An empty body retries the jobs that failed or were canceled."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seeds": [2, 3]}, {}]})

    name: str | None = Field(default=None, min_length=1, max_length=200, description="A new name")
    protocol: ProtocolName | None = Field(default=None, description="The same as the study's")
    activations: ActivationsName | None = Field(default=None, description="The same as the study's")
    elements: Elements | None = Field(default=None, description="The same as the study's")
    vlm: Id | None = Field(default=None, description="The same as the study's, or the first one")
    vocabulary: str | None = Field(default=None, pattern=VOCABULARY_PATTERN, description="The same as the study's, or the first one")
    evolution: StrictBool | None = Field(default=None, description="The same as the study's")
    deadline_seconds: Deadline = Field(default=None, description="Seconds of running time of each added job")


class StudyGrid(BaseModel):
    """The grid of a study with its defaults, as it is stored and shown."""

    models: list[ModelEntry]
    datasets: list[str]
    libraries: list[LibraryChoice]
    concept_counts: list[int] | None = Field(description="M of every library; null where each says its own")
    library_datasets: list[str | None] = Field(
        description="Data sets that the libraries of visual elements are cut from; null is the scored one"
    )
    sparsity_grids: list[list[float]]
    seeds: list[int]
    protocol: ProtocolName
    activations: ActivationsName
    elements: Elements
    vlm: str | None
    vocabulary: VocabularyView | None
    evolution: bool
    deadline_seconds: float | None

    @model_validator(mode="before")
    @classmethod
    def _first_edition(cls, value: object) -> object:
        """Grids from before the second edition name no activations: their jobs have LayerNorm alone, or those of `reference`."""
        if not isinstance(value, dict) or "activations" in value:
            return value
        fields = cast("dict[str, Any]", value)
        return {**fields, "activations": "layernorm" if fields.get("protocol") == "exact" else "calibrated"}

    @field_validator("elements", mode="before")
    @classmethod
    def _with_stored_scales(cls, value: object) -> object:
        return with_stored_scales(value)

    @field_serializer("libraries")
    def _as_asked(self, libraries: list[LibraryChoice]) -> list[dict[str, Any]]:
        asked = [library.model_dump(exclude_none=True) for library in libraries]
        return [{name: value for name, value in library.items() if value != []} for library in asked]
