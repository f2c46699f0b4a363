"""Concept sets: named phrases in numbered versions, of the user or shipped with the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of
from iis_schemas.concept_sets import (
    ConceptSetCreate,
    ConceptSetCreated,
    ConceptSetVersionCreate,
    ConceptSetVersionView,
    ConceptSetView,
    DroppedPhraseView,
    PhraseChoice,
    PhraseView,
)
from iis_schemas.datasets import DatasetView
from iis_schemas.models import ModelView
from iis_schemas.uploads import UploadView

PATH = "/v1/concept-sets"

Phrase = str | PhraseChoice | Mapping[str, str | None]
PhraseFormat = Literal["txt", "json", "csv"]


class _ShippedSets(BaseModel):
    """Answer of the list of shipped concept sets, which has one page."""

    data: list[ConceptSetView]


class ConceptSets(Connection):
    """Calls on concept sets; each accepts an id (`cst_…`), an answer, or the name of a shipped set (`birds`)."""

    def concept_sets(self) -> Iterator[ConceptSetView]:
        """Your concept sets, newest first."""
        return self._pages(ConceptSetView, PATH)

    def shipped_concept_sets(self) -> list[ConceptSetView]:
        """Concept sets that ship with the service."""
        return self._get(_ShippedSets, f"{PATH}/shipped").data

    def concept_set(self, concept_set: str | ConceptSetView) -> ConceptSetView:
        """One concept set."""
        return self._get(ConceptSetView, f"{PATH}/{id_of(concept_set)}")

    def create_concept_set(
        self,
        path: str | Path | None = None,
        *,
        phrases: Iterable[Phrase] | None = None,
        from_classes: str | DatasetView | None = None,
        upload: str | UploadView | None = None,
        vlm: str | ModelView | None = None,
        dataset: str | DatasetView | None = None,
        name: str | None = None,
        description: str | None = None,
    ) -> ConceptSetCreated:
        """Create a concept set; its `version` lists the excluded phrases with their reasons.

        Parameters
        ----------
        path : a .txt file (one phrase per line), .json (a list, or lists by group) or .csv (columns phrase and group)
        phrases : the phrases, instead of a file
        from_classes : a ready data set; a worker generates phrases from its class names, and the version is pending until then
            (`wait_until_ready`)
        upload : a file uploaded before
        vlm : a vision-language model that finds near-duplicates; the version is pending until then
        dataset : a ready data set; phrases close to one of its class names are excluded. Default: that of `from_classes`
        name : default: the name of the file or of the data set

        Raises
        ------
        ConfigurationError
            When not exactly one source of phrases is given.
        """
        source = self._phrase_source(path, phrases, from_classes, upload, vlm, dataset)
        request = build_request(ConceptSetCreate, {"name": name, "description": description, **source})
        return self._post(ConceptSetCreated, PATH, request)

    def add_concept_set_version(
        self,
        concept_set: str | ConceptSetView,
        path: str | Path | None = None,
        *,
        phrases: Iterable[Phrase] | None = None,
        from_classes: str | DatasetView | None = None,
        upload: str | UploadView | None = None,
        vlm: str | ModelView | None = None,
        dataset: str | DatasetView | None = None,
    ) -> ConceptSetCreated:
        """Add a version to a concept set; earlier versions do not change. Parameters: see `create_concept_set`."""
        source = self._phrase_source(path, phrases, from_classes, upload, vlm, dataset)
        return self._post(ConceptSetCreated, f"{PATH}/{id_of(concept_set)}/versions", build_request(ConceptSetVersionCreate, source))

    def concept_set_versions(self, concept_set: str | ConceptSetView) -> Iterator[ConceptSetVersionView]:
        """Versions of a concept set, newest first."""
        return self._pages(ConceptSetVersionView, f"{PATH}/{id_of(concept_set)}/versions")

    def concept_set_version(self, concept_set: str | ConceptSetView, number: int | None = None) -> ConceptSetVersionView:
        """One version of a concept set; default: the latest."""
        return self._get(ConceptSetVersionView, self._version_path(concept_set, number))

    def phrases(self, concept_set: str | ConceptSetView, number: int | None = None) -> Iterator[PhraseView]:
        """Phrases of a version; default: of the latest."""
        return self._pages(PhraseView, f"{self._version_path(concept_set, number)}/phrases")

    def dropped_phrases(self, concept_set: str | ConceptSetView, number: int | None = None) -> Iterator[DroppedPhraseView]:
        """Excluded phrases of a version with their reasons; default: of the latest."""
        return self._pages(DroppedPhraseView, f"{self._version_path(concept_set, number)}/dropped")

    def download_concept_set(
        self, concept_set: str | ConceptSetView, phrase_format: PhraseFormat = "txt", number: int | None = None
    ) -> bytes:
        """Phrases of a version as a file that `create_concept_set` accepts."""
        path = f"{self._version_path(concept_set, number)}/download"
        return self._transport.send("GET", path, params={"format": phrase_format}).content

    def delete_concept_set(self, concept_set: str | ConceptSetView) -> None:
        """Delete a concept set of yours; libraries fitted with it are kept."""
        self._delete(f"{PATH}/{id_of(concept_set)}")

    def _version_path(self, concept_set: str | ConceptSetView, number: int | None) -> str:
        return f"{PATH}/{id_of(concept_set)}/versions/{number or self.concept_set(concept_set).latest_version}"

    def _phrase_source(
        self,
        path: str | Path | None,
        phrases: Iterable[Phrase] | None,
        from_classes: str | DatasetView | None,
        upload: str | UploadView | None,
        vlm: str | ModelView | None,
        dataset: str | DatasetView | None,
    ) -> dict[str, Any]:
        if path is not None:
            upload = self.upload(path)
        resources = {"upload": upload, "from_classes": from_classes, "vlm": vlm, "dataset": dataset}
        ids = {name: None if resource is None else id_of(resource) for name, resource in resources.items()}
        return {"phrases": None if phrases is None else list(phrases), **ids}
