"""Rules of a study's grid that need no database: the API applies them to ids, the client to the sources in a study file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from iis_schemas.studies.grids import count_cells
from iis_schemas.studies.requests import MAX_ENTRIES, MAX_JOBS, MAX_LIBRARIES, ModelEntry, StudyGrid


class GridFault(ValueError):
    """A grid that a study cannot have.

    Attributes
    ----------
    code : stable name for machines
    param : the list or field at fault; None where no single one is
    """

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True)
class Network:
    """What checkpoints of one training run have in common."""

    architecture: str
    arguments: Mapping[str, Any]
    layer: str | None


def require_whole(grid: StudyGrid) -> None:
    """Refuse a grid without cells, or with too many, or whose fields contradict each other.

    Raises
    ------
    GridFault
    """
    for name, meaning in (("datasets", "data set"), ("libraries", "library")):
        if not getattr(grid, name):
            raise GridFault(f"The grid is empty because it names no {meaning}; give at least one in {name}.", code="empty_grid", param=name)
    for name, most in (("libraries", MAX_LIBRARIES), ("sparsity_grids", MAX_LIBRARIES), ("library_datasets", MAX_ENTRIES)):
        if (count := len(getattr(grid, name))) > most:
            raise GridFault(f"The study would have {count:,} {name} of at most {most:,}; make another study.", code="too_many", param=name)
    require_addable(grid)
    if grid.protocol == "reference" and grid.activations != "calibrated":
        raise GridFault(
            "The reference protocol has the authors' activations; leave activations out.", code="activations_not_taken", param="activations"
        )
    has_text = any("text" in library.kinds for library in grid.libraries)
    if has_text and (grid.vlm is None or grid.vocabulary is None):
        raise GridFault(
            "A text library is made of phrases that a model knows: give vlm and vocabulary.", code="text_needs", param="libraries"
        )
    if not has_text and (grid.vlm is not None or grid.vocabulary is not None):
        raise GridFault(
            "Phrases are for text libraries, and this grid has none; leave out vlm and vocabulary, or add a text library.",
            code="vlm_not_taken",
            param="vlm",
        )


def require_addable(grid: StudyGrid) -> None:
    """Refuse what contradicts itself in any study that it is added to, or has too many cells.

    Raises
    ------
    GridFault
    """
    _require_one_concept_count(grid)
    jobs = count_cells(grid)
    if jobs > MAX_JOBS:
        raise GridFault(
            f"The grid has {jobs:,} jobs, and a study has at most {MAX_JOBS:,}; shorten its lists, or make several studies.",
            code="too_many_jobs",
        )


def require_kinds_together(grid: StudyGrid, kinds: Mapping[str, str]) -> None:
    """Refuse images beside ready features, and whatever needs images where there are none.

    Parameters
    ----------
    kinds : of the data sets, by the name that the grid has for each; one that is not known yet is left out

    Raises
    ------
    GridFault
    """
    for origin in grid.library_datasets:
        if origin is not None and kinds.get(origin) == "features":
            raise GridFault(
                f"Data set {origin} holds ready features, and a library is cut from images; name data sets of images.",
                code="images_needed",
                param="library_datasets",
            )
    ready = [dataset for dataset in grid.datasets if kinds.get(dataset) == "features"]
    if not ready:
        return
    if (other := next((dataset for dataset in grid.datasets if kinds.get(dataset, "features") != "features"), None)) is not None:
        raise GridFault(
            f"Data set {ready[0]} holds ready features and {other} holds images; make one study of each kind.",
            code="kinds_differ",
            param="datasets",
        )
    if grid.models:
        raise GridFault("Data sets of ready features take no model; leave models out.", code="model_not_taken", param="models")
    if grid.evolution:
        raise GridFault(
            "Data sets of ready features are not checkpoints of a model; leave evolution out, or give models and a data set of images.",
            code="evolution_needs_models",
            param="evolution",
        )
    if grid.vlm is not None or any("text" in library.kinds for library in grid.libraries):
        raise GridFault(
            "Phrases are compared with images, and these data sets hold ready features; leave out text libraries, vlm and vocabulary.",
            code="images_needed",
            param="vlm",
        )
    if any(origin is not None for origin in grid.library_datasets):
        raise GridFault(
            "A library is cut from images, and these data sets hold ready features; leave library_datasets out.",
            code="images_needed",
            param="library_datasets",
        )


def require_models(grid: StudyGrid, kinds: Mapping[str, str]) -> None:
    """Refuse data sets of images without a model.

    Raises
    ------
    GridFault
    """
    if not grid.models and any(kinds.get(dataset) == "images" for dataset in grid.datasets):
        raise GridFault(
            "The grid is empty because no model reads its images; give at least one in models.", code="empty_grid", param="models"
        )


def require_checkpoints(entries: Sequence[ModelEntry], networks: Mapping[str, Network]) -> None:
    """Refuse models that are not checkpoints of one training run, in order.

    Parameters
    ----------
    networks : by the name that the grid has for each model; one that is not known yet is left out

    Raises
    ------
    GridFault
    """
    if len(entries) < 2:
        raise GridFault("An evolution needs two checkpoints or more; name them in order.", code="evolution_too_short", param="models")
    known = [(entry.model, networks[entry.model]) for entry in entries if entry.model in networks]
    for (first, own), (model, other) in pairwise(known):
        for name in ("architecture", "arguments", "layer"):
            one, another = getattr(own, name), getattr(other, name)
            if one != another:
                raise GridFault(
                    f"An evolution is over checkpoints of one network, but models {first} and {model} differ in {name}:"
                    f" {one or 'none given'} and {another or 'none given'}. Leave one out, or set evolution to false.",
                    code="checkpoints_differ",
                    param="models",
                )
    _require_rising_epochs(entries)


def _require_rising_epochs(entries: Sequence[ModelEntry]) -> None:
    given = [(entry.model, entry.epoch) for entry in entries if entry.epoch is not None]
    if given and len(given) < len(entries):
        raise GridFault(
            "Some checkpoints have an epoch and some do not; give the epoch of every one or of none, where their order counts.",
            code="epochs_incomplete",
            param="models",
        )
    for (earlier, before), (later, after) in pairwise(given):
        if after <= before:
            raise GridFault(
                f"The checkpoints of an evolution are in order of training, but model {later} of epoch {after:g} follows {earlier} of epoch"
                f" {before:g}; order them by epoch, each once.",
                code="epochs_unordered",
                param="models",
            )


def _require_one_concept_count(grid: StudyGrid) -> None:
    if grid.concept_counts is None:
        return
    for library in grid.libraries:
        if library.kind == "combined":
            raise GridFault(
                "A combined library has as many concepts as its parts, so concept_counts cannot set them; leave concept_counts out and"
                " give each library its own concept_count, or make a separate study of the combined one.",
                code="concept_counts_combined",
                param="concept_counts",
            )
        if library.concept_count is not None:
            raise GridFault(
                f"The number of concepts is given twice, by concept_counts and by the {library.kind} library; give it in one place.",
                code="concept_counts_twice",
                param="concept_counts",
            )
