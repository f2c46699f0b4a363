"""Parse --library, --concepts, --part, --scales and the options of text libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iis_client.errors import ConfigurationError
from iis_schemas.names import LIBRARY_KINDS, LibraryKind

KIND: LibraryKind = "cluster"
CONCEPT_COUNT = 200
PART_KINDS = tuple(kind for kind in LIBRARY_KINDS if kind not in ("combined", "vectors"))

Library = dict[str, Any]  # the fields of iis_schemas.jobs.libraries.LibraryChoice that were given


def text_settings(clip_cutoff: float | None, interpretability_cutoff: float | None, native: bool) -> Library:
    """Settings of text libraries that were given; the service has defaults for the others."""
    settings: Library = {}
    if clip_cutoff is not None:
        settings["clip_cutoff"] = clip_cutoff
    if interpretability_cutoff is not None:
        settings["interpretability_cutoff"] = interpretability_cutoff
    if native:
        settings["native"] = True
    return settings


def element_settings(scales: str | None, images_per_class: int | None) -> dict[str, Any]:
    """Settings of visual elements that were given; the service has defaults for the others.

    Raises
    ------
    ConfigurationError
        When `scales` is not a list of whole numbers, such as 1,2,4.
    """
    settings: dict[str, Any] = {}
    if scales is not None:
        numbers = [number.strip() for number in scales.split(",")]
        if not all(number.isdecimal() for number in numbers):
            raise ConfigurationError(f"--scales takes whole numbers separated by commas, such as 1,2,4, not {scales!r}.")
        settings["scales"] = [int(number) for number in numbers]
    if images_per_class is not None:
        settings["images_per_class"] = images_per_class
    return settings


def build_library(
    kind: LibraryKind | None, concept_count: int | None, parts: Sequence[str], settings: Library, has_vectors: bool = False
) -> Library:
    """Build the library of a score request.

    Parameters
    ----------
    kind, concept_count : of a single library; None if not given
    parts : `kind:M` of each part of a combined library, instead of `kind` and `concept_count`
    settings : of every text library in it
    has_vectors : whether a file of own vectors is given, which is the library

    Raises
    ------
    ConfigurationError
        When own vectors are given with another library, or the kind vectors without them; when a part is not `kind:M`, parts are
        combined with a kind or a count, or text settings are given without a text library.
    """
    if has_vectors and (parts or concept_count is not None or settings or kind not in (None, "vectors")):
        raise ConfigurationError("--vectors is the library; leave out --library, --concepts, --part and the options of text libraries.")
    if has_vectors or kind == "vectors":
        if not has_vectors:
            raise ConfigurationError("--library vectors needs the file of vectors; give it with --vectors.")
        return {"kind": "vectors"}
    if parts and (kind is not None or concept_count is not None):
        raise ConfigurationError("Each --part has its own kind and count (text:100); leave out --library and --concepts, or --part.")
    if parts:
        library: Library = {"kind": "combined", "parts": [_part(part, settings) for part in parts]}
    else:
        kind = kind or KIND
        library = {"kind": kind, "concept_count": concept_count or CONCEPT_COUNT, **_of(kind, settings)}
    if settings and not has_text(library):
        raise ConfigurationError(
            "--clip-cutoff, --interpretability-cutoff and --native apply to text libraries only; add --library text or --part text:M."
        )
    return library


def has_text(library: Library) -> bool:
    """Whether a library, or a part of it, is a text library."""
    return any(one.get("kind") == "text" for one in (library, *library.get("parts", [])))


def _part(value: str, settings: Library) -> Library:
    kind, _, count = value.partition(":")
    if kind not in PART_KINDS or not count.isdigit():
        known = ", ".join(PART_KINDS)
        raise ConfigurationError(f"--part takes kind:M, for example --part cluster:100 --part text:100, not {value!r}; kinds: {known}.")
    return {"kind": kind, "concept_count": int(count), **_of(kind, settings)}


def _of(kind: str, settings: Library) -> Library:
    return settings if kind == "text" else {}
