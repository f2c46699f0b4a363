"""A study's YAML file, understood and checked before anything is sent. How its models and data sets come to the service is in .inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from iis_client.cli.library_options import PART_KINDS
from iis_client.cli.studies.fields import Fields, as_number, as_whole, read_yaml, shown, shown_list
from iis_client.cli.studies.limits import (
    LIBRARY_DEFAULTS,
    MAX_CONCEPTS,
    MAX_DEADLINE_SECONDS,
    MAX_IMAGES_PER_CLASS,
    MAX_JOBS,
    MAX_LIBRARIES,
    MAX_NAME,
    MAX_PARTS,
    MAX_SEED,
    MAX_SPARSITIES,
    MIN_CONCEPTS,
    TEXT_DEFAULTS,
)
from iis_client.cli.studies.sources import (
    DatasetSource,
    ModelDefaults,
    ModelSource,
    read_dataset,
    read_model,
    read_model_defaults,
    read_vlm,
    require_source,
    said_by_dataset,
    said_by_model,
)
from iis_client.cli.vocabulary_options import FROM_CLASSES, PHRASE_SUFFIXES, VocabularySource, parse_vocabulary
from iis_client.errors import ConfigurationError, LocalFileError
from iis_client.types.scores import Elements, Library, LibraryKind
from iis_client.types.studies import Protocol

Value = TypeVar("Value")


@dataclass(frozen=True)
class StudyFile:
    """What a study's file says, with the service's defaults for what it leaves out.

    Attributes
    ----------
    concept_counts : None where each library says its own
    library_datasets : None among them is the scored data set
    said : the keys that the file has; an extension adds these alone
    """

    path: Path
    said: frozenset[str]
    name: str
    models: tuple[ModelSource, ...]
    datasets: tuple[DatasetSource, ...]
    libraries: tuple[Library, ...]
    concept_counts: tuple[int, ...] | None
    library_datasets: tuple[DatasetSource | None, ...]
    sparsity_grids: tuple[tuple[float, ...], ...]
    seeds: tuple[int, ...]
    protocol: Protocol
    elements: Elements
    vlm: ModelSource | None
    vocabulary: VocabularySource | None
    evolution: bool
    deadline_seconds: float | None

    @property
    def sources(self) -> list[ModelSource | DatasetSource]:
        """Everything that has to be at the service."""
        origins = [origin for origin in self.library_datasets if origin is not None]
        return [*self.models, *([self.vlm] if self.vlm is not None else []), *self.datasets, *origins]


def read_study(path: Path) -> StudyFile:
    """Understand a study's file; relative paths in it are relative to it.

    Raises
    ------
    LocalFileError
        When there is no such file. Those that it names may be missing: see `require_files`.
    ConfigurationError
        When a key is unknown, a value of another type, or something is missing; with the key's path.
    """
    fields, folder = read_yaml(path), path.absolute().parent
    told = fields.take("model_defaults")
    defaults = read_model_defaults(told, fields.where("model_defaults")) if told is not None else ModelDefaults()
    vlm = fields.take("vlm")
    concept_counts = _filled(fields, "concept_counts", lambda value, at: as_whole(value, at, MIN_CONCEPTS, MAX_CONCEPTS), str)
    study = StudyFile(
        path=path,
        said=fields.names,
        name=fields.text("name", MAX_NAME) or path.stem[:MAX_NAME],
        models=tuple(fields.each_once("models", lambda value, at: read_model(value, at, folder, defaults), said_by_model, MAX_JOBS) or ()),
        datasets=tuple(fields.each_once("datasets", lambda value, at: read_dataset(value, at, folder), said_by_dataset, MAX_JOBS) or ()),
        libraries=tuple(fields.each_once("libraries", _library, _said_by_library, MAX_LIBRARIES) or ()),
        concept_counts=tuple(concept_counts) if concept_counts is not None else None,
        library_datasets=tuple(
            _filled(fields, "library_datasets", lambda value, at: _origin(value, at, folder), said_by_dataset) or (None,)
        ),
        sparsity_grids=tuple(fields.each_once("sparsity_grids", _sparsity_grid, str, MAX_LIBRARIES) or ()),
        seeds=tuple(_filled(fields, "seeds", lambda value, at: as_whole(value, at, 0, MAX_SEED), str) or (0,)),
        protocol=cast("Protocol", fields.choice("protocol", get_args(Protocol)) or "exact"),
        elements=_elements(fields.take("elements"), fields.where("elements")),
        vlm=read_vlm(vlm, fields.where("vlm"), folder) if vlm is not None else None,
        vocabulary=_vocabulary(fields, folder),
        evolution=fields.flag("evolution") or False,
        deadline_seconds=fields.number("deadline_seconds", 0, MAX_DEADLINE_SECONDS, without=(0,)),
    )
    fields.done()
    return study


def require_files(study: StudyFile) -> None:
    """Refuse a study that names a file or folder that is not there.

    Raises
    ------
    LocalFileError
    """
    for source in study.sources:
        require_source(source)
    phrases = study.vocabulary.file if study.vocabulary is not None else None
    if phrases is not None and not phrases.is_file():
        raise LocalFileError(f"{study.path.name}: vocabulary: there is no file {phrases}; name phrases that are there.")


def _filled(fields: Fields, name: str, read: Callable[[object, str], Value], said: Callable[[Value], str]) -> list[Value] | None:
    """A list that stands for one of its items where it is left out, and so cannot be empty."""
    found = fields.each_once(name, read, said, MAX_JOBS)
    if found == []:
        raise ConfigurationError(f"{fields.where(name)} is empty; leave it out, or name at least one.")
    return found


def _origin(value: object, at: str, folder: Path) -> DatasetSource | None:
    return None if value is None else read_dataset(value, at, folder)


def _library(value: object, at: str) -> Library:
    fields = Fields({"kind": value} if isinstance(value, str) else value, at, "a library")
    kind = cast("LibraryKind | None", fields.choice("kind", get_args(LibraryKind)))
    if kind is None:
        raise ConfigurationError(f"{fields.where('kind')} is missing; give one of {', '.join(get_args(LibraryKind))}.")
    library: Library = {"kind": kind, **_concept_count(fields), **_text_settings(fields, kind)}
    parts = fields.each("parts", _part, MAX_PARTS)
    fields.done()
    if kind != "combined":
        if parts is not None:
            raise ConfigurationError(f"{fields.where('parts')} is of a combined library alone; leave it out, or set kind to combined.")
        return library
    if parts is None or len(parts) < 2:
        raise ConfigurationError(f"{at} is combined, so it needs two or more parts, each with its kind and concept_count.")
    kinds = [part.get("kind") for part in parts]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise ConfigurationError(f"{fields.where('parts')} names {twice} more than once; make one part of them.")
    total = sum(part.get("concept_count", 0) for part in parts)
    if total > MAX_CONCEPTS:
        raise ConfigurationError(f"{at} has {total:,} concepts in its parts together, and the most is {MAX_CONCEPTS:,}; ask for fewer.")
    if library.get("concept_count", total) != total:
        raise ConfigurationError(f"{fields.where('concept_count')}: the parts have {total} concepts together; leave it out.")
    return {**library, "parts": parts}


def _part(value: object, at: str) -> Library:
    fields = Fields(value, at, "a part")
    kind = cast("LibraryKind | None", fields.choice("kind", PART_KINDS))
    if kind is None:
        raise ConfigurationError(f"{fields.where('kind')} is missing; give one of {', '.join(PART_KINDS)}.")
    part: Library = {**LIBRARY_DEFAULTS, "kind": kind, **_concept_count(fields), **_text_settings(fields, kind)}
    fields.done()
    return part


def _concept_count(fields: Fields) -> Library:
    count = fields.whole("concept_count", MIN_CONCEPTS, MAX_CONCEPTS)
    return {} if count is None else {"concept_count": count}


def _text_settings(fields: Fields, kind: LibraryKind) -> Library:
    settings: Library = {}
    for name in ("clip_cutoff", "interpretability_cutoff"):
        if (value := fields.number(name, -1, 1)) is not None:
            settings[name] = float(value)
    if (native := fields.flag("native")) is not None:
        settings["native"] = native
    if settings and kind != "text":
        name = next(iter(settings))
        raise ConfigurationError(f"{fields.where(name)} is of a text library alone; leave it out, or set kind to text.")
    return settings


def _said_by_library(library: Library) -> str:
    """All that it asks for, with what it leaves out as the service has it."""
    said: dict[str, Any] = {**LIBRARY_DEFAULTS, **(TEXT_DEFAULTS if library.get("kind") == "text" else {}), **library}
    parts = library.get("parts", [])
    if parts:
        said |= {"concept_count": sum(part.get("concept_count", 0) for part in parts), "parts": [_said_by_library(part) for part in parts]}
    return str(sorted(said.items()))


def _sparsity_grid(value: object, at: str) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{at} must be a list of sparsities, not {shown(value)}.")
    grid = tuple(float(as_number(one, f"{at}[{place}]", 0, 1)) for place, one in enumerate(cast("list[object]", value)))
    if not 2 <= len(grid) <= MAX_SPARSITIES or list(grid) != sorted(set(grid)):
        raise ConfigurationError(f"{at} must be 2 to {MAX_SPARSITIES} sparsities that ascend, not {shown_list(grid)}.")
    return grid


def _elements(value: object, at: str) -> Elements:
    fields = Fields({} if value is None else value, at, "elements")
    kind = fields.choice("kind", ("patches", "segments")) or "patches"
    per_class = fields.whole("images_per_class", 1, MAX_IMAGES_PER_CLASS)
    seed = fields.whole("seed", 0, MAX_SEED)
    fields.done()
    return {"kind": cast("Any", kind), "images_per_class": 10 if per_class is None else per_class, "seed": seed or 0}


def _vocabulary(fields: Fields, folder: Path) -> VocabularySource | None:
    given = fields.text("vocabulary")
    if given is None:
        return None
    if given != FROM_CLASSES and (folder / given).suffix.lower() in PHRASE_SUFFIXES:
        return VocabularySource(file=folder / Path(given).expanduser())
    try:
        return parse_vocabulary(given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{fields.where('vocabulary')}: {error}") from error
