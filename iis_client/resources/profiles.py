"""Profiles of classes and concepts: weights, confusions, use of each concept."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from iis_client.resources.explanations import FigureFormat, node_query
from iis_client.transport.connection import Connection
from iis_client.transport.messages import id_of
from iis_schemas.explanations.profiles import ClassesView, ClassSummary, ClassView, ConceptProfileView, ConceptUseView
from iis_schemas.jobs.views import JobView


class Profiles(Connection):
    """Calls on classes and concepts of a finished score job at a node of its curve; see iis_client.resources.explanations."""

    def classes(self, job: str | JobView, *, kept: int | None = None, sparsity: float | None = None) -> list[ClassSummary]:
        """All classes with their accuracies on the test images."""
        return self._get(ClassesView, f"/v1/jobs/{id_of(job)}/classes", node_query(kept, sparsity)).data

    def class_profile(
        self, job: str | JobView, name: str, *, top: int | None = None, kept: int | None = None, sparsity: float | None = None
    ) -> ClassView:
        """Profile of a class: its `top` supporting and opposing concepts by weight, and its confusions.

        Raises
        ------
        NotFoundError
            When there is no class of that name.
        """
        return self._get(ClassView, _class_path(job, name), {"top": top, **node_query(kept, sparsity)})

    def class_figure(
        self,
        job: str | JobView,
        name: str,
        image_format: FigureFormat = "png",
        *,
        top: int | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> bytes:
        """Profile of a class as one figure."""
        return self._figure(f"{_class_path(job, name)}/profile.{image_format}", {"top": top, **node_query(kept, sparsity)})

    def concept_uses(self, job: str | JobView, *, kept: int | None = None, sparsity: float | None = None) -> Iterator[ConceptUseView]:
        """Concepts by index with firing rate, importance and near-duplicates."""
        return self._pages(ConceptUseView, f"/v1/jobs/{id_of(job)}/concepts", node_query(kept, sparsity))

    def concept_profile(
        self, job: str | JobView, index: int, *, kept: int | None = None, sparsity: float | None = None
    ) -> ConceptProfileView:
        """Profile of a concept: its weights for classes, and the test images that activate it most.

        Raises
        ------
        NotFoundError
            When the library has no concept of that index.
        """
        return self._get(ConceptProfileView, f"/v1/jobs/{id_of(job)}/concepts/{index}", node_query(kept, sparsity))

    def concept_gallery(
        self,
        job: str | JobView,
        image_format: FigureFormat = "png",
        *,
        limit: int | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> bytes:
        """The first concepts as one figure; default: 100."""
        query = {"limit": limit, **node_query(kept, sparsity)}
        return self._figure(f"/v1/jobs/{id_of(job)}/concepts/gallery.{image_format}", query)


def _class_path(job: str | JobView, name: str) -> str:
    return f"/v1/jobs/{id_of(job)}/classes/{quote(name, safe='')}"
