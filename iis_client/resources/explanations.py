"""Explanations of single images: contributions of concepts, heat maps, interventions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from iis_client.answers import ImageExplanation
from iis_client.resources.images import ImageChoice, ImageFile, form_files, resolve_image
from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of, parse_answer, without_none
from iis_schemas.explanations.images import HeatMapView, OutcomeView
from iis_schemas.explanations.interventions import InterventionRequest, InterventionView
from iis_schemas.jobs.views import JobView

FigureFormat = Literal["png", "svg"]


class Explanations(Connection):
    """Calls on the explanations of a finished score job.

    `kept` or `sparsity` select a node of its curve; default: about a tenth of the concepts is kept.
    """

    def explanations(
        self,
        job: str | JobView,
        *,
        wrong: bool = False,
        disagree: bool = False,
        class_: str | None = None,
        predicted: str | None = None,
        predicted_by_representation: str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> Iterator[OutcomeView]:
        """Test images by index, each with its predictions.

        Parameters
        ----------
        wrong : only images for which the interpretation predicts a wrong class
        disagree : only images for which representation and interpretation predict different classes
        class_, predicted : only images of this class, or with this prediction of the interpretation
        predicted_by_representation : only images with this prediction of the representation
        min_confidence, max_confidence : bounds of the probability of the interpretation's prediction
        """
        filters = {
            "wrong": "true" if wrong else None,
            "disagree": "true" if disagree else None,
            "class": class_,
            "predicted": predicted,
            "predicted_by_representation": predicted_by_representation,
            "min_confidence": None if min_confidence is None else str(min_confidence),
            "max_confidence": None if max_confidence is None else str(max_confidence),
            **node_query(kept, sparsity),
        }
        return self._pages(OutcomeView, f"/v1/jobs/{id_of(job)}/explanations", filters)

    def explain(
        self,
        job: str | JobView,
        image: ImageChoice,
        *,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int = 8,
        contrast: str | None = None,
    ) -> ImageExplanation:
        """Explain the prediction for an image by its concepts.

        Parameters
        ----------
        image : the index of a test image, the id of a posted image (`img_…`), or the path of an image file, which is posted
        top : number of supporting and of opposing concepts
        contrast : a class to explain the predicted class against

        Raises
        ------
        LocalFileError
            When the file does not exist.
        InvalidInputError
            When the file is not an image, the class is unknown, or the curve has no such node.
        NotFoundError
            When there is no such test image.
        """
        query = without_none({"top": str(top), "contrast": contrast, **node_query(kept, sparsity)})
        source, path = resolve_image(image), f"/v1/jobs/{id_of(job)}/explanations"
        if isinstance(source, ImageFile):
            response = self._transport.send("POST", path, params=query, files=form_files([source]))
            return parse_answer(ImageExplanation, response.json())
        return self._get(ImageExplanation, f"{path}/{source}", query)

    def image(self, job: str | JobView, image: int | str) -> bytes:
        """A test image, or a posted one, as PNG after preprocessing."""
        return self._transport.send("GET", f"/v1/jobs/{id_of(job)}/explanations/{image}/image.png").content

    def heat_map(self, job: str | JobView, image: int | str, concept: int) -> bytes:
        """Heat map of a concept as a PNG overlay of the image; red supports the concept, blue opposes it."""
        return self._transport.send("GET", f"/v1/jobs/{id_of(job)}/explanations/{image}/heatmaps/{concept}.png").content

    def heat_map_values(self, job: str | JobView, image: int | str, concept: int) -> HeatMapView:
        """Heat map of a concept as numbers, with its method and whether it is exact."""
        return self._get(HeatMapView, f"/v1/jobs/{id_of(job)}/explanations/{image}/heatmaps/{concept}")

    def explanation_sheet(
        self,
        job: str | JobView,
        image: int | str,
        image_format: FigureFormat = "png",
        *,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int | None = None,
        contrast: str | None = None,
    ) -> bytes:
        """An explanation as one figure."""
        query = {"top": top, "contrast": contrast, **node_query(kept, sparsity)}
        return self._figure(f"/v1/jobs/{id_of(job)}/explanations/{image}/sheet.{image_format}", query)

    def intervene(
        self,
        job: str | JobView,
        image: int | str,
        *,
        set: Mapping[int, float] | None = None,  # noqa: A002 (the name in the API)
        scale: Mapping[int, float] | None = None,
        suppress: Iterable[int] = (),
        kept: int | None = None,
        sparsity: float | None = None,
    ) -> InterventionView:
        """Change concept activations of an image and predict again.

        Parameters
        ----------
        set : activation by concept
        scale : factor by concept
        suppress : concepts whose activation is set to 0

        Raises
        ------
        InvalidInputError
            When a concept is changed twice, or does not exist.
        """
        fields = {
            "kept": kept,
            "sparsity": sparsity,
            "set": [{"concept": concept, "activation": activation} for concept, activation in (set or {}).items()],
            "scale": [{"concept": concept, "factor": factor} for concept, factor in (scale or {}).items()],
            "suppress": list(suppress),
        }
        path = f"/v1/jobs/{id_of(job)}/explanations/{image}/interventions"
        return self._post(InterventionView, path, build_request(InterventionRequest, fields))


def node_query(kept: int | None, sparsity: float | None) -> dict[str, str | None]:
    """Query parameters of a node of the curve."""
    return {"kept": None if kept is None else str(kept), "sparsity": None if sparsity is None else str(sparsity)}
