"""What a study's file comes to: how many jobs, and whether its parts go together. The service looks again at what is sent to it."""

from __future__ import annotations

from itertools import pairwise

from iis_client.cli.library_options import has_text
from iis_client.cli.studies.file import StudyFile
from iis_client.cli.studies.limits import MAX_JOBS
from iis_client.cli.studies.sources import ModelSource
from iis_client.errors import ConfigurationError
from iis_client.types.scores import Library

VISUAL_KINDS = ("prototype", "cluster", "end2end")


def count_jobs(study: StudyFile) -> int:
    """How many cells the grid has; a library that is cut from no images stands there once, whichever data sets libraries are cut from."""
    cells = 0
    for library in study.libraries:
        sizes = len(study.concept_counts) if study.concept_counts is not None else 1
        for dataset in study.datasets:
            told = {None if _same(origin, dataset) else origin for origin in study.library_datasets} if is_visual(library) else {None}
            cells += sizes * len(told)
    return max(len(study.models), 1) * cells * len(study.seeds)


def is_visual(library: Library) -> bool:
    """Whether every concept of a library is cut from images."""
    return all(part.get("kind") in VISUAL_KINDS for part in library.get("parts", [library]))


def require_whole(study: StudyFile) -> None:
    """Refuse a grid that the service would refuse, before anything is sent to it.

    Raises
    ------
    ConfigurationError
    """
    file = study.path.name
    images = any(source.kind == "images" and source.id is None for source in study.datasets)
    for name, meaning in (("datasets", "data set"), ("libraries", "library")):
        if not getattr(study, name):
            raise ConfigurationError(f"{file}: this grid is empty, for it names no {meaning}; give {name} at least one.")
    if images and not study.models:
        raise ConfigurationError(f"{file}: this grid is empty, for no model reads its images; give models at least one.")
    require_addable(study)
    _require_words(study)
    if study.evolution:
        _require_checkpoints(study)


def require_addable(study: StudyFile) -> None:
    """Refuse what contradicts itself, whatever study it is added to.

    Raises
    ------
    ConfigurationError
    """
    _require_one_kind(study)
    _require_counts(study)
    jobs = count_jobs(study)
    if jobs > MAX_JOBS:
        raise ConfigurationError(
            f"{study.path.name}: this grid asks for {jobs:,} jobs, and a study has at most {MAX_JOBS:,};"
            " take away from its lists, or make several."
        )


def _same(one: object, other: object) -> bool:
    """Whether two data sets come from the same place."""

    def place(source: object) -> tuple[str, ...]:
        return tuple(str(getattr(source, name, None)) for name in ("id", "path", "server_path", "hub", "test_share", "split_seed"))

    return one is not None and place(one) == place(other)


def _require_one_kind(study: StudyFile) -> None:
    """Images, which models read and libraries are cut from, or ready features, of which neither is true."""
    ready = [source for source in study.datasets if source.kind == "features"]
    origins = [origin for origin in study.library_datasets if origin is not None]
    for origin in origins:
        if origin.kind == "features":
            raise ConfigurationError(f"{origin.at} holds ready features, and a library is cut from images; name data sets of images.")
    if not ready:
        return
    if study.models:
        raise ConfigurationError(f"{ready[0].at} holds ready features, which no model reads; leave models out, or give images.")
    if len(ready) < len(study.datasets):
        raise ConfigurationError(f"{study.path.name}: some datasets hold ready features and some images; make one study of each kind.")
    if origins:
        raise ConfigurationError(f"{origins[0].at}: no library is cut for data sets of ready features; leave library_datasets out.")
    if study.vlm is not None or any(has_text(library) for library in study.libraries):
        raise ConfigurationError(
            f"{ready[0].at} holds ready features, which are not compared with phrases; leave out text libraries, vlm and vocabulary."
        )


def _require_words(study: StudyFile) -> None:
    file = study.path.name
    with_text = any(has_text(library) for library in study.libraries)
    if with_text and (study.vlm is None or study.vocabulary is None):
        raise ConfigurationError(f"{file}: a text library is made of phrases that a model knows; give vlm and vocabulary.")
    if not with_text and (study.vlm is not None or study.vocabulary is not None):
        raise ConfigurationError(f"{file}: phrases make text libraries, and this grid has none; leave out vlm and vocabulary.")
    if study.vocabulary is not None and study.vocabulary.from_classes and len(study.datasets) > 1:
        raise ConfigurationError(f"{file}: vocabulary: from-classes takes the classes of one data set; make a study of each.")


def _require_counts(study: StudyFile) -> None:
    if study.concept_counts is None:
        return
    for place, library in enumerate(study.libraries):
        at = f"{study.path.name}: libraries[{place}]"
        if library.get("kind") == "combined":
            raise ConfigurationError(f"{at} is combined and has as many concepts as its parts say; leave concept_counts out.")
        if "concept_count" in library:
            raise ConfigurationError(f"{at}.concept_count says again what concept_counts says; leave one of the two out.")


def _require_checkpoints(study: StudyFile) -> None:
    file = study.path.name
    if len(study.models) < 2:
        raise ConfigurationError(f"{file}: an evolution is over two checkpoints or more; name them in order under models.")
    known = [model for model in study.models if model.id is None]
    for earlier, later in pairwise(known):
        for name in ("architecture", "arguments", "layer"):
            if getattr(earlier, name) != getattr(later, name):
                raise ConfigurationError(
                    f"{later.at}.{name} differs from that of the checkpoint before it; an evolution is over checkpoints of one network."
                )
    epochs = [model.epoch for model in study.models]
    if any(epoch is not None for epoch in epochs):
        _require_rising(study.models)


def _require_rising(models: tuple[ModelSource, ...]) -> None:
    for model in models:
        if model.epoch is None:
            raise ConfigurationError(f"{model.at}.epoch is missing; give every checkpoint's epoch, or none's, and then their order counts.")
    for earlier, later in pairwise(models):
        if (earlier.epoch or 0) >= (later.epoch or 0):
            raise ConfigurationError(
                f"{later.at}.epoch must be above that of the checkpoint before it, {earlier.epoch:g}; name them in order, each once."
            )
