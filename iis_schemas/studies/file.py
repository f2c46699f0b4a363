"""The study file (YAML), its grid, and the request that it becomes. Its models and data sets: iis_schemas.studies.sources.

The client reads the YAML, calls `StudyFile.model_validate`, and shows the `fault_sentence` of a ValidationError; relative paths are
relative to the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.architectures import Name
from iis_schemas.fields import Deadline, Elements
from iis_schemas.jobs.views import VocabularyView
from iis_schemas.names import ActivationsName, ProtocolName
from iis_schemas.studies.grids import first_grid
from iis_schemas.studies.requests import ACTIVATIONS, MAX_ENTRIES, GridLists, LayersEntry, ModelFacts, StudyCreate, StudyGrid
from iis_schemas.studies.rules import (
    GridFault,
    Network,
    require_addable,
    require_checkpoints,
    require_kinds_together,
    require_models,
    require_whole,
)
from iis_schemas.studies.sources import AnyFileDataset, AnyFileModel, AnyFileVlm, FileDataset, FileModel, FileVlm, ModelDefaults

FROM_CLASSES = "from-classes"  # as vocabulary: the phrases are gathered from the class names of the data set
Source = FileModel | FileVlm | FileDataset


def _each_once(sources: Sequence[FileModel | FileDataset | None]) -> Sequence[FileModel | FileDataset | None]:
    """Refuse a source that is named twice, even with different facts."""
    places = dict[str, int]()
    for place, source in enumerate(sources):
        earlier = places.setdefault(_key(source), place)
        if earlier != place:
            fault = PydanticCustomError("source_named_twice", "The same as entry {earlier}; name each once.", {"earlier": earlier})
            raise ValidationError.from_exception_data("StudyFile", [{"type": fault, "loc": (place,), "input": source}])
    return sources


def _key(source: BaseModel | None) -> str:
    return "" if source is None else source.model_dump_json(exclude=set(ModelFacts.model_fields))


def _library_mapping(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


def _library_mappings(value: object) -> object:
    return [_library_mapping(one) for one in cast("list[object]", value)] if isinstance(value, list) else value


class StudyFile(GridLists):
    """What a study file holds. `model_fields_set` names the keys that the file has; an extension adds these alone."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    model_defaults: ModelDefaults | None = None
    models: Annotated[list[AnyFileModel], Field(max_length=MAX_ENTRIES), AfterValidator(_each_once)] = Field(
        default_factory=list[FileModel]
    )
    vlm: AnyFileVlm | None = None
    vocabulary: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="A concept set, a file of phrases beside the study file, or from-classes"
    )
    datasets: Annotated[list[AnyFileDataset], Field(max_length=MAX_ENTRIES), AfterValidator(_each_once)] = Field(
        default_factory=list[FileDataset]
    )
    library_datasets: (
        Annotated[list[AnyFileDataset | None], Field(min_length=1, max_length=MAX_ENTRIES), AfterValidator(_each_once)] | None
    ) = Field(default=None, description="Data sets that the libraries of visual elements are cut from; null is the scored one")
    protocol: ProtocolName = "exact"
    activations: ActivationsName = Field(default="calibrated", description=ACTIVATIONS)
    elements: Elements = Field(default_factory=Elements)
    evolution: StrictBool = False
    deadline_seconds: Deadline = None

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, value: object) -> object:
        """Drop keys without a value, write libraries out in full, and give the models their defaults."""
        if not isinstance(value, dict):
            return value
        values = {key: one for key, one in cast("dict[str, Any]", value).items() if one is not None}
        if "libraries" in values:
            values["libraries"] = _library_mappings(values["libraries"])
        try:
            defaults = ModelDefaults.model_validate(values.get("model_defaults", {}))
        except ValidationError:  # the field itself says so
            return values
        if isinstance(values.get("models"), list):
            values["models"] = [_complete(one, defaults) for model in values["models"] for one in _at_layers(model, defaults)]
        return values

    def sources(self) -> dict[str, Source]:
        """Models, data sets and vlm by their path in the file (`models[0]`), each data set once."""
        found: dict[str, Source] = {f"models[{place}]": model for place, model in enumerate(self.models)}
        if self.vlm is not None:
            found["vlm"] = self.vlm
        found |= {f"datasets[{place}]": dataset for place, dataset in enumerate(self.datasets)}
        scored = {_key(dataset) for dataset in self.datasets}
        for place, origin in enumerate(self.library_datasets or ()):
            if origin is not None and _key(origin) not in scored:
                found[f"library_datasets[{place}]"] = origin
        return found

    def request(self, ids: Mapping[str, str] | None = None, vocabulary: str | None = None, name: str | None = None) -> StudyCreate:
        """The file as the request that creates its study.

        Parameters
        ----------
        ids : of all `sources`, by their path in the file; without it the paths stand for the ids
        vocabulary : the concept set whose phrases are meant; the file's own word unless given
        name : of the study where the file has none
        """
        places = {_key(source): path for path, source in self.sources().items() if isinstance(source, FileDataset)}

        def named(path: str) -> str:
            return path if ids is None else ids[path]

        return StudyCreate(
            name=self.name or name,
            models=[LayersEntry(model=named(f"models[{place}]"), **_facts(model)) for place, model in enumerate(self.models)],
            datasets=[named(f"datasets[{place}]") for place in range(len(self.datasets))],
            libraries=self.libraries,
            concept_counts=self.concept_counts,
            library_datasets=None
            if self.library_datasets is None
            else [None if origin is None else named(places[_key(origin)]) for origin in self.library_datasets],
            sparsity_grids=self.sparsity_grids,
            seeds=self.seeds,
            protocol=self.protocol,
            activations=self.activations,
            elements=self.elements,
            vlm=named("vlm") if self.vlm is not None else None,
            vocabulary=vocabulary,
            evolution=self.evolution,
            deadline_seconds=self.deadline_seconds,
        )

    def grid(self) -> StudyGrid:
        """The grid, with paths in the file (`models[0]`) where a registered study has ids."""
        phrases = VocabularyView(id=self.vocabulary, version=1, digest="") if self.vocabulary is not None else None
        return first_grid(self.request(), phrases)


def require_whole_file(study: StudyFile) -> None:
    """Refuse a file whose grid the service would refuse as a new study.

    Raises
    ------
    GridFault
    """
    grid, kinds = study.grid(), _kinds(study)
    require_whole(grid)
    require_kinds_together(grid, kinds)
    require_models(grid, kinds)
    if study.vocabulary == FROM_CLASSES and len(study.datasets) > 1:
        raise GridFault(
            "from-classes takes the class names of one data set; make a study of each.", code="from_classes", param="vocabulary"
        )
    if study.evolution:
        networks = {
            f"models[{place}]": Network(model.architecture, model.arguments, model.layer)
            for place, model in enumerate(study.models)
            if model.architecture is not None
        }
        require_checkpoints(grid.models, networks)


def require_addable_file(study: StudyFile) -> None:
    """Refuse a file that contradicts itself, whatever study it is added to.

    Raises
    ------
    GridFault
    """
    grid = study.grid()
    require_addable(grid)
    require_kinds_together(grid, _kinds(study))


def _kinds(study: StudyFile) -> dict[str, str]:
    found = ((path, source.kind) for path, source in study.sources().items() if isinstance(source, FileDataset))
    return {path: kind for path, kind in found if kind is not None}


def _facts(model: FileModel) -> dict[str, Any]:
    return {name: value for name in ModelFacts.model_fields if (value := getattr(model, name)) is not None} | (
        {"label": model.shown} if model.shown is not None else {}
    )


def _at_layers(model: object, defaults: ModelDefaults) -> list[object]:
    """A model with `layers` as one model for each; those of one network are a family unless it is given."""
    if not isinstance(model, dict):
        return [model]
    values = cast("dict[str, Any]", model)
    layers = values.get("layers")
    if not isinstance(layers, list) or not layers or "layer" in values or values.get("id") is not None:
        return [values]
    values = {key: one for key, one in values.items() if key != "layers"}
    source = values.get("path") or values.get("architecture") or "network"
    title = values.get("label") or PurePosixPath(str(source)).stem
    values = {"family": defaults.family or title, **values}
    return [{**values, "layer": layer, "label": f"{title} at {layer}"[:200]} for layer in cast("list[object]", layers)]


def _complete(model: object, defaults: ModelDefaults) -> object:
    if isinstance(model, str):
        model = {"id": model}
    if not isinstance(model, dict):
        return model
    return defaults.given_to({key: one for key, one in cast("dict[str, Any]", model).items() if one is not None})
