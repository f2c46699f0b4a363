"""Concept sets: phrases under a name, in numbered versions. The phrases that come with the service are read by the same calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from iis_client.transport.connection import Connection, given
from iis_client.types.concepts import ConceptSet, ConceptSetMade, ConceptSetVersion, DroppedPhrase, Phrase

PATH = "/v1/concept-sets"

PhraseFormat = Literal["txt", "json", "csv"]


class ConceptSets(Connection):
    """Calls on concept sets; each takes the id of one (`cst_…`) or the name of a shipped one (`birds`)."""

    def concept_sets(self) -> Iterator[ConceptSet]:
        """Your concept sets, newest first."""
        return cast("Iterator[ConceptSet]", self._pages(PATH))

    def shipped_concept_sets(self) -> list[ConceptSet]:
        """The concept sets that come with the service."""
        return cast("list[ConceptSet]", self._get(f"{PATH}/shipped")["data"])

    def concept_set(self, concept_set: str) -> ConceptSet:
        """One concept set."""
        return cast("ConceptSet", self._get(f"{PATH}/{concept_set}"))

    def create_concept_set(
        self,
        path: str | Path | None = None,
        *,
        phrases: Iterable[str | Phrase] | None = None,
        from_classes: str | None = None,
        upload: str | None = None,
        vlm: str | None = None,
        dataset: str | None = None,
        name: str | None = None,
        description: str | None = None,
    ) -> ConceptSetMade:
        """Make a concept set of your own phrases, less those that make no concept: `version` has each of those with its reason.

        Parameters
        ----------
        path : a .txt file (a phrase per line), .json (a list, or lists by group) or .csv (columns phrase and group)
        phrases : the phrases themselves, in place of a file
        from_classes : a data set that is ready; a worker gathers phrases from the names of its classes, and the version is pending
            until it has (`wait_until_ready`)
        upload : the id of a file uploaded before
        vlm : a vision-language model that tells which phrases mean the same; the version is pending until it has, too
        dataset : a data set that is ready; phrases too close to one of its classes are left out. That of `from_classes` unless given
        name : the file's or the data set's unless given
        """
        source = self._phrases_to_send(path, phrases, from_classes, upload)
        fields = {
            "name": name,
            "description": description,
            **source,
            "vlm": vlm,
            "dataset": dataset,
        }
        return cast("ConceptSetMade", self._post(PATH, given(fields)))

    def add_concept_set_version(
        self,
        concept_set: str,
        path: str | Path | None = None,
        *,
        phrases: Iterable[str | Phrase] | None = None,
        from_classes: str | None = None,
        upload: str | None = None,
        vlm: str | None = None,
        dataset: str | None = None,
    ) -> ConceptSetMade:
        """Give a concept set other phrases under the next number; earlier versions stay as they are. See `create_concept_set`."""
        source = self._phrases_to_send(path, phrases, from_classes, upload)
        return cast("ConceptSetMade", self._post(f"{PATH}/{concept_set}/versions", given({**source, "vlm": vlm, "dataset": dataset})))

    def concept_set_versions(self, concept_set: str) -> Iterator[ConceptSetVersion]:
        """The versions of a concept set, newest first."""
        return cast("Iterator[ConceptSetVersion]", self._pages(f"{PATH}/{concept_set}/versions"))

    def concept_set_version(self, concept_set: str, number: int | None = None) -> ConceptSetVersion:
        """One version of a concept set; the latest unless a number is given."""
        return cast("ConceptSetVersion", self._get(self._version_path(concept_set, number)))

    def phrases(self, concept_set: str, number: int | None = None) -> Iterator[Phrase]:
        """The phrases of a version, the latest unless a number is given."""
        return cast("Iterator[Phrase]", self._pages(f"{self._version_path(concept_set, number)}/phrases"))

    def dropped_phrases(self, concept_set: str, number: int | None = None) -> Iterator[DroppedPhrase]:
        """What a version left out, each phrase with its reason."""
        return cast("Iterator[DroppedPhrase]", self._pages(f"{self._version_path(concept_set, number)}/dropped"))

    def download_concept_set(self, concept_set: str, phrase_format: PhraseFormat = "txt", number: int | None = None) -> bytes:
        """The phrases of a version as a file that can be uploaded again."""
        path = f"{self._version_path(concept_set, number)}/download"
        return self._transport.send("GET", path, params={"format": phrase_format}).content

    def delete_concept_set(self, concept_set: str) -> None:
        """Delete a concept set of your own; libraries fitted to it stay."""
        self._transport.send("DELETE", f"{PATH}/{concept_set}")

    def _version_path(self, concept_set: str, number: int | None) -> str:
        return f"{PATH}/{concept_set}/versions/{number or self.concept_set(concept_set)['latest_version']}"

    def _phrases_to_send(
        self, path: str | Path | None, phrases: Iterable[str | Phrase] | None, from_classes: str | None, upload: str | None
    ) -> Mapping[str, Any]:
        if path is not None:
            upload = self.upload(path)["id"]
        return {"upload": upload, "phrases": list(phrases) if phrases is not None else None, "from_classes": from_classes}
