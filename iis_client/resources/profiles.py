"""Profiles: what a scored job's classes are made of, and what each of its concepts is used for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote

from iis_client.resources.explanations import FigureFormat, at_node
from iis_client.transport.connection import Connection, given
from iis_client.types.profiles import ClassProfile, ClassSummary, ConceptProfile, ConceptUse


class Profiles(Connection):
    """Calls on the classes and concepts of a finished job, at a node of its curve as in iis_client.resources.explanations."""

    def classes(self, job: str, *, kept: int | None = None, sparsity: float | None = None) -> list[ClassSummary]:
        """Every class with its accuracies on the test images."""
        return cast("list[ClassSummary]", self._at_node(f"/v1/jobs/{job}/classes", kept, sparsity)["data"])

    def class_profile(
        self, job: str, name: str, *, top: int | None = None, kept: int | None = None, sparsity: float | None = None
    ) -> ClassProfile:
        """What a class is made of: its `top` weightiest concepts for and against, and what it is confused with.

        Raises
        ------
        NotFoundError
            When there is no class of that name.
        """
        return cast("ClassProfile", self._at_node(_class_path(job, name), kept, sparsity, top=None if top is None else str(top)))

    def class_figure(
        self,
        job: str,
        name: str,
        image_format: FigureFormat = "png",
        *,
        top: int | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> bytes:
        """A class's profile as one figure."""
        query = {"top": None if top is None else str(top), **at_node(kept, sparsity)}
        return self._figure(f"{_class_path(job, name)}/profile.{image_format}", query)

    def concept_uses(self, job: str, *, kept: int | None = None, sparsity: float | None = None) -> Iterator[ConceptUse]:
        """The concepts by index: how often each fires, how much it carries, and which others say nearly the same."""
        return cast("Iterator[ConceptUse]", self._pages(f"/v1/jobs/{job}/concepts", **at_node(kept, sparsity)))

    def concept_profile(self, job: str, index: int, *, kept: int | None = None, sparsity: float | None = None) -> ConceptProfile:
        """One concept: the classes it serves and hinders, and the test images that activate it most.

        Raises
        ------
        NotFoundError
            When the library has no concept of that index.
        """
        return cast("ConceptProfile", self._at_node(f"/v1/jobs/{job}/concepts/{index}", kept, sparsity))

    def concept_gallery(
        self,
        job: str,
        image_format: FigureFormat = "png",
        *,
        limit: int | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> bytes:
        """The concepts side by side, as one figure; the first hundred unless `limit` says fewer."""
        query = {"limit": None if limit is None else str(limit), **at_node(kept, sparsity)}
        return self._figure(f"/v1/jobs/{job}/concepts/gallery.{image_format}", query)

    def _at_node(self, path: str, kept: int | None, sparsity: float | None, **query: str | None) -> Any:
        return self._transport.send("GET", path, params=given({**query, **at_node(kept, sparsity)})).json()


def _class_path(job: str, name: str) -> str:
    return f"/v1/jobs/{job}/classes/{quote(name, safe='')}"
