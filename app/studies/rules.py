"""What a study's grid may ask for, said in sentences. It looks at rows that were read before, and writes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from app.db.models import Dataset, Model
from app.errors import InvalidInput
from app.studies.grid import count_cells
from iis_schemas.studies import MAX_ENTRIES, MAX_JOBS, MAX_LIBRARIES, ModelEntry, StudyGrid

NAMED = 3  # classes that a refusal names


def require_whole(grid: StudyGrid) -> None:
    """Refuse a grid without cells, or with too many, or whose fields contradict each other.

    Raises
    ------
    InvalidInput
    """
    for name, meaning in (("datasets", "data set"), ("libraries", "library")):
        if not getattr(grid, name):
            raise InvalidInput(f"This grid is empty, for it names no {meaning}; give {name} at least one.", code="empty_grid", param=name)
    for name, most in (("libraries", MAX_LIBRARIES), ("sparsity_grids", MAX_LIBRARIES), ("library_datasets", MAX_ENTRIES)):
        if (count := len(getattr(grid, name))) > most:
            raise InvalidInput(
                f"With these the study has {count:,} {name}, and it may have {most:,}; make another study.", code="too_many", param=name
            )
    _require_counts(grid)
    _require_words(grid)
    jobs = count_cells(grid)
    if jobs > MAX_JOBS:
        raise InvalidInput(
            f"This grid asks for {jobs:,} jobs, and a study has at most {MAX_JOBS:,}; take away from its lists, or make several studies.",
            code="too_many_jobs",
        )


def require_fitting_grid(grid: StudyGrid, models: Mapping[str, Model], datasets: Mapping[str, Dataset]) -> None:
    """Refuse models, data sets and libraries that do not go together.

    Parameters
    ----------
    models, datasets : by id, all that the grid names

    Raises
    ------
    InvalidInput
    """
    scored = [datasets[dataset] for dataset in grid.datasets]
    ready = [dataset for dataset in scored if dataset.kind == "features"]
    if ready and len(ready) < len(scored):
        other = next(dataset for dataset in scored if dataset.kind != "features")
        raise InvalidInput(
            f"Data set {ready[0].id} holds ready features and {other.id} holds images; make one study of each kind.",
            code="kinds_differ",
            param="datasets",
        )
    if not ready and not grid.models:
        raise InvalidInput(
            "This grid is empty, for no model reads its images; give models at least one.", code="empty_grid", param="models"
        )
    if ready:
        _require_representations(grid, ready)
    for origin in grid.library_datasets:
        if origin is not None and datasets[origin].kind == "features":
            raise InvalidInput(
                f"Data set {origin} holds ready features, and a library is cut from images; name data sets of images.",
                code="images_needed",
                param="library_datasets",
            )
    if grid.evolution:
        _require_checkpoints(grid.models, models)


def _require_counts(grid: StudyGrid) -> None:
    if grid.concept_counts is None:
        return
    for library in grid.libraries:
        if library.kind == "combined":
            raise InvalidInput(
                "A combined library has as many concepts as its parts say, so concept_counts cannot set them; leave concept_counts out and"
                " give each library its own concept_count, or make a study of its own of the combined one.",
                code="concept_counts_combined",
                param="concept_counts",
            )
        if library.concept_count is not None:
            raise InvalidInput(
                f"The number of concepts is said twice, by concept_counts and by the {library.kind} library; say it in one place.",
                code="concept_counts_twice",
                param="concept_counts",
            )


def _require_words(grid: StudyGrid) -> None:
    has_text = any("text" in library.kinds for library in grid.libraries)
    if has_text and (grid.vlm is None or grid.vocabulary is None):
        raise InvalidInput(
            "A text library is made of phrases that a model knows: give vlm and vocabulary.", code="text_needs", param="libraries"
        )
    if not has_text and (grid.vlm is not None or grid.vocabulary is not None):
        raise InvalidInput(
            "Phrases make text libraries, and this grid has none; leave out vlm and vocabulary, or add a text library.",
            code="vlm_not_taken",
            param="vlm",
        )


def _require_representations(grid: StudyGrid, ready: Sequence[Dataset]) -> None:
    """Of data sets of ready features, each a representation of one and the same data."""
    if grid.models:
        raise InvalidInput("Data sets of ready features take no model; leave models out.", code="model_not_taken", param="models")
    if grid.evolution:
        raise InvalidInput(
            "Data sets of ready features are no checkpoints of a model; leave evolution out, or give models and a data set of images.",
            code="evolution_needs_models",
            param="evolution",
        )
    if grid.vlm is not None:
        raise InvalidInput(
            "Phrases are compared with images, and these data sets hold ready features; leave out text libraries, vlm and vocabulary.",
            code="images_needed",
            param="vlm",
        )
    if any(origin is not None for origin in grid.library_datasets):
        raise InvalidInput(
            "A library is cut from images, and these data sets hold ready features; leave library_datasets out.",
            code="images_needed",
            param="library_datasets",
        )
    first, *others = ready
    for other in others:
        _require_same_classes(first, other)


def _require_same_classes(first: Dataset, other: Dataset) -> None:
    expected, found = ((dataset.info or {}).get("class_names") or [] for dataset in (first, other))
    if expected == found:
        return
    only = [f"{name!r} is in {holder.id} alone" for holder, own, theirs in _sides(first, other) for name in own if name not in theirs]
    how = "; ".join(only[:NAMED]) if only else "they stand in another order"
    raise InvalidInput(
        f"Data sets {first.id} and {other.id} are compared as representations of the same data, but their classes differ: {how}."
        " Give both the same class names in the same order, or make a study of each.",
        code="class_sets_differ",
        param="datasets",
    )


def _sides(first: Dataset, other: Dataset) -> list[tuple[Dataset, list[str], set[str]]]:
    own, theirs = ((dataset.info or {}).get("class_names") or [] for dataset in (first, other))
    return [(first, own, set(theirs)), (other, theirs, set(own))]


def _require_checkpoints(entries: Sequence[ModelEntry], models: Mapping[str, Model]) -> None:
    """Of models that are checkpoints of one run."""
    if len(entries) < 2:
        raise InvalidInput("An evolution is over two checkpoints or more; name them in order.", code="evolution_too_short", param="models")
    first = models[entries[0].model]
    for entry in entries[1:]:
        model = models[entry.model]
        for name, meaning in (("architecture", "architecture"), ("arguments", "arguments of it"), ("layer", "layer")):
            own, other = getattr(first, name), getattr(model, name)
            if own != other:
                raise InvalidInput(
                    f"An evolution is over checkpoints of one network, but models {first.id} and {model.id} differ in the {meaning}:"
                    f" {own or 'none given'} and {other or 'none given'}. Leave one out, or set evolution to false.",
                    code="checkpoints_differ",
                    param="models",
                )
    epochs = [entry.epoch for entry in entries]
    given = [epoch for epoch in epochs if epoch is not None]
    if given and len(given) < len(epochs):
        raise InvalidInput(
            "Some checkpoints say their epoch and some do not; give every one's, or none's, and then their order counts.",
            code="epochs_incomplete",
            param="models",
        )
    for (earlier, before), (later, after) in pairwise(zip(entries, given, strict=False)):
        if after <= before:
            raise InvalidInput(
                f"The checkpoints of an evolution stand in order, but model {later.model} of epoch {after:g} follows {earlier.model} of"
                f" epoch {before:g}; order them by epoch, each once.",
                code="epochs_unordered",
                param="models",
            )
